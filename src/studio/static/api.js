/* Requests to the studio's server: the token, errors as sentences, events. */

export const WINDOW = crypto.randomUUID(); // tells this window's changes from those of others
const GONE = "The studio does not answer. Nothing is lost; it is asked again every second.";
const ENDED = "The studio was ended: open the address it printed when it was started again.";
const NO_TOKEN = "Open the address that umss studio printed in the terminal.";

/** The server says no; its sentence is the message. */
export class Refusal extends Error {
  constructor(message, status, project = null) {
    super(message);
    this.status = status;
    this.project = project; // the present state, where another window has changed it
  }
}

/** Nobody answers. */
export class Silence extends Error {
  constructor() {
    super(GONE);
  }
}

/** Keeps the token out of the address; returns the project that the address names, or null. */
export function readAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  if (given.has("token")) sessionStorage.setItem("token", given.get("token"));
  const id = given.get("project");
  writeAddress(id);
  return id;
}

export function writeAddress(id) {
  history.replaceState(null, "", id ? `/#project=${encodeURIComponent(id)}` : "/");
}

const getToken = () => sessionStorage.getItem("token") || "";

async function refuse(status, read) {
  let answer = {};
  try {
    answer = JSON.parse(await read());
  } catch {
    // not JSON: there is only the status
  }
  if (status === 403) return new Refusal(getToken() ? ENDED : NO_TOKEN, status);
  return new Refusal(answer.error || `The studio answered with error ${status}.`, status, answer.project);
}

/**
 * One request; a Response that is fine.
 * @throws {Refusal|Silence}
 */
export async function ask(path, {method = "GET", json, body, headers = {}, signal} = {}) {
  const sent = {"X-UMSS-Token": getToken(), "X-UMSS-Window": WINDOW, ...headers};
  if (json !== undefined) {
    sent["Content-Type"] = "application/json";
    body = JSON.stringify(json);
  }
  let response;
  try {
    response = await fetch(path, {method, headers: sent, body, signal});
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Silence();
  }
  if (response.ok) return response;
  throw await refuse(response.status, () => response.text());
}

export const askJson = async (path, options) => (await ask(path, options)).json();

/** Sends a recording; `progress` is called with 0 to 1. Resolves to the new project's state. */
export function upload(file, progress, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", "/api/projects");
    request.setRequestHeader("X-UMSS-Token", getToken());
    request.setRequestHeader("X-UMSS-Window", WINDOW);
    request.setRequestHeader("X-UMSS-Name", encodeURIComponent(file.name));
    request.upload.onprogress = ({loaded, total}) => progress(total ? loaded / total : 0);
    request.onload = async () => {
      if (request.status < 300) resolve(JSON.parse(request.responseText));
      else reject(await refuse(request.status, () => request.responseText));
    };
    request.onerror = () => reject(new Silence());
    request.onabort = () => reject(new DOMException("cancelled", "AbortError"));
    signal.addEventListener("abort", () => request.abort());
    request.send(file);
  });
}

/**
 * Follows a project until `signal` aborts; connects again when the stream breaks.
 * @param {function(string, Object)} handle called with each event's kind and content
 * @param {function(?Error)} state called with what is wrong, null when all is well
 */
export async function follow(id, handle, state, signal) {
  while (!signal.aborted) {
    try {
      const response = await ask(`/api/projects/${id}/events`, {signal});
      state(null);
      await readEvents(response.body, handle);
      if (!signal.aborted) state(new Silence());
    } catch (error) {
      if (signal.aborted) return;
      state(error instanceof Refusal ? error : new Silence());
      if (error.status === 403 || error.status === 404) return;
    }
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}

async function readEvents(stream, handle) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const {value, done} = await reader.read();
    if (done) return;
    text += value;
    for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
      const found = /^event: (\w+)\ndata: (.*)$/s.exec(text.slice(0, end));
      text = text.slice(end + 2);
      if (found) await handle(found[1], JSON.parse(found[2]));
    }
  }
}
