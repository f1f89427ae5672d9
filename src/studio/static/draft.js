/* A drawn line before it is sent: seen and heard as it would be sung, then taken or dropped. */

import {askJson} from "./api.js";
import {attempt, formatSpan, say} from "./messages.js";
import {hear, hush, LONGEST} from "./stretch.js";

export class Draft {
  /** `send` sends an operation. */
  constructor(editor, send) {
    this.editor = editor;
    this.send = send;
    $("#draft-hear").addEventListener("click", () => attempt(() => this.listen()));
    $("#draft-take").addEventListener("click", () => this.take());
    $("#draft-drop").addEventListener("click", () => this.drop());
    editor.addEventListener("change", () => this._show());
  }

  get waits() {
    return this.editor.draft !== null;
  }

  /** Snaps a line of points [seconds, Hz] to what sounds, shows it and sings it. */
  begin(points) {
    const {editor} = this;
    const rounded = points.map(([s, hertz]) => [Number(s.toFixed(4)), Number(hertz.toFixed(2))]);
    const draft = {operation: {kind: "draw", singer: editor.singer, points: rounded, snap: true},
      singer: editor.singer, from: Math.max(0, rounded[0][0]), to: rounded.at(-1)[0], line: null, asked: new AbortController()};
    this._stopAsking();
    editor.draft = draft;
    editor.changed();
    return attempt(async () => {
      const {session} = editor;
      try {
        const {changes} = await askJson(session.at("/preview/operation"),
          {method: "POST", json: {operation: draft.operation}, signal: draft.asked.signal});
        draft.line = {first: changes[0].first, f0: Float32Array.from(changes[0].f0)};
      } catch (error) {
        if (editor.draft === draft) this._forget();
        throw error;
      }
      if (editor.draft !== draft) return;
      editor.changed();
      say(`${this._describe()}. Enter takes it, Escape drops it, Shift H sings it again.`);
      await this.listen();
    });
  }

  /** Sings it. */
  async listen() {
    const {editor} = this;
    const {operation, singer, from, to} = editor.draft;
    editor.listening?.player.pause();
    const end = Math.min(Math.max(to, from + 0.1), from + LONGEST);
    await hear(editor.session.at("/preview/f0"), {operation, singers: [singer], from, to: end});
  }

  /** Makes it a correction; it stays where it is if that fails. */
  take() {
    const {editor} = this;
    const {draft} = editor;
    hush();
    this._stopAsking(); // what it would lead to is what it has led to
    return attempt(async () => {
      await this.send(draft.operation);
      if (editor.draft === draft) this._forget();
      editor.select(draft.singer, editor.frameAt(draft.from), editor.frameAt(draft.to), {announce: false});
    });
  }

  drop() {
    hush();
    this._forget();
    say("The line is dropped.");
  }

  _stopAsking() {
    this.editor.draft?.asked.abort();
  }

  _forget() {
    this._stopAsking();
    this.editor.draft = null;
    this.editor.changed();
  }

  /** "A line for alto, 0:04.10 to 0:05.60: about G4 −3 cents". */
  _describe() {
    const {singer, from, to, line} = this.editor.draft;
    const pitches = line ? [...line.f0].filter(Boolean).sort((a, b) => a - b) : [];
    const note = pitches.length ? nameNote(pitches[Math.floor(pitches.length / 2)]) : null;
    const where = `A line for ${this.editor.name(singer)}, ${formatSpan(from, to)}`;
    return note ? `${where}: ${note.name} ${note.cents} cents` : where;
  }

  _show() {
    const bar = $("#draft");
    // A button that is hidden must not take the keys with it.
    if (!this.waits && bar.contains(document.activeElement)) this.editor.root.focus({preventScroll: true});
    bar.hidden = !this.waits;
    $("#draft-text").textContent = this.waits ? this._describe() : "";
  }
}
