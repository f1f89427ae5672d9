/* The buttons around the editor: corrections, view, singers, what is chosen. */

import {nameKey, showKey} from "./keys.js";
import {colourOf, strokeOf} from "./scene.js";
import {VERBS} from "./verbs.js";

const button = (label, title, action, more = {}) => make("button", {type: "button", textContent: label, title, onclick: action, ...more});

export class Bench {
  constructor(editor, verbs) {
    this.editor = editor;
    this.verbs = verbs;
    this.buttons = new Map();
    $("#verbs").append(...VERBS.map(([group, list]) => make("div", {className: "group", attributes: {role: "group", "aria-label": group}},
      make("span", {className: "group-name soft", textContent: group, attributes: {"aria-hidden": "true"}}),
      ...list.map((verb) => this._buildVerb(verb)))));
    this._buildView();
    editor.addEventListener("change", () => this.update());
    $("#other").addEventListener("change", () => editor.root.focus({preventScroll: true}));
  }

  _buildVerb([id, label, keys, text]) {
    const shown = keys.map(showKey).join(", ");
    const spoken = keys.map((key) => key.replace("Ctrl", "Control")).join(" ");
    const built = button(label, `${text} (${shown})`, () => this.verbs.run(id),
      {attributes: {"aria-keyshortcuts": spoken, "aria-description": text}});
    this.buttons.set(id, built);
    return built;
  }

  _buildView() {
    const {editor} = this;
    this.picture = button("", "Spectrogram, salience, or none (V)", () => editor.cyclePicture());
    const group = (name, ...buttons) => make("div", {className: "buttons", attributes: {role: "group", "aria-label": name}},
      make("span", {className: "group-name soft", textContent: name, attributes: {"aria-hidden": "true"}}), ...buttons);
    const named = (label, name, keys, action) => button(label, `${name} (${keys})`, action, {attributes: {"aria-label": name}});
    $("#view-tools").append(
      group("Time", named("−", "See more time", "X, ↓", () => editor.zoomTime(2)), named("+", "See less time", "Z, ↑", () => editor.zoomTime(0.5)),
        named("←", "Scroll back", "Alt ←", () => editor.scrollTime(-0.25)), named("→", "Scroll on", "Alt →", () => editor.scrollTime(0.25))),
      group("Pitch", named("−", "See more pitch", "Shift X", () => editor.zoomPitch(1.4)), named("+", "See less pitch", "Shift Z", () => editor.zoomPitch(0.7)),
        named("↑", "Scroll up", "Page up", () => editor.scrollPitch(0.25)), named("↓", "Scroll down", "Page down", () => editor.scrollPitch(-0.25))),
      make("div", {className: "buttons"}, button("All", "See everything (F)", () => editor.fit()), this.picture,
        button("Box", "Drag a box to track again in", () => editor.setTool("box"), {attributes: {"aria-pressed": "false"}, id: "tool-box"})));
  }

  /** Brings buttons, singers and texts up to date. */
  update() {
    const {editor, verbs} = this;
    for (const [id, built] of this.buttons) built.disabled = !verbs.can(id);
    const {undo, redo} = editor.session?.project ?? {};
    this.buttons.get("undo").title = `${undo ? `Undo ${undo}` : "Nothing to undo"} (Ctrl Z)`;
    this.buttons.get("redo").title = `${redo ? `Redo ${redo}` : "Nothing to redo"} (Ctrl Shift Z)`;
    this.buttons.get("draw").setAttribute("aria-pressed", editor.tool === "draw");
    $("#tool-box").setAttribute("aria-pressed", editor.tool === "box");
    this.picture.textContent = editor.picture ? `Picture: ${editor.picture}` : "No picture";
    $("#chosen").textContent = editor.session?.tracks.length ? editor.describe() : "There are no tracks yet.";
    this._updateSingers();
  }

  _updateSingers() {
    const {editor} = this;
    const names = (editor.session?.tracks ?? []).map((_, j) => editor.name(j));
    const wanted = names.join("\n");
    if (this._names !== wanted) {
      this._names = wanted;
      $("#legend").replaceChildren(...names.map((name, j) => this._buildSinger(name, j)));
    }
    [...$("#legend").children].forEach((item, j) => {
      item.firstElementChild.setAttribute("aria-pressed", j === editor.singer);
      item.lastElementChild.setAttribute("aria-pressed", editor.hidden.has(j));
    });
    const other = $("#other");
    const before = Number(other.value);
    const options = names.map((name, j) => [name, j]).filter(([, j]) => j !== editor.singer);
    other.replaceChildren(...options.map(([name, j]) => new Option(`${j + 1} ${name}`, String(j))));
    if (options.some(([, j]) => j === before)) other.value = String(before);
    else if (options.length) other.value = String(options.find(([, j]) => j > editor.singer)?.[1] ?? options.at(-1)[1]);
  }

  _buildSinger(name, j) {
    const {editor} = this;
    const line = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    line.setAttribute("viewBox", "0 0 30 6");
    line.setAttribute("aria-hidden", "true");
    const stroke = document.createElementNS("http://www.w3.org/2000/svg", "line");
    for (const [key, value] of Object.entries({x1: 1, x2: 29, y1: 3, y2: 3, "stroke-dasharray": strokeOf(j).join(" ")})) {
      stroke.setAttribute(key, value);
    }
    line.append(stroke);
    const item = make("span", {className: "singer"},
      button("", `Choose ${name} (${j + 1})`, () => editor.chooseSinger(j), {attributes: {"aria-pressed": "false"}}),
      button("Hide", `Hide ${name}`, () => {
        if (!editor.hidden.delete(j)) editor.hidden.add(j);
        editor.changed();
      }, {className: "hide", attributes: {"aria-pressed": "false", "aria-label": `Hide ${name}`}}));
    item.firstElementChild.append(line, `${j + 1} ${name}`);
    item.style.setProperty("--voice", `var(${colourOf(j)})`);
    return item;
  }
}

/** Arrow keys move within a toolbar, as screen readers expect. */
export function bindToolbar(toolbar) {
  toolbar.addEventListener("keydown", (event) => {
    const direction = {ArrowRight: 1, ArrowLeft: -1}[nameKey(event)];
    if (!direction || !event.target.matches("button")) return;
    const all = [...toolbar.querySelectorAll("button:not(:disabled)")];
    all[(all.indexOf(event.target) + direction + all.length) % all.length].focus();
    event.preventDefault();
    event.stopPropagation();
  });
}
