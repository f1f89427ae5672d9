"use strict";
/* The page of files: what it holds, the choice of the recording, remarks, paper. */

/* Pieces of sound and pictures: in elements of this page, or in scripts beside it. */

const awaited = new Map(); // name -> {promise, resolve} of a script that is being read

/** Called by the scripts beside the page. */
function receiveSound(name, piece) {
  awaited.get(name)?.resolve(piece);
}

function loadPiece(name, folder) {
  if (folder === null) return Promise.resolve(JSON.parse($(`[data-sound="${name}"]`).textContent));
  if (awaited.has(name)) return awaited.get(name).promise;
  const entry = {};
  entry.promise = new Promise((resolve, reject) => {
    entry.resolve = resolve;
    const script = make("script", {src: `${folder}/sound-${name}.js`});
    script.onload = script.onerror = () => {
      script.remove();
      awaited.delete(name);
      reject(new Error(`${decodeURIComponent(folder)}/sound-${name}.js is missing: keep it beside the page`));
    };
    document.head.append(script);
  });
  awaited.set(name, entry);
  return entry.promise;
}

const readPicture = (base64) => readGrey(`data:image/png;base64,${base64}`);

/** Where a recording's sound and pictures come from. */
class Source {
  constructor(recording, number, folder) {
    this.recording = recording;
    this.number = number;
    this.folder = folder;
    this.recent = new Map(); // piece -> promise of what its file holds
  }

  fetch(index) {
    if (!this.recent.has(index)) {
      this.recent.set(index, loadPiece(`${this.number}-${index}`, this.folder));
      for (const old of this.recent.keys()) {
        if (this.recent.size <= 2) break;
        this.recent.delete(old);
      }
    }
    return this.recent.get(index);
  }

  async sound(index) {
    return (await this.fetch(index)).sound.map((text) => decodeBase64(text).buffer);
  }

  async pictures(index) {
    return Promise.all((await this.fetch(index)).picture.map(readPicture));
  }

  overviews() {
    return Promise.all(this.recording.tracks.map(({overview}) => readPicture(overview)));
  }
}

/** A recording of the page, its tracks decoded. */
function openRecording(recording, number, folder) {
  const tracks = recording.tracks.map((track) => ({
    ...track,
    f0: track.f0 === null ? null : decodeF0(track.f0),
    peaks: decodeBase64(track.peaks),
  }));
  const listening = new Listening({...recording, tracks}, new Source(recording, number, folder));
  showRemarks(listening, recording.remarks);
  for (const section of document.querySelectorAll(".scores")) {
    section.hidden = Number(section.dataset.recording) !== number;
  }
  const {rate, gain, lowest, highest} = recording;
  const shift = 20 * Math.log10(gain);
  const louder = Math.abs(shift) < 0.05 ? "as loud as the recording"
    : `${Math.abs(shift).toFixed(1)} dB ${shift > 0 ? "louder" : "softer"} than the recording`;
  $("#facts").textContent = `${tracks.length} tracks, ${formatTime(listening.duration)} min, ${rate / 1000} kHz, ` +
    `16 bits; all are played ${louder}. Pictures: ${lowest} Hz to ${highest / 1000} kHz. Made by umss.`;
  return listening;
}

/** Places to listen to with care. */
function showRemarks(listening, remarks) {
  const items = remarks.map(({text, spans}) => {
    const item = make("li", {}, `${text}${spans.length ? ": " : "."}`);
    for (const [start, end] of spans) {
      const name = end > start ? `${formatTime(start)} – ${formatTime(end)}` : formatTime(start);
      item.append(make("button", {type: "button", textContent: name, onclick: () => listening.visit(start, end),
        attributes: {"aria-label": `Listen at ${name}`}}));
    }
    return item;
  });
  $("#remarks ul").replaceChildren(...items);
  $("#remarks").hidden = !items.length;
  listening.places = remarks.flatMap(({spans}) => spans).sort((a, b) => a[0] - b[0]);
}

function main() {
  const content = JSON.parse($("#content").textContent);
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  setTheme(system.matches ? "dark" : "light");
  let listening = null;
  const open = (number) => {
    if (listening) listening.close();
    $("#failure").hidden = true;
    listening = openRecording(content.recordings[number], number, content.folder);
    window.listening = listening;
  };
  const show = (theme) => {
    setTheme(theme);
    listening.pictures.draw();
  };
  const flip = () => show(document.documentElement.dataset.theme === "dark" ? "light" : "dark");
  system.addEventListener("change", () => show(system.matches ? "dark" : "light"));
  $("#theme").addEventListener("click", flip);
  $("#keys dl").append(...listKeys(KEYS));
  $("#help").addEventListener("click", () => $("#keys").showModal());
  $("#recording").addEventListener("change", (event) => open(Number(event.target.value)));
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || $("#keys").open) return;
    if (ownsKey(event.target, event.key)) return;
    if (event.key === "?") $("#keys").showModal();
    else if (event.key.toLowerCase() === "d") flip();
    else if (!press(listening, event)) return;
    event.preventDefault();
  });
  // After a click, keys go to the player again: space plays, arrows seek.
  document.addEventListener("click", (event) => {
    if (event.detail) event.target.closest("button, input")?.blur();
  });
  // Paper is white, and shows everything.
  let before = null;
  window.addEventListener("beforeprint", () => {
    before = {theme: document.documentElement.dataset.theme, shown: listening.pictures.shown};
    listening.pictures.shown = {start: 0, end: listening.duration};
    show("light");
  });
  window.addEventListener("afterprint", () => {
    if (before) {
      listening.pictures.shown = before.shown;
      show(before.theme);
    }
    before = null;
  });
  open(0);
}

main();
