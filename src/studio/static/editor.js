/* The pitch editor: what is shown and chosen, and saying so. */

import {askJson} from "./api.js";
import {Gestures} from "./gestures.js";
import {formatSpan, say} from "./messages.js";
import {PitchView} from "./pitch-view.js";
import {drawScene} from "./scene.js";
import {Tiles} from "./tiles.js";

const LEAP = 1.5; // semitones between frames, where a stretch ends
const FINE = 8; // pixels that an arrow moves
const MOST_AROUND = 12; // seconds that are seen of a place that is visited

export class Editor extends EventTarget {
  constructor() {
    super();
    this.root = $("#editor");
    this.canvas = $("#editor canvas");
    this.session = null;
    this.listening = null;
    this.view = new PitchView();
    this.tiles = new Tiles(() => this.draw());
    this.picture = "spectrogram"; // or "salience", or null
    this.singer = 0;
    this.selection = null; // {first, last} frames of the singer, both included
    this.hidden = new Set(); // singers that are not drawn
    this.tool = "choose"; // or "draw", "box"
    this.doubts = [];
    this.doubt = null;
    this.candidates = null;
    this.gesture = null; // what is being drawn or dragged
    this.draft = null; // a drawn line that waits to be taken: see `Draft`
    this._fitted = null; // the project whose range of pitch was fitted
    this._dirty = false;
    new Gestures(this);
    new ResizeObserver(() => this.draw()).observe(this.root);
  }

  setSession(session) {
    const other = session?.project.id !== this.session?.project.id;
    this.session = session;
    if (other) this.draft = null;
    if (!session) return;
    if (other) {
      this.selection = this.doubt = this.candidates = null;
      this.doubts = [];
      this.hidden.clear();
      this.singer = 0;
    }
    this.tiles.setSession(session);
    if (this.picture && !this.tiles.kinds.includes(this.picture) && this.tiles.kinds.length) [this.picture] = this.tiles.kinds;
    this.singer = Math.min(this.singer, Math.max(0, session.tracks.length - 1));
    if (this.selection && this.selection.last >= session.count) this.selection = null;
    const kinds = Object.values(session.project.pictures?.kinds || {});
    if (kinds.length) {
      this.view.setBounds(Math.min(...kinds.map((kind) => kind.lowest)), Math.max(...kinds.map((kind) => kind.highest)));
    }
    const fitted = `${session.project.id} ${session.tracks.length}`;
    if (session.tracks.length && this._fitted !== fitted) {
      this._fitted = fitted;
      this.view.fit(session.tracks);
    }
    this.changed();
  }

  setListening(listening) {
    this.listening = listening;
    if (listening) listening.pictures.drawn = () => this.draw();
    this.setDoubts(this.doubts);
  }

  /** Suspicious places; the player visits them, too. */
  setDoubts(doubts) {
    this.doubts = doubts;
    if (this.listening) this.listening.places = doubts.map(({from, to}) => [from, to]).sort((a, b) => a[0] - b[0]);
    this.draw();
  }

  /* What is seen. */

  get shown() {
    return this.listening?.pictures.shown ?? {start: 0, end: this.session?.project.recording.seconds || 10};
  }

  get now() {
    return this.listening?.player.position ?? 0;
  }

  draw() {
    if (this._dirty) return;
    this._dirty = true;
    requestAnimationFrame(() => {
      this._dirty = false;
      if (!this.root.offsetParent) return;
      drawScene(this.canvas, this);
      const style = getComputedStyle(document.documentElement);
      drawRuler(fitCanvas($("#pitch-ruler")), this.shown, style.getPropertyValue("--soft").trim());
      this.tick();
    });
  }

  /** Moves the playhead. */
  tick() {
    if (!this.root.offsetParent) return;
    const {shown, now} = this;
    place($("#editor .cursor"), now >= shown.start && now <= shown.end ? now : null, now, shown);
  }

  changed() {
    this.draw();
    this.dispatchEvent(new Event("change"));
  }

  zoomTime(factor, around = null) {
    const {selection} = this;
    const middle = selection ? ((selection.first + selection.last) / 2) * this.session.step : this.now;
    this.listening?.pictures.zoom(factor, around ?? middle);
  }

  zoomPitch(factor, around) {
    this.view.zoom(factor, around);
    this.draw();
  }

  scrollPitch(octaves) {
    this.view.scroll(octaves);
    this.draw();
  }

  /** Scrolls by a share of what is shown. */
  scrollTime(share) {
    const {start, end} = this.shown;
    this.listening?.pictures.show(start + share * (end - start), end - start);
  }

  fit() {
    this.listening?.pictures.show(0, this.listening.duration);
    this.view.fit(this.session.tracks);
    this.draw();
  }

  cyclePicture() {
    const all = [...this.tiles.kinds, null];
    this.picture = all[(all.indexOf(this.picture) + 1) % all.length];
    say(this.picture ? `The ${this.picture} is shown.` : "No picture is shown.");
    this.changed();
  }

  setTool(tool) {
    this.tool = this.tool === tool ? "choose" : tool;
    this.root.dataset.tool = this.tool;
    say({choose: "Choosing: click or drag along a track.", draw: `Drawing: drag where ${this.name()} sings.`,
      box: `Box: drag around where ${this.name()} is tracked again.`}[this.tool]);
    this.changed();
  }

  /* What is chosen. */

  name(singer = this.singer) {
    return this.session?.project.singers[singer] ?? `singer ${singer + 1}`;
  }

  /** The chosen stretch in seconds, or null. */
  get span() {
    const {selection, session} = this;
    if (!selection) return null;
    const seconds = (frame) => Number((frame * session.step).toFixed(6));
    return {from: seconds(selection.first), to: seconds(selection.last)};
  }

  frameAt(seconds) {
    return Math.min(this.session.count - 1, Math.max(0, Math.round(seconds / this.session.step)));
  }

  /** The stretch of a track around a frame: what sounds, without leaps. */
  findStretch(singer, frame) {
    const track = this.session.tracks[singer];
    if (!track?.[frame]) return null;
    const near = (a, b) => a && b && Math.abs(12 * Math.log2(a / b)) <= LEAP;
    let [first, last] = [frame, frame];
    while (first > 0 && near(track[first], track[first - 1])) first--;
    while (last < track.length - 1 && near(track[last], track[last + 1])) last++;
    return {first, last};
  }

  select(singer, first, last, {announce = true} = {}) {
    this.singer = singer;
    const low = Math.max(0, Math.min(first, last));
    this.selection = {first: low, last: Math.min(this.session.count - 1, Math.max(first, last))};
    this.candidates = null;
    if (announce) say(this.describe());
    this.changed();
  }

  clear() {
    this.selection = this.candidates = null;
    say("Nothing is chosen.");
    this.changed();
  }

  chooseSinger(singer) {
    if (singer < 0 || singer >= this.session.tracks.length) return;
    this.singer = singer;
    this.candidates = null;
    say(this.selection ? this.describe() : `${this.name()} is chosen.`);
    this.changed();
  }

  /** "alto, 0:04.10 to 0:05.60: G4 −3 cents, locked". */
  describe() {
    if (!this.selection) return `${this.name()}, no stretch`;
    const {from, to} = this.span;
    const pitches = [...this.session.tracks[this.singer].subarray(this.selection.first, this.selection.last + 1)]
      .filter(Boolean).sort((a, b) => a - b);
    const middle = pitches[Math.floor(pitches.length / 2)];
    const note = middle ? nameNote(middle) : null;
    const spans = this.session.project.locks[this.singer] || [];
    const locked = spans.some(([first, end]) => first <= this.selection.last && end > this.selection.first);
    const sung = note ? `${note.name} ${note.cents} cents` : "silent";
    return `${this.name()}, ${formatSpan(from, to)}: ${sung}${locked ? ", locked" : ""}`;
  }

  selectAtNow() {
    const found = this.findStretch(this.singer, this.frameAt(this.now));
    if (found) this.select(this.singer, found.first, found.last);
    else say(`${this.name()} is silent here.`);
  }

  selectAll() {
    this.select(this.singer, 0, this.session.count - 1);
  }

  /** Goes to the stretch before or after; with `more`, it is chosen besides. */
  step(direction, more) {
    const track = this.session.tracks[this.singer];
    const {selection} = this;
    let n = selection ? (direction > 0 ? selection.last + 1 : selection.first - 1) : this.frameAt(this.now);
    while (n >= 0 && n < track.length && !track[n]) n += direction;
    const found = n >= 0 && n < track.length ? this.findStretch(this.singer, n) : null;
    if (!found) return say(`${this.name()} sings nothing more ${direction > 0 ? "after" : "before"} this.`);
    if (more && selection) {
      this.select(this.singer, Math.min(selection.first, found.first), Math.max(selection.last, found.last));
    } else this.select(this.singer, found.first, found.last);
    this.reveal();
    return undefined;
  }

  /** Moves an end of the selection as finely as it is seen. */
  moveEdge(edge, direction) {
    const {start, end} = this.shown;
    const frames = Math.max(1, Math.round(((end - start) * FINE) / (this.root.clientWidth || 800) / this.session.step));
    const here = this.frameAt(this.now);
    const next = {...(this.selection ?? {first: here, last: here})};
    next[edge] = Math.min(this.session.count - 1, Math.max(0, next[edge] + direction * frames));
    if (next.first > next.last) next[edge === "first" ? "last" : "first"] = next[edge];
    this.select(this.singer, next.first, next.last);
  }

  /** Brings the selection, or a span in seconds, into sight. */
  reveal(span = this.span, around = 0) {
    if (!span || !this.listening) return;
    const {pictures} = this.listening;
    const {start, end} = pictures.shown;
    if (around || span.from < start || span.to > end) {
      const before = around ? Math.min(end - start, MOST_AROUND) : end - start;
      const seconds = Math.max(around, before, (span.to - span.from) * 1.2);
      pictures.show((span.from + span.to) / 2 - seconds / 2, Math.min(seconds, this.listening.duration));
    }
    const [first, last] = [this.frameAt(span.from), this.frameAt(span.to)];
    const pitches = [...this.session.tracks[this.singer].subarray(first, last + 1)].filter(Boolean);
    if (this.doubt?.hz) pitches.push(this.doubt.hz);
    if (pitches.length) this.view.reveal(pitches.reduce((a, b) => Math.min(a, b)), pitches.reduce((a, b) => Math.max(a, b)));
    this.draw();
  }

  async toggleCandidates() {
    if (this.candidates) {
      this.candidates = null;
      say("Candidates are hidden.");
    } else {
      const {from, to} = this.span ?? {from: this.shown.start, to: this.shown.end};
      const end = Math.min(to, from + 20);
      this.candidates = await askJson(this.session.at(`/candidates?from=${from}&to=${end}`));
      say(`What sounds from ${formatSpan(from, end)} is shown as dots.`);
    }
    this.changed();
  }
}
