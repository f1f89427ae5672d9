/* The recording and its stems for the player, as the server has them. */

import {ask, Refusal} from "./api.js";

/** Makes a `Listening` of a project; null while there is no sound. */
export async function openListening(session) {
  const {sound, pictures, recording} = session.project;
  if (!sound) return null;
  const separated = sound.tracks.some(({role}) => role === "stem");
  const peaks = await Promise.all(sound.tracks.map(async ({id}) =>
    new Uint8Array(await (await ask(session.at(`/peaks/${id}`))).arrayBuffer())));
  const about = pictures?.kinds.spectrogram ?? {lowest: 60, highest: 8000, per_second: 50};
  const tracks = sound.tracks.map((track, t) => ({
    ...track,
    singer: track.singer ?? undefined,
    heard: separated ? ["stem", "residual"].includes(track.role) : track.role === "mixture",
    decibels: undefined,
    f0: track.role === "stem" ? session.tracks[track.singer] ?? null : null,
    peaks: peaks[t],
  }));
  return new Listening({
    rate: sound.rate, length: sound.length, piece: sound.piece, pieces: Math.ceil(sound.length / sound.piece),
    columns: about.per_second, peaks: 100, lowest: about.lowest, highest: about.highest, frame: session.step,
    title: recording.name, tracks,
  }, new Source(session, sound));
}

class Source {
  constructor(session, {tracks}) {
    this.session = session;
    this.tracks = tracks;
  }

  sound(index) {
    return Promise.all(this.tracks.map(async ({id}) =>
      (await ask(this.session.at(`/sound/${id}/${index}`))).arrayBuffer()));
  }

  /** All of each track in little; what is short is seen in its pieces. */
  async overviews() {
    const {recording, pictures} = this.session.project;
    if (recording.seconds <= MOST_TILES_SECONDS || !pictures?.kinds.spectrogram) return this.tracks.map(() => null);
    // One after another: each costs the server the reading of a file.
    let before = Promise.resolve();
    return this.tracks.map(({id}) => (before = before.then(() => this._read(`${id}/overview`))));
  }

  /** A piece of each track's picture, drawn when it is asked for. */
  pictures(index) {
    const has = this.session.project.pictures?.kinds.spectrogram;
    return Promise.all(this.tracks.map(({id, role}) =>
      (has ? this._read(`${role === "mixture" ? "spectrogram" : id}/${index}`) : null)));
  }

  /** A picture; null where there is none (any more): its waveform is shown. */
  async _read(name) {
    try {
      const blob = await (await ask(this.session.at(`/pictures/${name}.png`))).blob();
      const address = URL.createObjectURL(blob);
      const grey = await readGrey(address);
      URL.revokeObjectURL(address);
      return grey;
    } catch (error) {
      if (error instanceof Refusal) return null;
      throw error;
    }
  }
}

const MIXES = [["Recording", ["mixture"]], ["Singers and residual", ["stem", "residual"]], ["Singers only", ["stem"]],
  ["Edited mix", ["edited-mix"]]];

/** Buttons that choose what is heard: the recording, its singers, or what was edited. */
export function showMixes(listening) {
  const {player, recording: {tracks}} = listening;
  const has = (roles) => tracks.some(({role}) => roles.includes(role));
  const buttons = MIXES.filter(([, roles]) => has(roles)).map(([name, roles]) => make("button",
    {type: "button", textContent: name, onclick: () => {
      player.clearSolo();
      tracks.forEach(({role}, t) => player.setMuted(t, !roles.includes(role)));
    }}));
  const update = () => buttons.forEach((button, k) => {
    const [, roles] = MIXES.filter(([, all]) => has(all))[k];
    button.setAttribute("aria-pressed", tracks.every(({role}, t) => player.isHeard(t) === roles.includes(role)));
  });
  player.addEventListener("change", update);
  update();
  $("#mixes").replaceChildren(...buttons);
  $("#mixes").hidden = buttons.length < 2;
}

/** Takes over what a former player was set to. */
export function carryOver(former, next) {
  const {player, pictures} = former;
  next.pictures.shown = {...pictures.shown};
  next.pictures.waves = pictures.waves;
  next.player.tempo = player.tempo;
  next.player.volume = player.volume;
  next.player.loop = player.loop;
  next.player.looping = player.looping;
  next.recording.tracks.forEach(({id}, t) => {
    const before = former.recording.tracks.findIndex((track) => track.id === id);
    const same = former.recording.tracks.length === next.recording.tracks.length;
    if (before >= 0 && same) {
      const {gain, muted, solo} = player.tracks[before];
      Object.assign(next.player.tracks[t], {gain, muted, solo});
    }
  });
  next.seek(player.position);
  if (player.playing) next.attempt(next.player.play());
  next.update();
}
