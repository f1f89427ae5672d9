"use strict";
/* Keys, themes, paper, and the choice of the recording. */

const KEYS = [
  ["Space", "play or pause"],
  ["← →", "2 seconds back, forward; with Shift 10"],
  ["Home End", "beginning, end"],
  ["↑ ↓", "choose a track"],
  ["S M", "solo, mute the chosen track"],
  ["+ −", "gain of the chosen track"],
  ["1 … 9", "solo of a track; with Shift mute"],
  ["C", "no solo"],
  ["A B", "the loop begins, ends here"],
  ["L", "loop on or off"],
  ["Esc", "no loop"],
  [", .", "slower, faster"],
  ["Z X", "see less, more time"],
  ["V", "waveforms or spectrograms"],
  ["N", "next place to listen with care"],
  ["D", "dark or light"],
  ["?", "these keys"],
];

/** What a key does to a recording; false if nothing. */
function press(listening, event) {
  const {player, chosen} = listening;
  const digit = /^Digit([1-9])$/.exec(event.code);
  if (digit) {
    const t = Number(digit[1]) - 1;
    if (t >= listening.rows.length) return false;
    if (event.shiftKey) listening.toggleMute(t);
    else listening.toggleSolo(t);
    return true;
  }
  const step = event.shiftKey ? 10 : 2;
  const now = player.position;
  const gain = player.tracks[chosen].gain;
  const actions = {
    " ": () => listening.toggle(),
    ArrowLeft: () => listening.seek(now - step),
    ArrowRight: () => listening.seek(now + step),
    Home: () => listening.seek(0),
    End: () => listening.seek(listening.duration),
    ArrowUp: () => listening.choose(chosen - 1),
    ArrowDown: () => listening.choose(chosen + 1),
    s: () => listening.toggleSolo(chosen),
    m: () => listening.toggleMute(chosen),
    "+": () => listening.setGain(chosen, gain + 1),
    "-": () => listening.setGain(chosen, gain - 1),
    c: () => player.clearSolo(),
    a: () => listening.setEdge("start"),
    b: () => listening.setEdge("end"),
    l: () => listening.toggleLoop(),
    Escape: () => listening.attempt(player.clearLoop()),
    ",": () => listening.setTempo(100 * player.tempo - 5),
    ".": () => listening.setTempo(100 * player.tempo + 5),
    z: () => listening.zoom(0.5),
    x: () => listening.zoom(2),
    v: () => listening.toggleView(),
    n: () => listening.visitNext(),
  };
  const action = actions[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (action) action();
  return Boolean(action);
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  $("#theme").textContent = theme === "dark" ? "Light" : "Dark";
}

function main() {
  const content = JSON.parse($("#content").textContent);
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  setTheme(system.matches ? "dark" : "light");
  let listening = null;
  const open = (number) => {
    if (listening) listening.close();
    $("#failure").hidden = true;
    listening = new Listening(content.recordings[number], number, content.folder);
    window.listening = listening;
  };
  const show = (theme) => {
    setTheme(theme);
    listening.pictures.draw();
  };
  const flip = () => show(document.documentElement.dataset.theme === "dark" ? "light" : "dark");
  system.addEventListener("change", () => show(system.matches ? "dark" : "light"));
  $("#theme").addEventListener("click", flip);
  $("#keys dl").append(...KEYS.flatMap(([keys, text]) => [
    make("dt", {}, ...keys.split(" ").flatMap((key) => [key === "…" ? key : make("kbd", {textContent: key}), " "])),
    make("dd", {textContent: text}),
  ]));
  $("#help").addEventListener("click", () => $("#keys").showModal());
  $("#recording").addEventListener("change", (event) => open(Number(event.target.value)));
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || $("#keys").open) return;
    const target = event.target.closest("input, select, button, dialog");
    const own = {range: ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End"]}[target?.type];
    if (own?.includes(event.key) || (target?.matches("button") && event.key === " ")) return;
    if (target?.matches("select")) return;
    if (event.key === "?") $("#keys").showModal();
    else if (event.key.toLowerCase() === "d") flip();
    else if (!press(listening, event)) return;
    event.preventDefault();
  });
  // After a click, keys go to the player again: space plays, arrows seek.
  document.addEventListener("click", (event) => {
    if (event.detail) event.target.closest("button, input")?.blur();
  });
  // Paper is white, and shows everything.
  let before = null;
  window.addEventListener("beforeprint", () => {
    before = {theme: document.documentElement.dataset.theme, shown: listening.pictures.shown};
    listening.pictures.shown = {start: 0, end: listening.duration};
    show("light");
  });
  window.addEventListener("afterprint", () => {
    if (before) {
      listening.pictures.shown = before.shown;
      show(before.theme);
    }
    before = null;
  });
  open(0);
}

main();
