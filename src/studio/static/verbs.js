/* Corrections: each is a button and a key, and becomes an operation of the server. */

import {Draft} from "./draft.js";
import {attempt, say, writeSentence} from "./messages.js";
import {readPitch} from "./pitch-view.js";
import {hear, hush, LONGEST} from "./stretch.js";

/** What is offered: [group, [id, label, keys, what it does]]. */
export const VERBS = [
  ["Pitch", [
    ["higher", "Next higher", ["Ctrl+ArrowUp"], "move the stretch to the next candidate above"],
    ["lower", "Next lower", ["Ctrl+ArrowDown"], "move the stretch to the next candidate below"],
    ["octave-up", "Octave up", ["Ctrl+Shift+ArrowUp"], "move the stretch an octave up"],
    ["octave-down", "Octave down", ["Ctrl+Shift+ArrowDown"], "move the stretch an octave down"],
    ["sharper", "+10 ct", ["]"], "move the stretch 10 cents up"],
    ["flatter", "−10 ct", ["["], "move the stretch 10 cents down"],
    ["tune", "Tune", ["T"], "tune the stretch finely to the partials of the recording"],
  ]],
  ["Stretch", [
    ["silence", "Silence", ["Ctrl+Backspace", "Backspace", "Delete"], "the singer is silent in the stretch"],
    ["extend", "Extend", ["E"], "carry the pitch on into the silence of the stretch"],
    ["join", "Join", ["J", "\\"], "bridge the gaps in the stretch"],
    ["cut", "Cut", ["K", "/"], "cut the track at the playhead"],
    ["draw", "Draw", ["P"], "draw with the pointer; the line snaps to what sounds and is heard before it is taken"],
    ["box", "Track again", ["R"], "find the best path in a box of time and pitch"],
  ]],
  ["Singers", [
    ["swap", "Swap", ["Q"], "exchange the stretch with the other singer"],
    ["give", "Give", ["G"], "give the stretch to the other singer"],
    ["share", "Both sing", ["U"], "the other singer sings the stretch, too"],
  ]],
  ["Keep", [
    ["lock", "Lock", ["Shift+L"], "lock the stretch: nothing changes it any more"],
    ["unlock", "Unlock", ["Shift+U"], "unlock the stretch"],
    ["undo", "Undo", ["Ctrl+Z"], "take the last change back"],
    ["redo", "Redo", ["Ctrl+Shift+Z", "Ctrl+Y"], "make it again"],
  ]],
  ["Hear", [
    ["hear", "Recording", ["H"], "hear the stretch as recorded"],
    ["sing", "Its pitch", ["Shift+H"], "hear the pitch of the stretch as tones"],
    ["sing-all", "All pitches", ["Shift+A"], "hear the pitches of all singers as tones"],
  ]],
];

const WITHOUT_STRETCH = ["cut", "draw", "box", "undo", "redo"];
const OF_DRAFT = ["sing", "undo"]; // what they mean while a drawn line waits: itself
const OTHERS = ["swap", "give", "share"];

export class Verbs {
  constructor(editor) {
    this.editor = editor;
    this.draft = new Draft(editor, (operation) => this.operate(operation));
    this._wireBox();
    editor.addEventListener("drawn", ({detail}) => this.draft.begin(detail));
    editor.addEventListener("boxed", ({detail}) => this.openBox(detail));
  }

  get session() {
    return this.editor.session;
  }

  /** Whether a verb can be done now. */
  can(id) {
    const {session, editor} = this;
    if (this.draft.waits && OF_DRAFT.includes(id)) return true;
    if (id === "undo" || id === "redo") return Boolean(session?.project[id]);
    if (!session?.tracks.length) return false;
    if (OTHERS.includes(id) && session.tracks.length < 2) return false;
    return WITHOUT_STRETCH.includes(id) || editor.selection !== null;
  }

  /** Does a verb; what is wrong is said. */
  run(id, other = Number($("#other").value)) {
    if (!this.can(id)) {
      const wanted = id === "undo" || id === "redo" ? `There is nothing to ${id}.`
        : OTHERS.includes(id) && this.session?.tracks.length < 2 ? "There is no other singer."
          : "Choose a stretch of a track first: click it, or press Enter.";
      say(wanted);
      return Promise.resolve();
    }
    return attempt(() => this._run(id, other));
  }

  async _run(id, other) {
    const {editor, session} = this;
    const {singer, span} = editor;
    const at = {singer, ...span};
    const operations = {
      higher: {kind: "candidate", ...at, direction: 1},
      lower: {kind: "candidate", ...at, direction: -1},
      "octave-up": {kind: "octave", ...at, direction: 1},
      "octave-down": {kind: "octave", ...at, direction: -1},
      sharper: {kind: "shift", ...at, cents: 10},
      flatter: {kind: "shift", ...at, cents: -10},
      tune: {kind: "tune", ...at},
      silence: {kind: "silence", ...at},
      extend: {kind: "extend", ...at},
      join: {kind: "join", ...at},
      cut: {kind: "cut", singer, at: editor.now},
      swap: {kind: "swap", ...at, other},
      give: {kind: "give", ...at, other},
      share: {kind: "give", ...at, other, keep: true},
      lock: {kind: "lock", ...at},
      unlock: {kind: "unlock", ...at},
    };
    if (this.draft.waits && id === "undo") this.draft.drop();
    else if (operations[id]) await this.operate(operations[id]);
    else if (id === "undo" || id === "redo") await this._reverse(id);
    else if (id === "draw") editor.setTool("draw");
    else if (id === "box") this.openBox(null);
    else if (hush()) say("Quiet.");
    else if (this.draft.waits && id === "sing") await this.draft.listen();
    else await this._hear(id, singer, span, session);
  }

  async operate(operation) {
    const {editor} = this;
    // Whoever corrects something else goes on without the line.
    if (this.draft.waits && editor.draft.operation !== operation) this.draft.drop();
    const {said} = await this.session.operate(operation);
    say(writeSentence(said));
  }

  async _reverse(id) {
    const what = this.session.project[id];
    await this.session.change("POST", `/${id}`, {});
    say(`${id === "undo" ? "Taken back" : "Made again"}: ${what}.`);
  }

  async _hear(id, singer, {from, to}, session) {
    this.editor.listening?.player.pause();
    const end = Math.min(Math.max(to, from + 0.1), from + LONGEST);
    const stretch = {from, to: end};
    if (id === "hear") await hear(session.at("/preview/stem"), {track: "recording", ...stretch});
    else await hear(session.at("/preview/f0"), {singers: id === "sing" ? [singer] : null, ...stretch});
  }

  /** Swaps with, or gives to, the singer of a digit key. */
  handOver(id, other) {
    const {editor, session} = this;
    if (other >= session.tracks.length) return say(`There are ${session.tracks.length} singers.`);
    if (other === editor.singer) return say(`${editor.name()} has this stretch already.`);
    return this.run(id, other);
  }

  /* The box in which a singer is tracked again. */

  openBox(box) {
    const {editor} = this;
    const {start, end} = editor.shown;
    const {from, to} = box ?? editor.span ?? {from: start, to: end};
    const [first, last] = [editor.frameAt(from), editor.frameAt(to)];
    const pitches = [...this.session.tracks[editor.singer].subarray(first, last + 1)].filter(Boolean);
    const low = box?.low ?? (pitches.length ? Math.min(...pitches) / 2 ** (5 / 12) : editor.view.lowest);
    const high = box?.high ?? (pitches.length ? Math.max(...pitches) * 2 ** (5 / 12) : editor.view.highest);
    $("#retrack-title").textContent = `Track ${editor.name()} again in a box`;
    $("#box-from").value = (first * this.session.step).toFixed(3);
    $("#box-to").value = (last * this.session.step).toFixed(3);
    $("#box-low").value = low.toFixed(1);
    $("#box-high").value = high.toFixed(1);
    $("#box-hint").value = "";
    $("#retrack").returnValue = "";
    $("#retrack").showModal();
  }

  _wireBox() {
    $("#retrack").addEventListener("close", () => {
      const {editor} = this;
      editor.gesture = null;
      editor.draw();
      if ($("#retrack").returnValue === "run") attempt(() => this._trackAgain());
    });
    for (const id of ["box-low", "box-high", "box-hint"]) {
      const input = $(`#${id}`);
      input.addEventListener("input", () => {
        const wrong = input.value.trim() && readPitch(input.value) === null;
        input.setCustomValidity(wrong ? "A note such as A3 or B♭3, or a number of Hz" : "");
      });
    }
  }

  async _trackAgain() {
    const {editor} = this;
    const [from, to] = [Number($("#box-from").value), Number($("#box-to").value)];
    const hint = $("#box-hint").value.trim();
    await this.operate({kind: "retrack", singer: editor.singer, from, to, low: readPitch($("#box-low").value),
      high: readPitch($("#box-high").value), hint: hint ? readPitch(hint) : null});
    editor.select(editor.singer, editor.frameAt(from), editor.frameAt(to), {announce: false});
    if (editor.tool === "box") editor.setTool("choose");
  }
}
