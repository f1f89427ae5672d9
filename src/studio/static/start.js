/* The beginning: drop a recording, or go on with a project. */

import {ask, askJson, upload} from "./api.js";
import {question} from "./ask.js";
import {attempt, complain, say} from "./messages.js";

const DAY = new Intl.DateTimeFormat(undefined, {dateStyle: "medium", timeStyle: "short"});
let sending = null; // AbortController of the upload

/** Wires the beginning; `open(id)` shows a project. */
export function wireStart(open) {
  const send = (file) => attempt(() => sendRecording(file, open));
  const file = $("#file");
  file.addEventListener("change", () => file.files[0] && send(file.files[0]));
  $("#stop-sending").addEventListener("click", () => sending?.abort());
  // A recording may be dropped anywhere; the browser must not open it.
  const drop = $("#drop");
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
  document.addEventListener("dragleave", () => drop.classList.remove("over"));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    const [dropped] = event.dataTransfer.files;
    if (dropped) send(dropped);
  });
}

async function sendRecording(file, open) {
  const {limits} = await askJson("/api/studio");
  if (file.size > limits.upload_bytes) {
    throw new Error(`${file.name} has ${formatBytes(file.size)}; at most ${formatBytes(limits.upload_bytes)} ` +
      "can be sent. Start umss studio with the file's name instead: then nothing is copied.");
  }
  sending?.abort();
  sending = new AbortController();
  $("#sending").hidden = false;
  $("#sent").value = 0;
  say(`${file.name} is sent.`);
  try {
    const project = await upload(file, (share) => ($("#sent").value = share), sending.signal);
    await open(project.id);
  } finally {
    $("#sending").hidden = true;
    $("#file").value = "";
  }
}

export async function listProjects(open) {
  const {projects} = await askJson("/api/projects");
  $("#no-projects").hidden = projects.length > 0;
  $("#projects").replaceChildren(...projects.map((project) => {
    const button = make("button", {type: "button", className: "open", onclick: () => attempt(() => open(project.id))},
      make("strong", {textContent: project.title}), make("span", {className: "soft", textContent: describe(project)}));
    const remove = make("button", {type: "button", className: "danger", textContent: "Remove",
      attributes: {"aria-label": `Remove ${project.title}`},
      onclick: () => attempt(async () => {
        if (await removeProject(project)) await listProjects(open);
      })});
    return make("li", {}, button, remove);
  }));
}

function describe({seconds, singers, separated, changed, job}) {
  const parts = [DAY.format(new Date(changed))];
  if (seconds) parts.push(`${formatTime(seconds, 0)} min`);
  if (singers.length) parts.push(singers.length > 4 ? `${singers.length} singers` : singers.join(", "));
  if (job === "running") parts.push("at work");
  else if (job === "interrupted") parts.push("interrupted");
  else if (separated) parts.push("separated");
  return parts.join(" · ");
}

/** Asks and removes; whether it was removed. */
export async function removeProject({id, title}) {
  const sure = await question(`Remove “${title}” with its corrections and stems? This cannot be undone. ` +
    "A recording that was given by its path stays.", {yes: "Remove"});
  if (!sure) return false;
  await ask(`/api/projects/${id}`, {method: "DELETE"});
  complain(null);
  say(`${title} is removed.`);
  return true;
}

export function formatBytes(bytes) {
  const units = ["bytes", "kB", "MB", "GB"];
  const k = Math.min(3, Math.floor(Math.log10(Math.max(1, bytes)) / 3));
  return `${(bytes / 1000 ** k).toFixed(k && bytes / 1000 ** k < 10 ? 1 : 0)} ${units[k]}`;
}
