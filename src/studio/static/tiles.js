/* The pictures behind the tracks, ten seconds each, fetched when they are seen. */

import {ask} from "./api.js";

const KEPT = 30;
const MOST_SECONDS = 150; // a longer view is drawn of what is there

export class Tiles {
  constructor(loaded) {
    this.loaded = loaded; // called when a tile has come
    this.session = null;
    this._tiles = new Map(); // "kind/k" -> {grey, canvas, ink}, null while it is fetched
    this._version = null;
  }

  setSession(session) {
    const {id, pictures} = session.project;
    const version = `${id} ${pictures?.version}`;
    this.session = session;
    if (version === this._version) return;
    this._version = version;
    this._tiles.clear();
  }

  /** The kinds of pictures that there are. */
  get kinds() {
    return Object.keys(this.session?.project.pictures?.kinds || {});
  }

  /** Draws what there is of a kind, and fetches what is missing. */
  draw({context, width, height}, kind, {start, end}, view, ink) {
    const {pictures} = this.session.project;
    const about = pictures?.kinds[kind];
    if (!about) return;
    const scale = width / (end - start);
    const rows = about.rows - 1;
    const octaves = Math.log2(about.highest / about.lowest);
    // The centre of a row is its pitch: the picture is half a row higher and lower.
    const top = view.yOf(about.highest * 2 ** (octaves / rows / 2), height);
    const bottom = view.yOf(about.lowest * 2 ** (-octaves / rows / 2), height);
    const last = Math.ceil(this.session.project.recording.seconds / pictures.piece) - 1;
    context.imageSmoothingEnabled = true;
    context.imageSmoothingQuality = "high";
    for (let k = Math.floor(start / pictures.piece); k <= Math.min(last, Math.floor(end / pictures.piece)); k++) {
      const tile = this._get(kind, k, end - start <= MOST_SECONDS);
      if (!tile) continue;
      if (tile.ink !== ink.join()) Object.assign(tile, {ink: ink.join(), canvas: inkGrey(tile.grey, ink)});
      const from = k * pictures.piece;
      const left = Math.round((from - start) * scale);
      const right = Math.round((from + tile.grey.width / about.per_second - start) * scale);
      context.drawImage(tile.canvas, left, top, right - left, bottom - top);
    }
  }

  _get(kind, k, wanted) {
    const name = `${kind}/${k}`;
    const tile = this._tiles.get(name);
    if (tile) { // the one used last stands last
      this._tiles.delete(name);
      this._tiles.set(name, tile);
    } else if (tile === undefined && wanted) {
      this._tiles.set(name, null);
      this._fetch(name, this._version);
    }
    return tile;
  }

  async _fetch(name, version) {
    try {
      const blob = await (await ask(this.session.at(`/pictures/${name}.png`))).blob();
      const address = URL.createObjectURL(blob);
      const grey = await readGrey(address);
      URL.revokeObjectURL(address);
      if (version !== this._version) return;
      this._tiles.set(name, {grey, ink: null, canvas: null});
      for (const old of this._tiles.keys()) {
        if (this._tiles.size <= KEPT) break;
        this._tiles.delete(old);
      }
      this.loaded();
    } catch {
      if (version === this._version) setTimeout(() => this._tiles.delete(name), 2000); // asked for again later
    }
  }
}
