"use strict";
/* One recording on the page: its rows, what buttons do, what moves while it plays. */

const ROLES = {mixture: "the sum", residual: "the rest", reference: "true stem"};
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

/** One recording on the page. */
class Listening {
  /**
   * @param {Object} recording {rate, length, piece, pieces, columns, peaks, lowest, highest, frame,
   *   tracks: [{name, role, channels, heard, decibels, f0, peaks}]}
   * @param {Object} source {sound(index), overviews(), pictures(index)}: promises per track
   */
  constructor(recording, source) {
    this.recording = recording;
    this.source = source;
    this.duration = recording.length / recording.rate;
    this.chosen = 0;
    this.places = []; // [start, end] in seconds, to be visited
    this.player = new Player({...recording, load: (index) => source.sound(index)});
    this.abort = new AbortController(); // ends all listeners
    this.rows = recording.tracks.map((track, t) => this._buildRow(track, t));
    $("#tracks").replaceChildren(...this.rows.map(({row}) => row));
    this.pictures = new Pictures(recording, this.rows, source);
    this._bind();
    this.attempt(this.player.seek(0)); // decodes the beginning
    this.update();
    this._animate();
  }

  close() {
    this.abort.abort();
    cancelAnimationFrame(this.frame);
    this.player.close();
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
      f0: track.f0, peaks: track.peaks, overview: undefined};
  }

  /** The colour of a singer, and of the reference with the same name. */
  _voice(track) {
    const stems = this.recording.tracks.filter(({role}) => role === "stem");
    const index = track.singer ?? (track.role === "reference"
      ? stems.findIndex(({name}) => name === track.name) : stems.indexOf(track));
    return index < 0 ? null : `--voice-${index % 6}`;
  }

  _describe(track) {
    const level = track.decibels === null ? "silent"
      : track.decibels === undefined ? "" : `${String(Math.round(track.decibels)).replace("-", "−")} dB`;
    return [level, ROLES[track.role]].filter(Boolean).join(" · ");
  }

  /* What keys and buttons do. */

  toggle() {
    return this.attempt(this.player.toggle());
  }

  seek(seconds) {
    const to = Math.min(this.duration, Math.max(0, seconds));
    this.attempt(this.player.seek(to));
    this.pictures.reveal(to);
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
    this.attempt(this.player.setLoop(next.start, next.end));
  }

  toggleLoop() {
    if (this.player.loop) this.attempt(this.player.setLooping(!this.player.looping));
    else this.attempt(this.player.setLoop(this.pictures.shown.start, this.pictures.shown.end));
  }

  setTempo(percent) {
    this.attempt(this.player.setTempo(Math.min(100, Math.max(50, percent)) / 100));
  }

  zoom(factor) {
    this.pictures.zoom(factor, this.player.position);
  }

  toggleView() {
    this.pictures.waves = !this.pictures.waves;
    this.update();
    this.pictures.draw();
  }

  attempt(promise) {
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
      this._mark(picture, () => this.pictures.shown);
      row.addEventListener("pointerdown", () => this.choose(t), {signal: this.abort.signal});
    });
    this.player.addEventListener("change", () => this.update());
    this.player.addEventListener("failure", (event) => fail(event.detail));
    new ResizeObserver((_, observer) => {
      if (this.abort.signal.aborted) observer.disconnect();
      else this.pictures.draw();
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
        this.attempt(this.player.setLoop(start, end));
        this.seek(start);
      } else this.seek(timeAt(event));
      begun = this.marking = null;
    });
    on("pointercancel", () => (begun = this.marking = null));
    on("wheel", (event) => {
      const {start, end} = this.pictures.shown;
      if (!event.ctrlKey && Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
        event.preventDefault();
        this.pictures.show(start + (event.deltaX / element.clientWidth) * (end - start), end - start);
      }
    });
  }

  /* What is seen. */

  /** Brings buttons and numbers up to date. */
  update() {
    const {player} = this;
    document.body.classList.toggle("playing", player.playing);
    $("#play").setAttribute("aria-label", player.playing ? "Pause" : "Play");
    $("#loop").setAttribute("aria-pressed", player.looping);
    $("#view").setAttribute("aria-pressed", this.pictures.waves);
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

  _animate() {
    const step = () => {
      this.frame = requestAnimationFrame(step);
      this.tick();
    };
    step();
  }

  /** Moves cursors, ranges and meters. */
  tick() {
    const {player, duration, pictures: {shown}} = this;
    const now = player.position;
    if (player.playing && !this.marking && now > shown.end && shown.end < duration) this.pictures.reveal(now);
    if (player.playing && now < shown.start) this.pictures.reveal(now);
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
