/* Suspicious places, visited one by one. */

import {askJson} from "./api.js";
import {attempt, say, watch, writeSentence} from "./messages.js";

const LATER = 350; // ms without a change before places are looked for anew
const AROUND = 4; // seconds that are seen

const PROPOSALS = {candidate: (r) => `next candidate ${r.direction > 0 ? "above" : "below"}`,
  octave: (r) => `octave ${r.direction > 0 ? "up" : "down"}`, shift: (r) => `move by ${r.cents} cents`,
  silence: () => "silence", extend: () => "extend", join: () => "join", cut: () => "cut",
  draw: () => "draw", retrack: () => "track again", tune: () => "tune"};

export class Places {
  constructor(editor, verbs) {
    this.editor = editor;
    this.verbs = verbs;
    this.visited = [];
    this._timer = null;
    this._known = ""; // the revision whose places are listed
    $("#place-next").addEventListener("click", () => this.next());
    $("#place-before").addEventListener("click", () => this.before());
    $("#place-mend").addEventListener("click", () => this.mend());
  }

  /** Looks for places anew, soon. */
  refresh() {
    clearTimeout(this._timer);
    const {session} = this.editor;
    if (!session?.tracks.length) return this._list([]);
    const {id, locks, pictures} = session.project;
    const wanted = `${id} ${session.revision} ${pictures?.version} ${JSON.stringify(locks)}`;
    if (wanted === this._known) return undefined;
    this._timer = setTimeout(() => watch(() => this._fetch(session, wanted)), LATER);
    return undefined;
  }

  async _fetch(session, wanted) {
    const {doubts} = await askJson(session.at("/doubts"));
    if (session !== this.editor.session) return;
    if (!this._known.startsWith(`${session.project.id} `)) this.visited = [];
    this._known = wanted;
    this._list(doubts);
  }

  _list(doubts) {
    const {editor} = this;
    const now = editor.doubt && doubts.find((doubt) => same(doubt, editor.doubt));
    editor.doubt = now || null;
    editor.setDoubts(doubts);
    $("#places-count").textContent = doubts.length ? `${doubts.length}` : "";
    const items = doubts.map((doubt) => make("li", {},
      make("button", {type: "button", onclick: () => this.visit(doubt)},
        make("span", {className: "when", textContent: `${formatTime(doubt.from)} ${this._who(doubt)}`}),
        make("span", {className: "why", textContent: writeSentence(doubt.reason)}))));
    $("#places").replaceChildren(...(items.length ? items : [make("li", {className: "soft",
      textContent: editor.session?.tracks.length ? "Nothing looks suspicious." : "Find the pitches first."})]));
    this._mark();
  }

  _who({singers}) {
    return singers.length ? singers.map((singer) => this.editor.name(singer)).join(", ") : "all";
  }

  /** What is proposed for a place, in words. */
  _propose({remedy}) {
    if (!remedy) return null;
    const {kind, other} = remedy;
    if (kind === "swap") return `swap with ${this.editor.name(other)}`;
    if (kind === "give") return `give to ${this.editor.name(other)}`;
    return PROPOSALS[kind]?.(remedy) ?? kind;
  }

  _mark() {
    const {doubt, doubts} = this.editor;
    [...$("#places").children].forEach((item, k) => {
      const now = doubts[k] && doubts[k] === doubt;
      item.classList.toggle("now", Boolean(now));
      item.firstElementChild?.toggleAttribute("aria-current", Boolean(now));
      if (now) showWithin($("#places"), item);
    });
    const proposed = doubt && this._propose(doubt);
    const mend = $("#place-mend");
    mend.disabled = !proposed;
    mend.textContent = proposed ? `Do: ${proposed}` : "Do what is proposed";
    mend.title = "Y";
  }

  visit(doubt) {
    const {editor} = this;
    editor.doubt = doubt;
    this.visited = [...this.visited.filter((other) => !same(other, doubt)), doubt];
    const singer = doubt.remedy?.singer ?? doubt.singers[0] ?? editor.singer;
    const other = doubt.remedy?.other ?? doubt.singers.find((j) => j !== singer);
    editor.select(singer, editor.frameAt(doubt.from), editor.frameAt(doubt.to), {announce: false});
    if (other !== undefined) $("#other").value = String(other);
    editor.reveal({from: doubt.from, to: doubt.to}, AROUND);
    editor.listening?.seek(Math.max(0, doubt.from - 0.5));
    const proposed = this._propose(doubt);
    const n = editor.doubts.indexOf(doubt) + 1;
    say(`Place ${n} of ${editor.doubts.length}: ${editor.describe()}. ${writeSentence(doubt.reason)}` +
      (proposed ? ` Y: ${proposed}.` : ""));
    this._mark();
  }

  /** The most doubtful place that was not yet visited; when all were, from the beginning. */
  next() {
    const {doubts} = this.editor;
    if (!doubts.length) return say("Nothing looks suspicious.");
    const fresh = (doubt) => !this.visited.some((other) => same(other, doubt));
    if (!doubts.some(fresh)) this.visited = [];
    return this.visit(doubts.find(fresh));
  }

  /** The place that was visited before this one. */
  before() {
    const {editor} = this;
    const now = this.visited.findIndex((doubt) => editor.doubt && same(doubt, editor.doubt));
    const left = (now < 0 ? this.visited : this.visited.slice(0, now))
      .map((doubt) => editor.doubts.find((other) => same(other, doubt))).filter(Boolean);
    if (!left.length) return say("No place was visited before this one.");
    const doubt = left.at(-1);
    this.visited = this.visited.filter((other) => same(other, doubt) || !editor.doubt || !same(other, editor.doubt));
    return this.visit(doubt);
  }

  mend() {
    const {doubt} = this.editor;
    if (!doubt?.remedy) return say("Nothing is proposed here.");
    return attempt(() => this.verbs.operate(doubt.remedy));
  }
}

/** Scrolls a list, and not the page, so that an item is seen. */
function showWithin(list, item) {
  const above = item.offsetTop - list.offsetTop;
  const room = list.clientHeight - item.offsetHeight;
  list.scrollTop = Math.min(above, Math.max(list.scrollTop, above - room));
}

/** Whether two doubts mean the same place. */
function same(a, b) {
  return a === b || (a.kind === b.kind && a.singers.join() === b.singers.join() &&
    Math.abs(a.from - b.from) < 0.1 && Math.abs(a.to - b.to) < 0.1);
}
