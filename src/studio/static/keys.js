/* What keys do in the editor and everywhere, and the list of them. */

import {attempt, say} from "./messages.js";
import {VERBS} from "./verbs.js";

const NAMES = {ArrowUp: "↑", ArrowDown: "↓", ArrowLeft: "←", ArrowRight: "→", Delete: "Del"};

/** "Ctrl+Shift+ArrowUp": the same for ⌘ and Ctrl; digits by their place on the keyboard. */
export function nameKey(event) {
  const digit = /^(?:Digit|Numpad)([1-9])$/.exec(event.code);
  const letter = event.key.length === 1 && event.key.toLowerCase() !== event.key.toUpperCase();
  const symbol = event.key.length === 1 && !letter && !(digit && (event.shiftKey || event.key === digit[1])) && event.key !== " ";
  const key = letter ? event.key.toUpperCase() : digit && !symbol ? digit[1] : event.key;
  const typed = event.getModifierState("AltGraph"); // a symbol of some keyboards, nothing held
  const held = [(event.ctrlKey || event.metaKey) && !typed ? "Ctrl" : "", event.altKey && !typed ? "Alt" : "",
    event.shiftKey && !symbol ? "Shift" : ""].filter(Boolean);
  return [...held, key].join("+");
}

/** "Ctrl ⇧ ↑" for people. */
export const showKey = (key) => key.split("+").map((part) => NAMES[part] || part).join(" ") || "+";

const EDITOR_KEYS = [
  ["Enter", "take the drawn line; else choose the stretch at the playhead"],
  ["Ctrl+← Ctrl+→", "the stretch before, after; with Shift it is chosen besides"],
  ["Shift+← Shift+→", "move the end of the chosen stretch; with Alt its beginning"],
  ["Shift+↑ Shift+↓", "the singer above, below, in the same stretch"],
  ["Ctrl+A", "choose all of the singer"],
  ["Esc", "drop the drawn line, then draw no more, choose nothing, and no loop"],
  ["1 … 9", "give the stretch to a singer; without a stretch, choose that singer"],
  ["Shift+1 … 9", "swap the stretch with a singer"],
  ["N", "next place to look at; with Shift the one before"],
  ["Y", "do what is proposed for it"],
  ["S", "play the stretch only, again and again"],
  ["O", "hear only the singer's stem; C: all"],
  ["Ctrl+Enter", "show what sounds (candidates) as dots"],
  ["← →", "back, forward by a second"],
  ["↑ ↓", "see less, more time (also Z X)"],
  ["Shift+Z Shift+X", "see less, more pitch"],
  ["PageUp PageDown", "scroll in pitch"],
  ["Alt+← Alt+→", "scroll in time"],
  ["F", "see everything"],
  ["V", "spectrogram, salience, or none"],
];
const EVERYWHERE = [
  ["Space", "play or pause"], ["Home End", "beginning, end"], ["A B", "the loop begins, ends here"], ["L", "loop on or off"],
  [", .", "slower, faster"], ["W", "the next part of the studio; with Shift the one before"], ["D", "dark or light"], ["?", "these keys"],
];

/** Fills the list of keys. */
export function listAllKeys() {
  const part = (title, keys) => [make("h3", {textContent: title}), make("dl", {}, ...listKeys(keys))];
  const verbs = VERBS.flatMap(([, list]) => list).map(([, , keys, text]) =>
    [keys.map((key) => showKey(key).replaceAll(" ", "+")).join(" "), text]);
  $("#key-lists").replaceChildren(...part("Everywhere", EVERYWHERE), ...part("Corrections (part Pitch)", verbs),
    ...part("Choosing and seeing (part Pitch)", EDITOR_KEYS),
    ...part("Part Listen", KEYS.filter(([keys]) => !["Space", "Home End", "A B", "L", ", .", "D", "?"].includes(keys))));
}

/** A function from the name of a key to whether it did something in the editor. */
export function bindEditorKeys(editor, verbs, places) {
  const actions = new Map();
  for (const [id, , keys] of VERBS.flatMap(([, list]) => list)) for (const key of keys) actions.set(key, () => verbs.run(id));
  const chosen = () => editor.listening;
  const seekSecond = (direction) => {
    const now = editor.now;
    chosen()?.seek(direction > 0 ? Math.floor(now + 1.001) : Math.ceil(now - 1.001));
  };
  const loopChosen = () => {
    const listening = chosen();
    if (!listening) return;
    if (!editor.span) return void listening.toggleLoop();
    const {from, to} = editor.span;
    const {loop, looping} = listening.player;
    const same = looping && loop && Math.abs(loop.start - from) < 0.02 && Math.abs(loop.end - to) < 0.02;
    attempt(async () => {
      if (same) return listening.player.clearLoop();
      await listening.player.setLoop(from, to);
      listening.seek(from);
      if (!listening.player.playing) await listening.player.play();
      return undefined;
    });
    say(same ? "Everything is played." : "Only the stretch is played.");
  };
  const only = () => {
    const track = chosen()?.recording.tracks.findIndex(({role, singer}) => role === "stem" && singer === editor.singer);
    if (track >= 0) chosen().toggleSolo(track);
    else say("Separate first: there is no stem to hear yet.");
  };
  const more = {
    Enter: () => (verbs.draft.waits ? verbs.draft.take() : editor.selectAtNow()),
    "Ctrl+ArrowLeft": () => editor.step(-1), "Ctrl+ArrowRight": () => editor.step(1),
    "Ctrl+Shift+ArrowLeft": () => editor.step(-1, true), "Ctrl+Shift+ArrowRight": () => editor.step(1, true),
    "Shift+ArrowLeft": () => editor.moveEdge("last", -1), "Shift+ArrowRight": () => editor.moveEdge("last", 1),
    "Alt+Shift+ArrowLeft": () => editor.moveEdge("first", -1), "Alt+Shift+ArrowRight": () => editor.moveEdge("first", 1),
    "Shift+ArrowUp": () => editor.chooseSinger(editor.singer - 1),
    "Shift+ArrowDown": () => editor.chooseSinger(editor.singer + 1),
    "Ctrl+A": () => editor.selectAll(),
    Escape: () => {
      if (verbs.draft.waits) verbs.draft.drop();
      else if (editor.tool !== "choose") editor.setTool("choose");
      else if (editor.selection) editor.clear();
      else chosen()?.player.clearLoop();
    },
    N: () => places.next(), "Shift+N": () => places.before(), Y: () => places.mend(),
    S: loopChosen, O: only, C: () => chosen()?.player.clearSolo(),
    "Ctrl+Enter": () => attempt(() => editor.toggleCandidates()),
    ArrowLeft: () => seekSecond(-1), ArrowRight: () => seekSecond(1),
    ArrowUp: () => editor.zoomTime(0.5), ArrowDown: () => editor.zoomTime(2),
    Z: () => editor.zoomTime(0.5), X: () => editor.zoomTime(2),
    "Shift+Z": () => editor.zoomPitch(0.7), "Shift+X": () => editor.zoomPitch(1.4),
    PageUp: () => editor.scrollPitch(0.25), PageDown: () => editor.scrollPitch(-0.25),
    "Alt+ArrowLeft": () => editor.scrollTime(-0.25), "Alt+ArrowRight": () => editor.scrollTime(0.25),
    F: () => editor.fit(), V: () => editor.cyclePicture(),
  };
  for (const [key, action] of Object.entries(more)) actions.set(key, action);
  for (let digit = 1; digit <= 9; digit++) {
    actions.set(String(digit), () =>
      (editor.selection ? verbs.handOver("give", digit - 1) : editor.chooseSinger(digit - 1)));
    actions.set(`Shift+${digit}`, () => (editor.selection ? verbs.handOver("swap", digit - 1)
      : say("Choose a stretch of a track first: click it, or press Enter.")));
  }
  return (key) => {
    const action = actions.get(key);
    if (action) action();
    return Boolean(action);
  };
}
