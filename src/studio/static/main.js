/* The studio's page: which project, which part of it, what keys do, dark or light. */

import {readAddress, Silence, writeAddress} from "./api.js";
import {question} from "./ask.js";
import {Bench, bindToolbar} from "./bench.js";
import {Downloads} from "./downloads.js";
import {Editor} from "./editor.js";
import {Edits} from "./edits.js";
import {Jobs} from "./jobs.js";
import {bindEditorKeys, listAllKeys, nameKey} from "./keys.js";
import {attempt, calm, complain, say, watch} from "./messages.js";
import {Places} from "./places.js";
import {Session} from "./session.js";
import {Setup} from "./setup.js";
import {carryOver, openListening, showMixes} from "./sound.js";
import {listProjects, wireStart} from "./start.js";
import {Verbs} from "./verbs.js";

const PARTS = ["setup", "pitch", "listen", "edit", "files"];

const editor = new Editor();
const verbs = new Verbs(editor);
const places = new Places(editor, verbs);
const bench = new Bench(editor, verbs);
const jobs = new Jobs();
const setup = new Setup(() => showStart());
const downloads = new Downloads();
const edits = new Edits(editor);
const pressEditor = bindEditorKeys(editor, verbs, places);

let session = null;
let listening = null;
let heard = ""; // the sound that the player has
let opening = 0; // counts, so that the last one wins
let part = "setup";
let awaiting = null; // the job that finds pitches

/* Which project. */

async function showStart() {
  closeProject();
  writeAddress(null);
  $("#start").hidden = false;
  document.title = "umss studio";
  $("#title").textContent = "umss studio";
  await listProjects(openProject);
}

function closeProject() {
  if (edits.unsent) watch(() => edits.send());
  session?.close();
  listening?.close();
  session = listening = null;
  heard = "";
  editor.setSession(null);
  editor.setListening(null);
  for (const id of ["project", "player", "home", "rename"]) $(`#${id}`).hidden = true;
  for (const id of ["tracks", "mixes"]) $(`#${id}`).replaceChildren();
}

async function openProject(id) {
  const mine = ++opening;
  const next = await Session.open(id);
  if (mine !== opening) return next.close();
  closeProject();
  session = next;
  writeAddress(id);
  $("#start").hidden = true;
  for (const name of ["project", "home", "rename"]) $(`#${name}`).hidden = false;
  session.addEventListener("project", () => refresh());
  session.addEventListener("job", () => jobs.show(next));
  session.addEventListener("tracks", showTracks);
  session.addEventListener("others", ({detail}) => say(`Another window: ${detail}.`));
  session.addEventListener("state", ({detail}) => (detail ? complain(detail) : catchUp()));
  const {singers, job} = session.project;
  showPart(singers.length && job?.state !== "running" ? "pitch" : "setup", false);
  await refresh();
  const {title, opened, recording} = session.project;
  say(`${title} is open${singers.length ? `: ${singers.length} singers` : ""}.`);
  // Sound and pictures were deleted: they are made again.
  if (opened === false && !job && !recording.missing) watch(() => session.start(["open"]));
  return undefined;
}

/** The server answers: what could not be sent is sent now. */
function catchUp() {
  calm();
  watch(async () => {
    await setup.send();
    await edits.send();
  });
}

/** Pitches that were waited for are shown, unless something else is being done. */
function showFound({job, frames}) {
  const now = job?.state === "done" && job.steps.includes("f0") && frames ? job.id : null;
  const waited = awaiting && now === awaiting;
  awaiting = job?.state === "running" && job.steps.includes("f0") ? job.id : null;
  if (waited && part === "setup" && !document.activeElement.matches("input, select")) showPart("pitch", false);
}

async function refresh() {
  const {project} = session;
  showFound(project);
  document.title = `${project.title} – umss studio`;
  $("#title").textContent = project.title;
  setup.show(session);
  jobs.show(session);
  editor.setSession(session);
  edits.show(session);
  places.refresh();
  if (part === "files") watch(() => downloads.show(session));
  await watch(refreshSound);
}

/** A new player, where what is heard has changed. */
async function refreshSound() {
  const {id, sound, frames} = session.project;
  const wanted = sound ? `${id} ${sound.version} ${sound.tracks.length} ${frames?.count}` : "";
  if (wanted === heard) return;
  heard = wanted;
  const mine = session;
  const next = await openListening(session);
  if (mine !== session || wanted !== heard) return void next?.close();
  const former = listening;
  listening = window.listening = next;
  if (former && next) carryOver(former, next);
  former?.close();
  $("#player").hidden = !next;
  editor.setListening(next);
  if (next) {
    showMixes(next);
    next.pictures.draw();
    next.player.addEventListener("change", () => edits.showStretch());
    edits.showStretch();
  }
}

function showTracks() {
  listening?.recording.tracks.forEach((track, t) => {
    if (track.role === "stem") listening.rows[t].f0 = session.tracks[track.singer] ?? null;
  });
  listening?.pictures.draw();
  editor.draw();
}

/* Parts. */

function showPart(name, focus = true) {
  part = name;
  for (const other of PARTS) {
    const tab = $(`#tab-${other}`);
    tab.setAttribute("aria-selected", other === name);
    tab.tabIndex = other === name ? 0 : -1;
    $(`#${other}`).hidden = other !== name;
  }
  document.body.dataset.part = name;
  if (focus) $(`#tab-${name}`).focus();
  listening?.pictures.draw();
  editor.draw();
  edits.showStretch();
  if (name === "files" && session) attempt(() => downloads.show(session));
}

function stepPart(direction) {
  showPart(PARTS[(PARTS.indexOf(part) + direction + PARTS.length) % PARTS.length]);
}

/* Keys and themes. */

function flipTheme(theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark") {
  setTheme(theme);
  listening?.pictures.draw();
  editor.draw();
}

/** Keys of every part; whether there is one. */
function pressAnywhere(key) {
  const actions = {"?": () => $("#keys").showModal(), D: () => flipTheme(), W: () => stepPart(1), "Shift+W": () => stepPart(-1)};
  if (actions[key]) actions[key]();
  return Boolean(actions[key]);
}

function press(event) {
  const key = nameKey(event);
  const editing = session && part === "pitch";
  if (document.querySelector("dialog[open]")) return;
  if (ownsKey(event.target, event.key)) return;
  if (editing && event.target.closest("[role=toolbar]") && /^Arrow/.test(key)) return;
  const done = (editing && pressEditor(key)) || pressAnywhere(key) || (session && reverse(key)) || pressPlayer(key, event);
  if (done) event.preventDefault();
}

/** Undo and redo work in every part. */
function reverse(key) {
  const verb = {"Ctrl+Z": "undo", "Ctrl+Shift+Z": "redo", "Ctrl+Y": "redo"}[key];
  if (verb) verbs.run(verb);
  return Boolean(verb);
}

/** The player's keys; those of its tracks only where they are seen. */
function pressPlayer(key, event) {
  if (!listening || event.ctrlKey || event.metaKey || event.altKey) return false;
  const always = [" ", "Home", "End", "A", "B", "L", ",", ".", "Escape"].includes(key);
  return (always || part === "listen") && globalThis.press(listening, event);
}

function wirePage() {
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  setTheme(system.matches ? "dark" : "light");
  system.addEventListener("change", () => flipTheme(system.matches ? "dark" : "light"));
  $("#theme").addEventListener("click", () => flipTheme());
  $("#help").addEventListener("click", () => $("#keys").showModal());
  $("#dismiss").addEventListener("click", () => complain(null));
  $("#home").addEventListener("click", () => attempt(showStart));
  $("#rename").addEventListener("click", () => attempt(rename));
  for (const name of PARTS) {
    $(`#tab-${name}`).addEventListener("click", ({detail}) => {
      showPart(name, !detail);
      // Who clicks a tab means what is below it: keys go there.
      if (detail && name === "pitch") $("#editor").focus({preventScroll: true});
      else if (detail) document.activeElement.blur();
    });
    $(`#tab-${name}`).addEventListener("keydown", ({key}) => {
      if (key === "ArrowRight") stepPart(1);
      else if (key === "ArrowLeft") stepPart(-1);
      else if (key === "Home") showPart(PARTS[0]);
      else if (key === "End") showPart(PARTS.at(-1));
    });
  }
  document.addEventListener("keydown", press);
  // After a click, keys go to the player and editor again.
  document.addEventListener("click", (event) => {
    if (event.detail && !event.target.closest("dialog")) event.target.closest("button:not([role=tab]), input[type=range]")?.blur();
  });
  bindToolbar($("#verbs"));
  bindToolbar($("#view-tools"));
  listAllKeys();
  wireStart(openProject);
  editor.addEventListener("change", () => edits.showStretch());
  window.addEventListener("hashchange", () => {
    const id = readAddress();
    if (id !== (session?.project.id ?? null)) attempt(() => (id ? openProject(id) : showStart()));
  });
  window.addEventListener("beforeunload", (event) => edits.unsent && event.preventDefault());
  const tick = () => {
    editor.tick();
    requestAnimationFrame(tick);
  };
  tick();
}

async function rename() {
  const title = await question("The title:", {yes: "Rename", value: session.project.title});
  if (title && title !== session.project.title) await session.patch({title});
}

async function begin() {
  const id = readAddress();
  for (;;) {
    try {
      await setup.begin();
      break;
    } catch (error) {
      complain(error);
      if (!(error instanceof Silence)) return;
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  }
  calm();
  await attempt(() => (id ? openProject(id) : showStart()));
}

wirePage();
begin();
window.studio = {editor, verbs, places, bench, edits, get session() { return session; }, get listening() { return listening; }};
