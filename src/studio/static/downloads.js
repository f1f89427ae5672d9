/* Files: what can be made and what can be taken away. */

import {askJson} from "./api.js";
import {attempt, say} from "./messages.js";
import {formatBytes} from "./start.js";

const GROUPS = {stems: "Stems", edited: "Edited stems", practice: "Practice tracks", f0: "Pitches (F0)",
  page: "Page to listen to", intonation: "How well you sang", dataset: "Data set", zip: "ZIP"};
const FORMATS = {csv: "CSV, all singers", tony: "Tony, Sonic Visualiser", crepe: "CREPE", multipitch: "mir_eval",
  midi: "MIDI", musicxml: "MusicXML", jams: "JAMS"};
const TRACKS = {loud: "my part loud", without: "without me", split: "me left, the others right"};
const PACKED = {stems: "stems", edited: "edited stems", practice: "practice tracks", page: "page", f0: "pitches",
  intonation: "how well you sang", dataset: "data set"};

const tick = (name, value, label, checked) => make("label", {className: "tick"},
  make("input", {type: "checkbox", name, value, checked}), ` ${label}`);
const ticked = (root, name) => [...root.querySelectorAll(`input[name=${name}]:checked`)].map(({value}) => value);

export class Downloads {
  constructor() {
    this.session = null;
    this._makers = null;
  }

  async show(session) {
    this.session = session;
    this._makers ??= await this._buildMakers();
    for (const {button, needs} of this._makers) {
      const {results, frames} = session.project;
      const missing = needs === "separated" && !results.separated ? "Separate the recording first"
        : !frames ? "Find the pitches first" : "";
      button.disabled = session.running || Boolean(missing);
      button.title = missing;
    }
    const {downloads} = await askJson(session.at("/downloads"));
    if (session !== this.session) return;
    const groups = Object.keys(GROUPS).filter((group) => downloads.some((file) => file.group === group));
    $("#downloads").replaceChildren(...groups.map((group) => make("section", {},
      make("h2", {textContent: GROUPS[group]}),
      make("ul", {className: "downloads"}, ...downloads.filter((file) => file.group === group).map((file) =>
        make("li", {}, make("button", {type: "button", onclick: () => attempt(() => this.take(file)),
          title: file.name, textContent: this._name(file)}),
        make("span", {className: "soft", textContent: file.bytes === null ? "" : formatBytes(file.bytes)})))))));
    if (!groups.length) {
      $("#downloads").replaceChildren(make("p", {className: "soft", textContent: "There is nothing to take away yet."}));
    }
  }

  _name({group, id, label}) {
    return group === "f0" ? FORMATS[label] || label : label || id;
  }

  /** Lets the browser save a file. */
  async take({id, name}) {
    const {url} = await askJson(this.session.at(`/downloads/${encodeURIComponent(id)}/ticket`),
      {method: "POST", json: {}});
    const link = make("a", {href: url, download: name});
    document.body.append(link);
    link.click();
    link.remove();
    say(`${name} is saved by the browser.`);
  }

  async _buildMakers() {
    const {practice} = await askJson("/api/studio");
    const select = (name, label, values) => make("label", {className: "tick", textContent: `${label} `},
      make("select", {name}, ...values.map((value) => new Option(value, value, value === "mp3", value === "mp3"))));
    const number = (name, label, value, min, max) => make("label", {className: "tick", textContent: `${label} `},
      make("input", {type: "number", name, value, min, max, step: 1}));
    const makers = [];
    const add = (title, fields, text, needs, start) => {
      const button = make("button", {type: "button", textContent: text});
      const box = make("fieldset", {}, make("legend", {textContent: title}), ...fields, button);
      button.addEventListener("click", () => attempt(() => start(box)));
      makers.push({button, needs, box});
    };
    add("Practice tracks", [
      ...practice.tracks.map((name) => tick("track", name, TRACKS[name] || name, true)),
      select("format", "as", practice.formats), number("speed", "speed, %", 100, 50, 100),
      number("transpose", "semitones", 0, -12, 12),
    ], "Make practice tracks", "separated", (box) => {
      const tracks = ticked(box, "track");
      if (!tracks.length) throw new Error("Choose at least one kind of practice track.");
      const value = (name) => box.querySelector(`[name=${name}]`).value;
      return this.session.start(["practice"], {practice: {tracks, format: value("format"),
        speed: Number(value("speed")), transpose: Number(value("transpose"))}});
    });
    add("Page to listen to", [make("p", {className: "soft", textContent: "One HTML file for others; it needs no studio."})],
      "Make the page", "separated", () => this.session.start(["page"]));
    add("How well you sang", [make("p", {className: "soft", textContent: "Tuning, drift, vibrato and entries from the corrected pitches: a page and tables."})],
      "Measure", "frames", () => this.session.start(["intonation"]));
    add("Data set", [make("p", {className: "soft", textContent: "The corrected recording, as data=mixtures and data=folder read it."})],
      "Make the data set", "frames", () => this.session.start(["dataset"]));
    add("One ZIP file", Object.entries(PACKED).map(([value, label]) =>
      tick("packed", value, label, ["stems", "f0"].includes(value))), "Pack", "frames", (box) => {
      const zip = ticked(box, "packed");
      if (!zip.length) throw new Error("Choose what is packed.");
      return this.session.start(["zip"], {zip});
    });
    $("#makers").replaceChildren(...makers.map(({box}) => box));
    return makers;
  }
}
