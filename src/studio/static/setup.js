/* How a recording is analysed: singers, names, method, score; and pitches from a file. */

import {askJson} from "./api.js";
import {question} from "./ask.js";
import {attempt, say} from "./messages.js";
import {removeProject} from "./start.js";

const ALIGNMENTS = {dtw: "following its tempo", stretch: "stretched from end to end", none: "at its own times"};
const METHODS = {umss_fit: "umss_fit (the best)", fit: "fit (without the network)", umss: "umss (fast, network only)",
  comb: "comb (fast, rough)"};

/** The settings' form. */
export class Setup {
  constructor(leave) {
    this.session = null;
    this.touched = new Set(); // fields that were changed here and not yet sent
    this._wire(leave);
  }

  /** Fills lists that are the same for all projects. */
  async begin() {
    const studio = await askJson("/api/studio");
    for (let n = 1; n <= studio.limits.singers; n++) $("#n-singers").append(new Option(String(n), String(n)));
    $("#method").append(...studio.methods.map((name) => new Option(METHODS[name] || name, name)));
    $("#alignment").append(...studio.alignments.map((name) => new Option(ALIGNMENTS[name] || name, name)));
  }

  show(session) {
    if (session !== this.session) this.touched.clear();
    this.session = session;
    const {settings, singers, recording, warnings, job, frames} = session.project;
    this._set("n-singers", String(settings.n_singers));
    this._set("names", (settings.names || singers || []).join(", "));
    this._set("method", settings.method);
    this._set("alignment", settings.score_alignment);
    $("#alignment").closest(".field").hidden = !settings.score;
    $("#score-line").hidden = !settings.score;
    $("#score-name").textContent = settings.score || "";
    const busy = session.running;
    for (const id of ["analyse", "find", "whole"]) $(`#${id}`).disabled = busy;
    $("#whole").hidden = !frames;
    const opening = job?.step === "open" && busy;
    $("#analyse").textContent = frames ? "Find pitches anew and separate" : "Find pitches and separate";
    const all = [...warnings];
    if (recording.missing) all.unshift(`${recording.name} is not where it was, or has been changed.`);
    $("#warnings").hidden = !all.length;
    $("#warnings").replaceChildren(...all.map((text) => make("li", {textContent: text})));
    const facts = [recording.name];
    if (recording.seconds) {
      facts.push(`${formatTime(recording.seconds)} min`, `${recording.rate / 1000} kHz`,
        recording.channels === 1 ? "mono" : `${recording.channels} channels`);
    } else if (opening) facts.push("is being opened");
    facts.push(recording.copied ? "copied into the project" : "read where it lies");
    if (session.project.confidence !== null) {
      facts.push(`confidence of the pitches ${Math.round(100 * session.project.confidence)} %`);
    }
    $("#facts").textContent = facts.join(" · ");
  }

  _set(id, value) {
    const element = $(`#${id}`);
    if (!this.touched.has(id) && document.activeElement !== element) element.value = value;
  }

  /** Sends what is set in the form; it stays there if that fails. */
  async send() {
    if (!this.touched.size || !this.session) return;
    const {settings, singers} = this.session.project;
    const sent = new Set(this.touched);
    const content = {settings: {}};
    const number = $("#n-singers").value;
    const count = number === "auto" ? "auto" : Number(number);
    if (sent.has("n-singers")) content.settings.n_singers = count;
    if (sent.has("method")) content.settings.method = $("#method").value;
    if (sent.has("alignment")) content.settings.score_alignment = $("#alignment").value;
    if (sent.has("names")) {
      const names = $("#names").value.split(",").map((name) => name.trim()).filter(Boolean);
      content.settings.names = names.length ? names : null;
      if (singers.length && names.length === singers.length) content.names = names;
    } else if (sent.has("n-singers") && settings.names && settings.names.length !== count) {
      content.settings.names = null; // names of another number of singers are no longer theirs
    }
    await this.session.patch(content);
    const {names} = content.settings;
    if (names && singers.length && names.length !== singers.length) {
      say(`${names.length} names for ${singers.length} singers: they count when the pitches are found anew.`);
    }
    for (const id of sent) this.touched.delete(id);
    this.show(this.session);
  }

  async start(steps, options = {}) {
    await this.send();
    await this.session.start(steps, options);
  }

  _wire(leave) {
    for (const id of ["n-singers", "names", "method", "alignment"]) {
      $(`#${id}`).addEventListener("input", () => this.touched.add(id));
      $(`#${id}`).addEventListener("change", () => attempt(() => this.send()));
    }
    $("#settings").addEventListener("submit", (event) => event.preventDefault());
    const on = (id, action) => $(`#${id}`).addEventListener("click", () => attempt(action));
    const find = async (steps) => {
      const {undo, frames} = this.session.project;
      const sure = !frames || !undo || await question(
        "Find the pitches anew? Corrections that are not locked are replaced; undo brings them back.", {yes: "Find"});
      if (sure) await this.start(steps);
    };
    on("analyse", () => find(["f0", "separate"]));
    on("find", () => find(["f0"]));
    on("whole", () => this.start(["separate"], {whole: true}));
    on("remove", async () => {
      if (await removeProject(this.session.project)) await leave();
    });
    on("no-score", () => this.session.put("/score", null));
    const take = (id, rest, text) => $(`#${id}`).addEventListener("change", (event) => attempt(async () => {
      const [file] = event.target.files;
      if (!file) return;
      say(`${file.name} is read …`);
      try {
        await this.session.put(rest, file);
        say(text(file.name));
      } finally {
        event.target.value = ""; // the same file may be chosen again
      }
    }));
    take("score", "/score", (name) => `${name} will lead the pitches when they are found.`);
    take("import", "/tracks", (name) => `The pitches of ${name} are taken.`);
  }
}
