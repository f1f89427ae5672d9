"use strict";
/* The pictures of a recording's tracks: which part is shown, and what it is drawn of. */

class Pictures {
  /**
   * @param {Object} recording of the page
   * @param {Array} rows {canvas, f0, peaks, overview, colour} per track
   * @param {Object} source {overviews(), pictures(index)}: promises of grey values per track, null
   *   where there are none; an overview may be a promise itself
   */
  constructor(recording, rows, source) {
    this.recording = recording;
    this.rows = rows;
    this.source = source;
    this.drawn = null; // called when what is shown has changed
    this.duration = recording.length / recording.rate;
    this.shown = {start: 0, end: this.duration};
    this.waves = false;
    this.tiles = new Map(); // piece -> per track {grey, start, seconds}; a few at a time
    this.loading = new Set();
    this.asked = false; // whether overviews were asked for
  }

  /** Shows less (factor < 1) or more time around a time. */
  zoom(factor, around) {
    const {start, end} = this.shown;
    const seconds = Math.min(this.duration, Math.max(1, (end - start) * factor));
    const centre = around >= start && around <= end ? around : (start + end) / 2;
    this.show(centre - seconds / 2, seconds);
  }

  /** Shows the seconds from `start` on. */
  show(start, seconds) {
    const from = Math.max(0, Math.min(start, this.duration - seconds));
    this.shown = {start: from, end: from + Math.min(seconds, this.duration)};
    this.draw();
  }

  /** Turns the pages so that a time is seen. */
  reveal(time) {
    const {start, end} = this.shown;
    if (time < start || time > end) this.show(time - 0.1 * (end - start), end - start);
  }

  /** Reads what is shown of long stretches, once it is looked at. */
  async _wantOverviews() {
    if (this.asked) return;
    this.asked = true;
    const overviews = await this.source.overviews();
    await Promise.all(this.rows.map(async (row, t) => {
      row.overview = await overviews[t];
      this.draw();
    }));
  }

  /** Draws pictures and ruler anew. */
  draw() {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const {recording, shown, duration} = this;
    const ink = readColour(colour("--grey"));
    const whole = {start: 0, end: duration};
    const first = Math.max(0, recording.tracks.findIndex(({role}) => role === "mixture"));
    drawWave(fitCanvas($("#overview canvas")), this.rows[first].peaks, recording.peaks, whole, colour("--wave"));
    drawRuler(fitCanvas($("#ruler")), shown, colour("--soft"));
    this.drawn?.();
    if (!$("#tracks").offsetParent) return; // hidden behind another view
    const close = shown.end - shown.start <= MOST_TILES_SECONDS;
    if (!this.waves) this._wantOverviews().catch(fail);
    if (close && !this.waves) this._wantTiles();
    this.rows.forEach((row, t) => {
      const target = fitCanvas(row.canvas);
      if (this.waves) {
        drawWave(target, row.peaks, recording.peaks, shown, colour(row.colour || "--wave"));
        return;
      }
      const tiles = close ? this._tiles(t, ink) : null;
      if (tiles) drawTiles(target, tiles, shown);
      else if (row.overview) {
        row.inked = row.inked?.theme === ink.join() ? row.inked
          : {theme: ink.join(), canvas: inkGrey(row.overview, ink)};
        drawTiles(target, [{canvas: row.inked.canvas, start: 0, seconds: duration}], shown);
      } else { // there is no picture, or not yet
        target.context.globalAlpha = 0.45;
        drawWave(target, row.peaks, recording.peaks, shown, colour("--wave"));
        target.context.globalAlpha = 1;
      }
      const singers = recording.tracks[t].role === "mixture"
        ? this.rows.filter((_, k) => recording.tracks[k].role === "stem") : [row];
      for (const {f0, colour: name} of singers) {
        const line = {colour: colour(name || "--accent"), edge: colour("--edge")};
        if (f0) drawF0(target, f0, recording.frame, shown, recording, line);
      }
    });
  }

  /** The tiles of a track that are shown; null while one is missing. */
  _tiles(t, ink) {
    const [first, last] = this._shownPieces();
    const tiles = [];
    for (let i = first; i <= last; i++) {
      const tile = this.tiles.get(i)?.[t];
      if (!tile) return null;
      if (tile.theme !== ink.join()) Object.assign(tile, {theme: ink.join(), canvas: inkGrey(tile.grey, ink)});
      tiles.push(tile);
    }
    return tiles;
  }

  _shownPieces() {
    const seconds = this.recording.piece / this.recording.rate;
    const last = Math.min(this.recording.pieces - 1, Math.floor(this.shown.end / seconds));
    return [Math.floor(this.shown.start / seconds), last];
  }

  /** Reads the tiles that are shown, and forgets others. */
  async _wantTiles() {
    const [first, last] = this._shownPieces();
    for (const index of this.tiles.keys()) if (index < first - 1 || index > last + 1) this.tiles.delete(index);
    const seconds = this.recording.piece / this.recording.rate;
    for (let index = first; index <= last; index++) {
      const [from, to] = this._shownPieces();
      if (index < from || index > to) return; // who scrolls on does not wait for what lies behind
      if (this.tiles.has(index) || this.loading.has(index)) continue;
      this.loading.add(index);
      try {
        const greys = await this.source.pictures(index);
        this.tiles.set(index, greys.map((grey) =>
          grey && {grey, start: index * seconds, seconds: grey.width / this.recording.columns}));
      } catch (error) {
        fail(error);
        return;
      } finally {
        this.loading.delete(index);
      }
      this.draw();
    }
  }
}
