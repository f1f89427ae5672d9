/* What the studio says: to the eye and to a screen reader. */

import {Silence} from "./api.js";

let shown = null; // the error that is shown

/** Tells what was done or chosen. */
export function say(text) {
  // The same sentence twice is announced twice.
  const line = $("#said");
  line.textContent = line.textContent === text ? `${text}\u00a0` : text;
}

/** Shows what went wrong; null when it is mended. */
export function complain(error) {
  if (error?.name === "AbortError") return;
  shown = error;
  $("#failure").textContent = error ? writeSentence(error.message || String(error)) : "";
  $("#alarm").hidden = !error;
}

/** The server answers again. */
export function calm() {
  if (shown instanceof Silence) complain(null);
}

/** Runs what nobody asked for: errors are shown, earlier ones stay. */
export async function watch(action) {
  try {
    return await action();
  } catch (error) {
    complain(error);
    return undefined;
  }
}

/** Runs what a button or key starts; errors are shown. */
export async function attempt(action) {
  try {
    const done = await action();
    if (!(shown instanceof Silence)) complain(null);
    return done;
  } catch (error) {
    complain(error);
    return undefined;
  }
}

/** "an octave below …" -> "An octave below …." */
export const writeSentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;

/** "0:03.20 to 0:04.10" */
export const formatSpan = (from, to) => `${formatTime(from, 2)} to ${formatTime(to, 2)}`;
