/* Hears a stretch at once: of the recording, of a stem, or its pitches as tones. */

import {ask} from "./api.js";

export const LONGEST = 30; // seconds that the server gives

let context = null;
let source = null;
let asked = new AbortController();

/** Stops what is heard or asked for; whether something was heard. */
export function hush() {
  asked.abort();
  const heard = source !== null;
  source?.stop();
  source = null;
  return heard;
}

/** Asks for a sound and plays it; a later one stops it. `ended` is called when it is over. */
export async function hear(path, json, ended = () => {}) {
  hush();
  const {signal} = asked = new AbortController();
  context ??= new AudioContext();
  const resumed = context.resume();
  let buffer;
  try {
    const response = await ask(path, {method: "POST", json, signal});
    buffer = await context.decodeAudioData(await response.arrayBuffer());
  } catch (error) {
    if (signal.aborted) return;
    throw error;
  }
  await resumed;
  if (signal.aborted) return;
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
