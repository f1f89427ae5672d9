/* Hears a stretch at once: of the recording, of a stem, or its pitches as tones. */

import {ask} from "./api.js";

export const LONGEST = 30; // seconds that the server gives

let context = null;
let source = null;
let turn = 0;

/** Stops what is heard; whether there was something. */
export function hush() {
  turn++;
  const heard = source !== null;
  source?.stop();
  source = null;
  return heard;
}

/** Asks for a sound and plays it; a later one stops it. `ended` is called when it is over. */
export async function hear(path, json, ended = () => {}) {
  hush();
  const mine = turn;
  context ??= new AudioContext();
  const resumed = context.resume();
  const response = await ask(path, {method: "POST", json});
  const buffer = await context.decodeAudioData(await response.arrayBuffer());
  await resumed;
  if (mine !== turn) return;
  const node = context.createBufferSource();
  node.buffer = buffer;
  node.connect(context.destination);
  node.onended = () => {
    if (source === node) source = null;
    ended();
  };
  node.start();
  source = node;
}
