"use strict";
/* Joins the player (player.js) and the pictures (drawing.js) to the page. */

const KEYS = [
  ["Space", "play or pause"],
  ["← →", "2 seconds back, forward; with Shift 10"],
  ["Home End", "beginning, end"],
  ["↑ ↓", "choose a track"],
  ["S M", "solo, mute the chosen track"],
  ["+ −", "gain of the chosen track"],
  ["1 … 9", "solo of a track; with Shift mute"],
  ["C", "no solo"],
  ["A B", "the loop begins, ends here"],
  ["L", "loop on or off"],
  ["Esc", "no loop"],
  [", .", "slower, faster"],
  ["Z X", "see less, more time"],
  ["V", "waveforms or spectrograms"],
  ["N", "next place to listen with care"],
  ["D", "dark or light"],
  ["?", "these keys"],
];
const ROLES = {mixture: "all together", residual: "what no singer got", reference: "the truth"};
const MARKED_PIXELS = 5; // a shorter drag is a click

const $ = (selector, root = document) => root.querySelector(selector);

/** An element with properties, attributes (given by `attributes`) and children. */
function make(tag, {attributes = {}, ...properties} = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const formatDecibels = (value) => `${value > 0 ? "+" : value < 0 ? "−" : ""}${Math.abs(value)} dB`;

/* Pieces of sound and pictures: in elements of this page, or in scripts beside it. */

const awaited = new Map();

/** Called by the scripts beside the page. */
function receiveSound(name, piece) {
  awaited.get(name)?.(piece);
  awaited.delete(name);
}

function loadPiece(name, folder) {
  if (folder === null) return Promise.resolve(JSON.parse($(`[data-sound="${name}"]`).textContent));
  return new Promise((resolve, reject) => {
    const script = make("script", {src: `${folder}/sound-${name}.js`});
    awaited.set(name, resolve);
    script.onload = () => script.remove();
    script.onerror = () => reject(new Error(`${decodeURIComponent(folder)}/sound-${name}.js is missing: keep it beside the page`));
    document.head.append(script);
  });
}

/** One recording on the page. */
class Listening {
  constructor(recording, number, folder) {
    this.recording = recording;
    this.number = number;
    this.folder = folder;
    this.duration = recording.length / recording.rate;
    this.shown = {start: 0, end: this.duration};
    this.waves = false;
    this.chosen = 0;
    this.tiles = new Map(); // piece -> per track {grey, start, seconds}; a few at a time
    this.loading = new Set();
    this.recent = new Map(); // piece -> promise of what its file holds
    this.player = new Player({
      ...recording,
      load: async (index) =>
        (await this._fetch(index)).sound.map((text) => decodeBase64(text).buffer),
    });
    this.abort = new AbortController(); // ends all listeners
    this.rows = recording.tracks.map((track, t) => this._buildRow(track, t));
    $("#tracks").replaceChildren(...this.rows.map(({row}) => row));
    this._buildRemarks();
    this._bind();
    this.player.seek(0).catch((error) => fail(error)); // decodes the beginning
    this._readOverviews();
    this.update();
    this._animate();
  }

  close() {
    this.abort.abort();
    cancelAnimationFrame(this.frame);
    this.player.close();
  }

  _fetch(index) {
    if (!this.recent.has(index)) {
      this.recent.set(index, loadPiece(`${this.number}-${index}`, this.folder));
      for (const old of this.recent.keys()) {
        if (this.recent.size <= 2) break;
        this.recent.delete(old);
      }
    }
    return this.recent.get(index);
  }

  _buildRow(track, t) {
    const text = track.name;
    const colour = this._voice(track);
    const solo = make("button", {type: "button", className: "solo", textContent: "S", title: `Solo (S, ${t + 1})`,
      onclick: () => this.toggleSolo(t), attributes: {"aria-label": `Solo ${text}`, "aria-pressed": "false"}});
    const mute = make("button", {type: "button", className: "mute", textContent: "M", title: `Mute (M, Shift ${t + 1})`,
      onclick: () => this.toggleMute(t), attributes: {"aria-label": `Mute ${text}`, "aria-pressed": "false"}});
    const gain = make("input", {type: "range", min: -30, max: 12, step: 1, value: 0,
      oninput: () => this.setGain(t, Number(gain.value)), attributes: {"aria-label": `Gain of ${text}`}});
    const number = make("output", {textContent: "0 dB"});
    const pitch = make("span", {className: "pitch"});
    const info = make("span", {className: "info", textContent: this._describe(track)});
    const bar = make("i");
    const meter = make("div", {className: "meter", attributes: {"aria-hidden": "true"}}, bar);
    const canvas = make("canvas", {attributes: {role: "img", "aria-label": `Picture of ${text}`}});
    const cursor = make("div", {className: "cursor"});
    const range = make("div", {className: "range"});
    const picture = make("div", {className: "picture"}, canvas, range, cursor, pitch);
    const head = make("div", {className: "head"}, make("span", {className: "name", textContent: text, title: text}),
      info, make("div", {className: "two"}, solo, mute), make("div", {className: "gain"}, gain, number), meter);
    const row = make("li", {className: "track"}, head, picture);
    if (colour) row.style.setProperty("--voice", `var(${colour})`);
    return {row, solo, mute, gain, number, pitch, bar, meter, canvas, cursor, range, picture, colour,
      f0: track.f0 === null ? null : decodeF0(track.f0), peaks: decodeBase64(track.peaks), overview: null};
  }

  /** The colour of a singer, and of the reference with the same name. */
  _voice(track) {
    const stems = this.recording.tracks.filter(({role}) => role === "stem");
    const index = track.role === "reference"
      ? stems.findIndex(({name}) => name === track.name) : stems.indexOf(track);
    return index < 0 ? null : `--voice-${index % 6}`;
  }

  _describe(track) {
    const level = track.decibels === null ? "silent"
      : `${String(Math.round(track.decibels)).replace("-", "−")} dB`;
    return ROLES[track.role] ? `${level} · ${ROLES[track.role]}` : level;
  }

  _buildRemarks() {
    const items = this.recording.remarks.map(({text, spans}) => {
      const item = make("li", {}, `${text}${spans.length ? ": " : "."}`);
      for (const [start, end] of spans) {
        const name = end > start ? `${formatTime(start)} – ${formatTime(end)}` : formatTime(start);
        item.append(make("button", {type: "button", textContent: name, onclick: () => this.visit(start, end),
          attributes: {"aria-label": `Listen at ${name}`}}));
      }
      return item;
    });
    $("#remarks ul").replaceChildren(...items);
    $("#remarks").hidden = !items.length;
    this.places = this.recording.remarks.flatMap(({spans}) => spans).sort((a, b) => a[0] - b[0]);
    for (const section of document.querySelectorAll(".scores")) {
      section.hidden = Number(section.dataset.recording) !== this.number;
    }
    const {rate, gain, tracks} = this.recording;
    const shift = 20 * Math.log10(gain);
    const louder = Math.abs(shift) < 0.05 ? "as loud as the recording"
      : `${Math.abs(shift).toFixed(1)} dB ${shift > 0 ? "louder" : "softer"} than the recording`;
    $("#facts").textContent = `${tracks.length} tracks, ${formatTime(this.duration)} min, ${rate / 1000} kHz, ` +
      `16 bits; all are played ${louder}. Pictures: ${this.recording.lowest} Hz to ` +
      `${this.recording.highest / 1000} kHz. Made by umss.`;
  }

  /* What keys and buttons do. */

  toggle() {
    return this._try(this.player.toggle());
  }

  seek(seconds) {
    const to = Math.min(this.duration, Math.max(0, seconds));
    this._try(this.player.seek(to));
    this._reveal(to);
  }

  /** Goes a little before a place, so that one hears how it comes about. */
  visit(start) {
    this.seek(start - 0.5);
    if (!this.player.playing) this.toggle();
  }

  visitNext() {
    const next = this.places.find(([start]) => start - 0.5 > this.player.position + 0.1) || this.places[0];
    if (next) this.visit(...next);
  }

  toggleSolo(t) {
    this.player.setSolo(t, !this.player.tracks[t].solo);
  }

  /** Mutes a track, also one that is silent because others are soloed. */
  toggleMute(t) {
    this.player.setMuted(t, !this.player.tracks[t].muted);
  }

  setGain(t, decibels) {
    this.player.setGain(t, Math.min(12, Math.max(-30, decibels)));
  }

  choose(t) {
    this.chosen = Math.min(this.rows.length - 1, Math.max(0, t));
    this.rows[this.chosen].row.scrollIntoView({block: "nearest"});
    this.update();
  }

  setEdge(edge) {
    const now = this.player.position;
    const loop = this.player.loop || {start: 0, end: this.duration};
    const next = {...loop, [edge]: now};
    if (next.end - next.start < 0.05) next[edge === "start" ? "end" : "start"] = edge === "start" ? this.duration : 0;
    this._try(this.player.setLoop(next.start, next.end));
  }

  toggleLoop() {
    if (this.player.loop) this._try(this.player.setLooping(!this.player.looping));
    else this._try(this.player.setLoop(this.shown.start, this.shown.end));
  }

  setTempo(percent) {
    this._try(this.player.setTempo(Math.min(100, Math.max(50, percent)) / 100));
  }

  /** Shows less (factor < 1) or more time around the cursor. */
  zoom(factor) {
    const {start, end} = this.shown;
    const seconds = Math.min(this.duration, Math.max(1, (end - start) * factor));
    const now = this.player.position;
    const centre = now >= start && now <= end ? now : (start + end) / 2;
    this._show(centre - seconds / 2, seconds);
  }

  _show(start, seconds) {
    const from = Math.max(0, Math.min(start, this.duration - seconds));
    this.shown = {start: from, end: from + Math.min(seconds, this.duration)};
    this.draw();
  }

  /** Turns the pages of a picture so that a time is seen. */
  _reveal(time) {
    const {start, end} = this.shown;
    if (time < start || time > end) this._show(time - 0.1 * (end - start), end - start);
  }

  toggleView() {
    this.waves = !this.waves;
    this.update();
    this.draw();
  }

  _try(promise) {
    return Promise.resolve(promise).catch(fail);
  }

  /* Listeners. */

  _bind() {
    const on = (selector, event, action) =>
      $(selector).addEventListener(event, action, {signal: this.abort.signal});
    on("#play", "click", () => this.toggle());
    on("#loop-a", "click", () => this.setEdge("start"));
    on("#loop-b", "click", () => this.setEdge("end"));
    on("#loop", "click", () => this.toggleLoop());
    on("#tempo", "input", (event) => this.setTempo(Number(event.target.value)));
    on("#volume", "input", (event) => this.player.setVolume(Number(event.target.value)));
    on("#view", "click", () => this.toggleView());
    on("#zoom-in", "click", () => this.zoom(0.5));
    on("#zoom-out", "click", () => this.zoom(2));
    on("#seek", "input", (event) => this.seek(Number(event.target.value)));
    $("#seek").max = this.duration;
    this._mark($("#overview"), () => ({start: 0, end: this.duration}));
    this.rows.forEach(({picture, row}, t) => {
      this._mark(picture, () => this.shown);
      row.addEventListener("pointerdown", () => this.choose(t), {signal: this.abort.signal});
    });
    this.player.addEventListener("change", () => this.update());
    this.player.addEventListener("failure", (event) => fail(event.detail));
    new ResizeObserver((_, observer) => {
      if (this.abort.signal.aborted) observer.disconnect();
      else this.draw();
    }).observe($("#tracks"));
  }

  /** A click goes there, a drag marks a loop. */
  _mark(element, view) {
    let begun = null;
    const timeAt = (event) => {
      const {left, width} = element.getBoundingClientRect();
      const {start, end} = view();
      return start + Math.min(1, Math.max(0, (event.clientX - left) / width)) * (end - start);
    };
    const on = (name, action) => element.addEventListener(name, action, {signal: this.abort.signal});
    on("pointerdown", (event) => {
      if (event.button) return;
      begun = {x: event.clientX, time: timeAt(event)};
      element.setPointerCapture(event.pointerId);
    });
    on("pointermove", (event) => {
      if (begun && Math.abs(event.clientX - begun.x) > MARKED_PIXELS) {
        this.marking = [begun.time, timeAt(event)].sort((a, b) => a - b);
      }
    });
    on("pointerup", (event) => {
      if (!begun) return;
      if (this.marking) {
        const [start, end] = this.marking;
        this._try(this.player.setLoop(start, end));
        this.seek(start);
      } else this.seek(timeAt(event));
      begun = this.marking = null;
    });
    on("pointercancel", () => (begun = this.marking = null));
    on("wheel", (event) => {
      const {start, end} = this.shown;
      if (!event.ctrlKey && Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
        event.preventDefault();
        this._show(start + (event.deltaX / element.clientWidth) * (end - start), end - start);
      }
    });
  }

  press(event) {
    const digit = /^Digit([1-9])$/.exec(event.code);
    if (digit) {
      const t = Number(digit[1]) - 1;
      if (t >= this.rows.length) return false;
      if (event.shiftKey) this.toggleMute(t);
      else this.toggleSolo(t);
      return true;
    }
    const step = event.shiftKey ? 10 : 2;
    const now = this.player.position;
    const gain = this.player.tracks[this.chosen].gain;
    const actions = {
      " ": () => this.toggle(),
      ArrowLeft: () => this.seek(now - step),
      ArrowRight: () => this.seek(now + step),
      Home: () => this.seek(0),
      End: () => this.seek(this.duration),
      ArrowUp: () => this.choose(this.chosen - 1),
      ArrowDown: () => this.choose(this.chosen + 1),
      s: () => this.toggleSolo(this.chosen),
      m: () => this.toggleMute(this.chosen),
      "+": () => this.setGain(this.chosen, gain + 1),
      "-": () => this.setGain(this.chosen, gain - 1),
      c: () => this.player.clearSolo(),
      a: () => this.setEdge("start"),
      b: () => this.setEdge("end"),
      l: () => this.toggleLoop(),
      Escape: () => this._try(this.player.clearLoop()),
      ",": () => this.setTempo(100 * this.player.tempo - 5),
      ".": () => this.setTempo(100 * this.player.tempo + 5),
      z: () => this.zoom(0.5),
      x: () => this.zoom(2),
      v: () => this.toggleView(),
      n: () => this.visitNext(),
    };
    const action = actions[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (action) action();
    return Boolean(action);
  }

  /* What is seen. */

  /** Brings buttons and numbers up to date. */
  update() {
    const {player} = this;
    document.body.classList.toggle("playing", player.playing);
    $("#play").setAttribute("aria-label", player.playing ? "Pause" : "Play");
    $("#loop").setAttribute("aria-pressed", player.looping);
    $("#view").setAttribute("aria-pressed", this.waves);
    $("#tempo").value = Math.round(100 * player.tempo);
    $("#tempo-text").value = `${Math.round(100 * player.tempo)} %`;
    $("#volume").value = player.volume;
    $("#volume-text").value = formatDecibels(player.volume);
    $("#duration").textContent = formatTime(this.duration);
    this.rows.forEach(({row, solo, mute, gain, number}, t) => {
      const track = player.tracks[t];
      solo.setAttribute("aria-pressed", track.solo);
      mute.setAttribute("aria-pressed", track.muted);
      gain.value = track.gain;
      gain.setAttribute("aria-valuetext", formatDecibels(track.gain));
      number.value = formatDecibels(track.gain);
      row.classList.toggle("silent", !player.isHeard(t));
      row.classList.toggle("chosen", t === this.chosen);
    });
  }

  async _readOverviews() {
    await Promise.all(this.recording.tracks.map(async (track, t) => {
      this.rows[t].overview = await readGrey(track.overview);
    }));
    this.draw();
  }

  /** Draws pictures and ruler anew. */
  draw() {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const {recording, shown, duration} = this;
    const ink = readColour(colour("--grey"));
    const whole = {start: 0, end: duration};
    const first = Math.max(0, recording.tracks.findIndex(({role}) => role === "mixture"));
    drawWave(fitCanvas($("#overview canvas")), this.rows[first].peaks, recording.peaks, whole, colour("--wave"));
    drawRuler(fitCanvas($("#ruler")), shown, colour("--soft"));
    const close = shown.end - shown.start <= MOST_TILES_SECONDS;
    if (close && !this.waves) this._wantTiles();
    this.rows.forEach((row, t) => {
      const target = fitCanvas(row.canvas);
      if (this.waves) {
        drawWave(target, row.peaks, recording.peaks, shown, colour(row.colour || "--wave"));
        return;
      }
      if (row.overview) {
        row.inked = row.inked?.theme === ink.join() ? row.inked
          : {theme: ink.join(), canvas: inkGrey(row.overview, ink)};
        const tiles = close ? this._tiles(t, ink) : null;
        drawTiles(target, tiles || [{canvas: row.inked.canvas, start: 0, seconds: duration}], shown);
      }
      const singers = recording.tracks[t].role === "mixture"
        ? this.rows.filter((_, k) => recording.tracks[k].role === "stem") : [row];
      for (const {f0, colour: name} of singers) {
        if (f0) drawF0(target, f0, recording.frame, shown, recording, colour(name || "--accent"), colour("--edge"));
      }
    });
  }

  /** The tiles of a track that are shown; null while one is missing. */
  _tiles(t, ink) {
    const [first, last] = this._shownPieces();
    const tiles = [];
    for (let i = first; i <= last; i++) {
      const tile = this.tiles.get(i)?.[t];
      if (!tile) return null;
      if (tile.theme !== ink.join()) Object.assign(tile, {theme: ink.join(), canvas: inkGrey(tile.grey, ink)});
      tiles.push(tile);
    }
    return tiles;
  }

  _shownPieces() {
    const seconds = this.recording.piece / this.recording.rate;
    const last = Math.min(this.recording.pieces - 1, Math.floor(this.shown.end / seconds));
    return [Math.floor(this.shown.start / seconds), last];
  }

  /** Reads the tiles that are shown, and forgets others. */
  async _wantTiles() {
    const [first, last] = this._shownPieces();
    for (const index of this.tiles.keys()) if (index < first - 1 || index > last + 1) this.tiles.delete(index);
    const seconds = this.recording.piece / this.recording.rate;
    for (let index = first; index <= last; index++) {
      if (this.tiles.has(index) || this.loading.has(index)) continue;
      this.loading.add(index);
      try {
        const {picture} = await this._fetch(index);
        const greys = await Promise.all(picture.map(readGrey));
        this.tiles.set(index, greys.map((grey) =>
          ({grey, start: index * seconds, seconds: grey.width / this.recording.columns})));
      } catch (error) {
        fail(error);
        return;
      } finally {
        this.loading.delete(index);
      }
      this.draw();
    }
  }

  _animate() {
    const step = () => {
      this.frame = requestAnimationFrame(step);
      this.tick();
    };
    step();
  }

  /** Moves cursors, ranges and meters. */
  tick() {
    const {player, shown, duration} = this;
    const now = player.position;
    if (player.playing && !this.marking && now > shown.end && shown.end < duration) this._reveal(now);
    if (player.playing && now < shown.start) this._reveal(now);
    const clock = formatTime(now);
    if ($("#now").textContent !== clock) $("#now").textContent = clock;
    if (document.activeElement !== $("#seek") || player.playing) $("#seek").value = now;
    $("#seek").setAttribute("aria-valuetext", clock);
    const whole = {start: 0, end: duration};
    place($("#overview .cursor"), now, now, whole);
    this._placeRange($("#overview .range"), whole);
    const part = shown.end - shown.start < duration - 0.01;
    place($("#overview .window"), part ? shown.start : null, shown.end, whole);
    this.rows.forEach(({cursor, range, pitch, bar, meter, f0}, t) => {
      place(cursor, now >= shown.start && now <= shown.end ? now : null, now, shown);
      this._placeRange(range, shown);
      const hertz = f0 ? f0[Math.round(now / this.recording.frame)] : 0;
      const note = hertz ? nameNote(hertz) : null;
      const text = note ? `${note.name} ${note.cents} ct` : "";
      if (pitch.textContent !== text) pitch.textContent = text;
      const peak = player.level(t);
      const level = peak > 0 ? Math.max(0, 1 + (20 * Math.log10(peak)) / 50) : 0;
      bar.style.transform = `scaleX(${Math.min(1, level)})`;
      meter.classList.toggle("loud", peak > 1);
    });
  }

  _placeRange(element, view) {
    const {loop, looping} = this.player;
    const [start, end] = this.marking || (loop ? [loop.start, loop.end] : [null, 0]);
    element.classList.toggle("off", !this.marking && !looping);
    place(element, start, end, view);
  }
}

/** Puts an element from a time to another; nowhere if `start` is null. */
function place(element, start, end, view) {
  element.style.display = start === null ? "none" : "block";
  if (start === null) return;
  const width = element.parentElement.clientWidth;
  const scale = width / (view.end - view.start);
  element.style.transform = `translateX(${(start - view.start) * scale}px)`;
  if (end > start) element.style.width = `${(end - start) * scale}px`;
}

function fail(error) {
  if (!error) return;
  $("#failure").textContent = error.message || String(error);
  $("#failure").hidden = false;
}

/* The page. */

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  $("#theme").textContent = theme === "dark" ? "Light" : "Dark";
}

function main() {
  const content = JSON.parse($("#content").textContent);
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  setTheme(system.matches ? "dark" : "light");
  let listening = null;
  const open = (number) => {
    if (listening) listening.close();
    $("#failure").hidden = true;
    listening = new Listening(content.recordings[number], number, content.folder);
    window.listening = listening;
  };
  const show = (theme) => {
    setTheme(theme);
    listening.draw();
  };
  const flip = () => show(document.documentElement.dataset.theme === "dark" ? "light" : "dark");
  system.addEventListener("change", () => show(system.matches ? "dark" : "light"));
  $("#theme").addEventListener("click", flip);
  $("#keys dl").append(...KEYS.flatMap(([keys, text]) => [
    make("dt", {}, ...keys.split(" ").flatMap((key) => [key === "…" ? key : make("kbd", {textContent: key}), " "])),
    make("dd", {textContent: text}),
  ]));
  $("#help").addEventListener("click", () => $("#keys").showModal());
  $("#recording").addEventListener("change", (event) => open(Number(event.target.value)));
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || $("#keys").open) return;
    const target = event.target.closest("input, select, button, dialog");
    const own = {range: ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End"]}[target?.type];
    if (own?.includes(event.key) || (target?.matches("button") && event.key === " ")) return;
    if (target?.matches("select")) return;
    if (event.key === "?") $("#keys").showModal();
    else if (event.key.toLowerCase() === "d") flip();
    else if (!listening.press(event)) return;
    event.preventDefault();
  });
  // After a click, keys go to the player again: space plays, arrows seek.
  document.addEventListener("click", (event) => {
    if (event.detail) event.target.closest("button, input")?.blur();
  });
  // Paper is white, and shows everything.
  let before = null;
  window.addEventListener("beforeprint", () => {
    before = {theme: document.documentElement.dataset.theme, shown: listening.shown};
    listening.shown = {start: 0, end: listening.duration};
    show("light");
  });
  window.addEventListener("afterprint", () => {
    if (before) {
      listening.shown = before.shown;
      show(before.theme);
    }
    before = null;
  });
  open(0);
}

main();
