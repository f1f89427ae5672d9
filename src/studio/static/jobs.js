/* Work in progress: what is done, how long it takes, cancelling, starting again. */

import {attempt, say} from "./messages.js";

const STEPS = {
  open: "Opening the recording", salience: "Listening for pitches", f0: "Finding pitches",
  separate: "Separating", edit: "Writing edited stems", practice: "Making practice tracks",
  page: "Making a page", intonation: "Measuring the intonation", dataset: "Making a data set", zip: "Packing",
  rename: "Renaming singers",
};

const formatLeft = (seconds) => {
  if (seconds === null || seconds === undefined) return "";
  if (seconds < 90) return `about ${Math.max(1, Math.round(seconds))} s left`;
  return `about ${Math.round(seconds / 60)} min left`;
};

export class Jobs {
  constructor() {
    this.session = null;
    this.hidden = null; // the ended job that was read
    this.last = "";
    this.pending = ["separate"]; // what the button does
    $("#cancel").addEventListener("click", () => attempt(() => this.session.cancel()));
    $("#again").addEventListener("click", () => attempt(() => {
      const {steps, options} = this.session.project.job;
      return this.session.start(steps, options || {});
    }));
    $("#job-hide").addEventListener("click", () => {
      this.hidden = this.session.project.job.id;
      this.show(this.session);
    });
    $("#separate").addEventListener("click", () => attempt(() => this.session.start(this.pending)));
  }

  show(session) {
    this.session = session;
    this._showJob(session.project.job);
    this._showPending(session.project);
  }

  _showJob(job) {
    const broken = job && ["failed", "interrupted", "cancelled"].includes(job.state);
    const running = job?.state === "running";
    $("#job").hidden = !running && !(broken && this.hidden !== job.id);
    $("#job").classList.toggle("broken", Boolean(broken));
    if (job) {
      const step = STEPS[job.step] || STEPS[job.steps[0]] || "Work";
      const part = job.steps.length > 1 ? ` (${job.steps.indexOf(job.step) + 1} of ${job.steps.length})` : "";
      const now = job.said && job.said !== "starting" ? job.said[0].toUpperCase() + job.said.slice(1) : step;
      const text = running ? `${now}${part}`
        : job.state === "failed" ? `It failed: ${job.error}`
          : job.state === "interrupted" ? `${step} was interrupted; nothing that was made before is lost.`
            : `${step} was cancelled.`;
      $("#job-text").textContent = text;
      $("#job-bar").hidden = $("#cancel").hidden = $("#job-left").hidden = !running;
      $("#again").hidden = $("#job-hide").hidden = running;
      $("#job-bar").value = job.progress;
      $("#job-left").textContent = `${Math.round(100 * job.progress)} % ${formatLeft(job.left)}`;
      this._announce(job, step, text);
    }
  }

  /** Says when work begins and ends, not every per cent of it. */
  _announce(job, step, text) {
    const now = `${job.id} ${job.state} ${job.step}`;
    if (now === this.last) return;
    const first = !this.last;
    this.last = now;
    if (job.state === "running") say(`${step} …`);
    else if (job.state !== "done") say(text);
    else if (!first) say(`${job.steps.map((name) => STEPS[name]).join(", ")}: done.`);
  }

  /** "N changes not yet separated". */
  _showPending({results, frames, sound, singers, settings}) {
    const separated = results.separated;
    this.pending = ["separate"];
    const stale = separated?.stale || [];
    $("#pending").hidden = !frames || (separated && !stale.length && !separated.whole) || this.session.running;
    if (!separated) {
      $("#pending-text").textContent = "These pitches are not yet separated.";
      $("#separate").textContent = "Separate";
      return;
    }
    const stems = (sound?.tracks ?? []).filter(({role}) => role === "stem").map(({name}) => name);
    const renamed = stems.length === singers.length && stems.join("\n") !== singers.join("\n");
    if (separated.whole && renamed && separated.method === settings.method) {
      this.pending = ["rename"];
      $("#pending-text").textContent = `The stems are still called ${stems.join(", ")}.`;
      $("#separate").textContent = "Rename them";
      return;
    }
    const n = separated.changes ?? stale.length;
    const seconds = stale.reduce((sum, [from, to]) => sum + to - from, 0);
    const what = n ? `${n} ${n === 1 ? "change" : "changes"} not yet separated` : "What was locked is not yet followed";
    $("#pending-text").textContent = separated.whole ? "Method or names have changed: all is separated anew."
      : `${what} (${Math.round(seconds)} s are computed again).`;
    $("#separate").textContent = "Separate again";
  }
}
