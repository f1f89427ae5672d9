/* An open project: its state and tracks as the server has them, and changes in their order. */

import {ask, askJson, follow, Refusal, WINDOW} from "./api.js";

const OVERTAKEN = "Another window has changed the project. Its state is shown now; " +
  "do yours again if it is still wanted.";

/**
 * Events: "project" (anything of the state), "tracks" (F0 differs), "job" (progress), "others"
 * (detail: what another window did), "state" (detail: an error, or null).
 */
export class Session extends EventTarget {
  constructor(project) {
    super();
    this.project = project;
    this.tracks = []; // Float32Array per singer, Hz
    this.revision = -1; // of the tracks
    this._queue = Promise.resolve();
    this._abort = new AbortController();
  }

  static async open(id) {
    const session = new Session(await askJson(`/api/projects/${encodeURIComponent(id)}`));
    await session._fetchTracks();
    session._follow();
    return session;
  }

  close() {
    this._abort.abort();
  }

  at(rest = "") {
    return `/api/projects/${this.project.id}${rest}`;
  }

  get step() {
    return this.project.frames?.step ?? 0.016;
  }

  get count() {
    return this.project.frames?.count ?? 0;
  }

  get running() {
    return this.project.job?.state === "running";
  }

  /** Sends a change that carries the revision; changes follow one another. */
  change(method, rest, content) {
    return this._line(async () => {
      const change = await askJson(this.at(rest), {method, json: {revision: this.project.revision, ...content}});
      await this._apply(change);
      return change;
    });
  }

  /** Sends bytes that change the project. */
  put(rest, file) {
    return this._line(async () => {
      const headers = {"X-UMSS-Revision": String(this.project.revision)};
      if (file) headers["X-UMSS-Name"] = encodeURIComponent(file.name);
      const method = file ? "PUT" : "DELETE";
      await this._take(await askJson(this.at(rest), {method, body: file || undefined, headers}));
    });
  }

  /** Changes title, names or settings. */
  patch(content) {
    return this._line(async () => this._take(
      await askJson(this.at(), {method: "PATCH", json: {revision: this.project.revision, ...content}})));
  }

  operate(operation) {
    return this.change("POST", "/operations", {operation});
  }

  async start(steps, options = {}) {
    await this._line(async () => {
      const found = await askJson(this.at("/jobs"),
        {method: "POST", json: {revision: this.project.revision, steps, options}});
      this.project.job = found.job;
      if (found.revision !== undefined && found.revision !== this.project.revision) {
        await this._take(await askJson(this.at()));
      }
    });
    this._tell("project");
  }

  async cancel() {
    const {job} = await askJson(this.at("/jobs"), {method: "DELETE"});
    this.project.job = job;
    this._tell("project");
  }

  _line(action) {
    const done = this._queue.then(async () => {
      try {
        return await action();
      } catch (error) {
        if (error.status !== 409 || !error.project) throw error;
        await this._take(error.project);
        throw new Refusal(OVERTAKEN, 409);
      }
    });
    this._queue = done.catch(() => {});
    return done;
  }

  /** Takes over a whole state. */
  async _take(project) {
    if (project.id !== this.project.id || project.revision < this.project.revision) return;
    this.project = project;
    await this._fetchTracks();
    this._tell("project");
  }

  async _fetchTracks() {
    const {frames, revision, singers} = this.project;
    if (!frames) {
      this.tracks = [];
      this.revision = revision;
      return;
    }
    if (this.revision === revision && this.tracks.length === singers.length) return;
    const response = await ask(this.at("/tracks"));
    const values = new Float32Array(await response.arrayBuffer());
    const count = Number(response.headers.get("X-UMSS-Count"));
    this.revision = Number(response.headers.get("X-UMSS-Revision"));
    this.tracks = Array.from({length: values.length / count}, (_, j) => values.slice(j * count, (j + 1) * count));
    this._tell("tracks");
  }

  /** Applies a change of the server's, made on the state before it. */
  async _apply(change) {
    if (change.revision <= this.project.revision) return;
    const {revision, changes = [], undo, redo, locks, results, edits} = change;
    const whole = changes.length > 0 && changes.every(({f0}) => f0.length === this.count); // names may differ, too
    if (change.reload || whole || revision !== this.project.revision + 1 || this.revision !== this.project.revision) {
      await this._take(await askJson(this.at()));
      return;
    }
    for (const {singer, first, f0} of changes) this.tracks[singer].set(f0, first);
    this.revision = revision;
    Object.assign(this.project, {revision, undo, redo});
    if (locks) this.project.locks = locks;
    if (results) this.project.results = results;
    if (edits) this.project.edits = edits;
    if (changes.length) this._tell("tracks");
    this._tell("project");
  }

  _follow() {
    const handle = async (kind, content) => {
      if (kind === "project") await this._take(content);
      else if (kind === "job") {
        const ended = this.project.job?.state === "running" && content.state !== "running";
        this.project.job = content;
        this._tell(ended ? "project" : "job");
      } else if (kind === "change" && content.by !== WINDOW) {
        await this._queue;
        if (content.revision <= this.project.revision) return;
        await this._apply(content);
        this._tell("others", content.said);
      }
    };
    follow(this.project.id, handle, (error) => this._tell("state", error), this._abort.signal);
  }

  _tell(kind, detail = null) {
    this.dispatchEvent(new CustomEvent(kind, {detail}));
  }
}
