/* Which pitches are shown, and where: the editor's vertical axis, logarithmic. */

const LEAST_OCTAVES = 0.5;

export class PitchView {
  constructor() {
    this.bounds = {lowest: 60, highest: 2000};
    this.lowest = 80;
    this.highest = 1200;
  }

  setBounds(lowest, highest) {
    this.bounds = {lowest, highest};
    this._place(Math.log2(this.lowest), Math.log2(this.highest));
  }

  get octaves() {
    return Math.log2(this.highest / this.lowest);
  }

  /** Pixels from the top. */
  yOf(hertz, height) {
    return height * (1 - Math.log2(hertz / this.lowest) / this.octaves);
  }

  hertzAt(y, height) {
    return this.lowest * 2 ** ((1 - y / height) * this.octaves);
  }

  zoom(factor, around = Math.sqrt(this.lowest * this.highest)) {
    const octaves = Math.max(LEAST_OCTAVES, this.octaves * factor);
    const share = Math.log2(around / this.lowest) / this.octaves;
    const low = Math.log2(around) - share * octaves;
    this._place(low, low + octaves);
  }

  scroll(octaves) {
    this._place(Math.log2(this.lowest) + octaves, Math.log2(this.highest) + octaves);
  }

  /** Shows all that the tracks sing. */
  fit(tracks) {
    let low = Infinity;
    let high = 0;
    for (const track of tracks) {
      for (const hertz of track) {
        if (!hertz) continue;
        if (hertz < low) low = hertz;
        if (hertz > high) high = hertz;
      }
    }
    if (high) this._place(Math.log2(low) - 0.35, Math.log2(high) + 0.35);
    else this._place(Math.log2(this.bounds.lowest), Math.log2(this.bounds.highest));
  }

  /** Brings pitches into sight, if they are not. */
  reveal(low, high) {
    const below = Math.log2(low) - 0.15;
    const above = Math.log2(high) + 0.15;
    let [from, to] = [Math.log2(this.lowest), Math.log2(this.highest)];
    if (above - below > to - from) [from, to] = [below, above];
    else if (below < from) [from, to] = [below, below + to - from];
    else if (above > to) [from, to] = [above - to + from, above];
    this._place(from, to);
  }

  _place(low, high) {
    const least = Math.log2(this.bounds.lowest);
    const most = Math.log2(this.bounds.highest);
    const octaves = Math.min(high - low, most - least);
    const from = Math.min(Math.max(low, least), most - octaves);
    this.lowest = 2 ** from;
    this.highest = 2 ** (from + octaves);
  }
}

const NAMES = {c: 0, d: 2, e: 4, f: 5, g: 7, a: 9, b: 11};

/** Hz of "A4", "C#3", "B♭2" or "440"; null if it is none of them. */
export function readPitch(text) {
  const found = /^\s*([a-g])([#♯b♭]?)(-?\d)\s*$/i.exec(text);
  if (found) {
    const shift = {"#": 1, "♯": 1, b: -1, "♭": -1}[found[2]] ?? 0;
    return 440 * 2 ** ((12 * (Number(found[3]) + 1) + NAMES[found[1].toLowerCase()] + shift - 69) / 12);
  }
  const hertz = Number(text.replace(",", ".").replace(/hz/i, ""));
  return text.trim() && Number.isFinite(hertz) && hertz > 0 ? hertz : null;
}
