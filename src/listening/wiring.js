"use strict";
/* Keys and themes. */

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

/** Rows of a list of keys: [["A B", "what they do"], ...]. */
const listKeys = (keys) => keys.flatMap(([names, text]) => [
  make("dt", {}, ...names.split(" ").flatMap((key) => [key === "…" ? key : make("kbd", {textContent: key}), " "])),
  make("dd", {textContent: text}),
]);

/** Whether a key belongs to the element that has the focus, not to the page. */
function ownsKey(target, key) {
  const element = target.closest("input, select, textarea, button, dialog, summary, [role=tab]");
  if (!element) return false;
  if (element.matches("button, summary, input[type=checkbox], input[type=radio]")) return [" ", "Enter"].includes(key);
  if (element.matches("[role=tab]")) return [" ", "Enter", "ArrowLeft", "ArrowRight", "Home", "End"].includes(key);
  if (element.type === "range") return ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End"].includes(key);
  return true;
}
