"use strict";
/* A plain page of the studio: make a project, follow its job, mend doubtful places, download. */

const $ = (id) => document.getElementById(id);
const given = new URLSearchParams(location.hash.slice(1));
if (given.has("token")) sessionStorage.setItem("token", given.get("token"));
let project = null;

async function ask(path, options = {}) {
  const headers = {"X-UMSS-Token": sessionStorage.getItem("token") || "", ...options.headers};
  const response = await fetch(path, {...options, headers});
  if (!response.ok) {
    const {error} = await response.json();
    $("failure").textContent = error;
    $("failure").hidden = false;
    throw new Error(error);
  }
  $("failure").hidden = true;
  return response;
}

const send = (path, content) => ask(path, {method: "POST", body: JSON.stringify(content)});
const address = (rest = "") => `/api/projects/${project.id}${rest}`;

function fill(list, entries, make) {
  list.replaceChildren(...entries.map((entry) => {
    const item = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = make.text(entry);
    button.addEventListener("click", () => make.act(entry).catch(() => {}));
    item.append(button);
    return item;
  }));
}

async function listProjects() {
  const {projects} = await (await ask("/api/projects")).json();
  fill($("projects"), projects, {text: ({title}) => title, act: ({id}) => show(id)});
}

async function show(id) {
  history.replaceState(null, "", `/#project=${id}`);
  project = await (await ask(`/api/projects/${id}`)).json();
  draw();
  follow(id);
}

async function draw() {
  $("project").hidden = false;
  $("title").textContent = project.title;
  const job = project.job;
  $("job").textContent = job ? `${job.state}: ${job.error || job.said} ${Math.round(100 * job.progress)} %` : "";
  $("undo").disabled = !project.undo;
  if (job && job.state === "running") return;
  const {downloads} = await (await ask(address("/downloads"))).json();
  fill($("downloads"), downloads, {text: ({name}) => name, act: fetchFile});
  if (!project.frames) return;
  const {doubts} = await (await ask(address("/doubts"))).json();
  fill($("doubts"), doubts, {
    text: (doubt) => `${doubt.from.toFixed(1)} s: ${doubt.reason}`,
    act: async (doubt) => {
      if (doubt.remedy) await send(address("/operations"), {revision: project.revision, operation: doubt.remedy});
    },
  });
}

async function fetchFile({id, name}) {
  const {url} = await (await send(address(`/downloads/${id}/ticket`), {})).json();
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
}

async function follow(id) {
  const response = await ask(`/api/projects/${id}/events`);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const {value, done} = await reader.read();
    if (done || !project || project.id !== id) break;
    text += value;
    for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
      const [, kind, data] = /^event: (\w+)\ndata: (.*)$/s.exec(text.slice(0, end)) || [];
      text = text.slice(end + 2);
      if (kind === "project") project = JSON.parse(data);
      if (kind === "job") project.job = JSON.parse(data);
      if (kind === "change") Object.assign(project, JSON.parse(data));
      if (kind) draw().catch(() => {});
    }
  }
}

const start = (steps) => send(address("/jobs"), {revision: project.revision, steps}).catch(() => {});
$("analyse").addEventListener("click", () => start(["f0", "separate"]));
$("separate").addEventListener("click", () => start(["separate"]));
$("cancel").addEventListener("click", () => ask(address("/jobs"), {method: "DELETE"}).catch(() => {}));
$("undo").addEventListener("click", () => send(address("/undo"), {revision: project.revision}).catch(() => {}));
$("file").addEventListener("change", async ({target}) => {
  const [file] = target.files;
  const headers = {"X-UMSS-Name": encodeURIComponent(file.name)};
  const made = await (await ask("/api/projects", {method: "POST", body: file, headers})).json();
  await listProjects();
  await show(made.id);
});

listProjects().catch(() => {});
if (given.has("project")) show(given.get("project")).catch(() => {});
else history.replaceState(null, "", "/");
