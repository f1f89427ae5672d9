/* Editing singers: pitch, intonation, vibrato, formants, colour, levels, new voices. */

import {attempt, say} from "./messages.js";
import {buildVoice, readVoice} from "./voice-form.js";
import {hear, hush} from "./stretch.js";

const LATER = 600; // ms after the last change until it is sent
const LONGEST = 20; // seconds of a preview
const USUAL = 6;

export class Edits {
  constructor(editor) {
    this.editor = editor; // knows the chosen stretch and the playhead
    this.session = null;
    this.draft = {}; // as it is typed
    this.unsent = false;
    this._sent = ""; // what the server has
    this._timer = null;
    const on = (id, action) => $(`#${id}`).addEventListener("click", () => attempt(action));
    on("preview", () => this.preview());
    on("preview-before", () => {
      hush();
      return this._hear("/preview/stem", {track: "recording"});
    });
    on("make-edited", async () => {
      await this.send();
      await this.session.start(["edit"]);
    });
    on("no-edits", async () => {
      this.draft = {};
      this._build();
      await this._change(0);
    });
    $("#new-voice").addEventListener("submit", (event) => {
      event.preventDefault();
      attempt(() => this._addVoice());
    });
  }

  show(session) {
    const other = session.project.id !== this.session?.project.id;
    this.session = session;
    const {edits, singers, results} = session.project;
    $("#edit-first").hidden = Boolean(results.separated);
    for (const id of ["preview", "preview-before"]) $(`#${id}`).disabled = !results.separated;
    const known = JSON.stringify([edits, singers]);
    if (other || (!this.unsent && known !== this._sent)) {
      this.draft = structuredClone(edits);
      this.unsent = false;
      this._sent = known;
      this._build();
    }
    this._tellState();
  }

  /** Where the preview will be, in words; called when the stretch changes. */
  showStretch() {
    const {from, to} = this._stretch();
    $("#preview-what").textContent = `The stretch: ${formatTime(from)} to ${formatTime(to)} (chosen in Pitch, else the loop, ` +
      "else what follows the playhead).";
  }

  _stretch() {
    const {editor} = this;
    const player = editor.listening?.player;
    const loop = player?.looping ? {from: player.loop.start, to: player.loop.end} : null;
    const end = this.session?.project.recording.seconds ?? USUAL;
    const chosen = editor.span && editor.span.to - editor.span.from > 0.1 ? editor.span : null;
    const from = Math.min(editor.now, Math.max(0, end - 1));
    const {from: begin, to} = chosen ?? loop ?? {from, to: Math.min(end, from + USUAL)};
    return {from: begin, to: Math.min(to, begin + LONGEST)};
  }

  async preview() {
    if (hush()) return say("Quiet.");
    return this._hear("/preview/edit", {edits: this.draft, residual: true});
  }

  async _hear(rest, content) {
    this.editor.listening?.player.pause();
    $("#edit-state").textContent = "One moment …";
    const label = (text) => ($("#preview").textContent = text);
    try {
      await hear(this.session.at(rest), {...content, ...this._stretch()}, () => label("Hear the stretch"));
      label("Stop");
    } finally {
      this._tellState();
    }
  }

  _tellState() {
    const {edited} = this.session.project.results;
    const any = Object.keys(this.draft).length;
    $("#edit-state").textContent = this.unsent ? "Not yet saved."
      : edited && !edited.stale ? "The edited stems are up to date."
        : edited ? "The edited stems are older than these edits."
          : any ? "Saved; the edited stems are not yet made." : "";
    $("#no-edits").disabled = !any;
    $("#make-edited").disabled = !any || this.session.running || !this.session.project.results.separated;
  }

  _build() {
    const {singers} = this.session.project;
    const open = new Set([...$("#voices").querySelectorAll("details[open]")].map((more) => more.dataset.voice));
    const added = Object.keys(this.draft).filter((name) => !singers.includes(name));
    $("#voices").replaceChildren(...[...singers, ...added].map((name) => {
      const card = buildVoice(name, this.draft[name] ?? {}, singers);
      card.addEventListener("input", () => attempt(() => this._change(LATER)));
      card.querySelector(".swap-voices")?.addEventListener("change", (event) => attempt(() => this._swap(name, event.target)));
      card.querySelector(".drop-voice")?.addEventListener("click", () => attempt(() => {
        delete this.draft[name];
        this._build();
        return this._change(0, false);
      }));
      if (open.has(name)) card.querySelector("details").open = true;
      return card;
    }));
    $("#copy-of").replaceChildren(...singers.map((name) => new Option(name, name)));
  }

  _addVoice() {
    const name = $("#copy-name").value.trim();
    if (!name) throw new Error("Give the new voice a name.");
    if (this.draft[name]) throw new Error(`There is a voice of the name ${name} already.`);
    this.draft[name] = {copy_of: $("#copy-of").value};
    $("#copy-name").value = "";
    this._build();
    return this._change(0, false);
  }

  /** Two singers get each other's colour. */
  _swap(name, select) {
    const other = select.value;
    select.value = "";
    if (!other) return undefined;
    this.draft[name] = {...this.draft[name], timbre: other};
    this.draft[other] = {...this.draft[other], timbre: name};
    this._build();
    return this._change(0, false);
  }

  /** Takes what is typed, and sends it soon. */
  _change(later, read = true) {
    if (read) {
      for (const card of $("#voices").children) {
        const fields = readVoice(card);
        if (Object.keys(fields).length) this.draft[card.dataset.voice] = fields;
        else delete this.draft[card.dataset.voice];
      }
    }
    this.unsent = true;
    this._tellState();
    clearTimeout(this._timer);
    if (later) this._timer = setTimeout(() => attempt(() => this.send()), later);
    else return this.send();
    return undefined;
  }

  /** Sends edits that were not yet sent; they stay here if that fails. */
  async send() {
    clearTimeout(this._timer);
    if (!this.unsent || !this.session) return undefined;
    const {session} = this;
    const sending = structuredClone(this.draft);
    if (JSON.stringify(sending) === JSON.stringify(session.project.edits)) { // typed and taken back
      this.unsent = false;
      return void this._tellState();
    }
    this._sent = JSON.stringify([sending, session.project.singers]);
    await session.change("PUT", "/edits", {edits: sending});
    session.project.edits = sending;
    if (session !== this.session) return undefined;
    this.unsent = JSON.stringify(sending) !== JSON.stringify(this.draft);
    return void this._tellState();
  }
}
