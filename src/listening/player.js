"use strict";
/*
 * Plays tracks that belong together from one clock: same samples, same moment, whatever is heard.
 *
 * Tracks come in pieces of some seconds that are decoded shortly before they are heard and forgotten
 * afterwards. The player lays out, hop by hop, which samples are heard next (`Course`): at full tempo
 * one after the other; slower, by WSOLA (Verhelst and Roelands 1993), so that pitch stays. One course
 * serves all tracks, so they cannot come apart; it follows the sum of what is heard.
 *
 * Usage:
 *   const player = new Player({rate, length, piece, tracks: [{channels: 1, heard: true}], load});
 *   player.addEventListener("change", draw);  await player.play();  player.seek(12.5);
 * `load(index)` promises the encoded piece of every track (ArrayBuffers). Times are seconds of the
 * recording, gains decibels.
 */

const HOP_SECONDS = 0.025; // half a window of WSOLA
const REACH_SECONDS = 0.0125; // how far WSOLA looks for a fitting place: a period of 80 Hz
const FADE_SECONDS = 0.004; // where sound begins, and where a loop closes
const AHEAD_SECONDS = 2.0; // what is scheduled before it is heard
const BATCH_SECONDS = 0.5; // what is scheduled at a time
const LEAD_SECONDS = 0.08; // from a decision to its sound
const KEPT_PIECES = 6;

/** Which samples of a recording are heard one after the other. */
class Course {
  /**
   * @param {number} rate samples per second
   * @param {number} length samples of the recording
   * @param {number} position the first sample
   */
  constructor(rate, length, position) {
    this.length = length;
    this.ideal = position; // where the coming hop should begin
    this.next = null; // the sample after the last one heard; null: nothing was heard
    this.hop = Math.round(HOP_SECONDS * rate);
    this.reach = Math.round(REACH_SECONDS * rate);
    this.fade = Math.max(1, Math.round(FADE_SECONDS * rate));
    this.stride = Math.max(1, Math.round(rate / 10000));
    this.jumped = true;
  }

  get ended() {
    return this.ideal >= this.length;
  }

  /**
   * The next hop: n samples from `head` on, into which the samples from `tail` on are cross-faded
   * during the first `fade` of them (tail null: silence).
   * @param {number} tempo 1 = as recorded
   * @param {?{start: number, end: number}} loop samples
   * @param {function(number, number): Float32Array} guide samples (start, n) that the course follows
   */
  step(tempo, loop, guide) {
    const begin = this.ideal;
    const inside = loop && begin < loop.end;
    const stop = inside ? loop.end : this.length;
    const n = Math.max(1, Math.min(this.hop, Math.ceil((stop - begin) / tempo - 1e-9)));
    let head = Math.round(begin);
    let fade = this.fade;
    if (!this.jumped) {
      fade = n;
      head = tempo === 1 ? this.next : head + this._fit(head, n, guide);
    }
    const hop = {head, tail: this.next, n, fade: Math.min(fade, n), begin, jumped: this.jumped};
    this.next = head + n;
    this.ideal = begin + tempo * n;
    this.jumped = false;
    if (inside && this.ideal >= loop.end - 1e-6) {
      this.ideal = loop.start;
      this.jumped = true;
    }
    return hop;
  }

  /** The shift of `head` within reach whose sound goes on best from what was heard last. */
  _fit(head, n, guide) {
    if (n < this.hop / 4) return this.next - head; // before a loop closes: just go on
    const width = this.hop;
    const wanted = guide(this.next, width);
    const around = guide(head - this.reach, width + 2 * this.reach);
    const coarse = findShift(wanted, around, this.stride, 0, 2 * this.reach, this.stride);
    const low = Math.max(0, coarse - this.stride);
    const high = Math.min(2 * this.reach, coarse + this.stride);
    return findShift(wanted, around, 1, low, high, 1) - this.reach;
  }
}

/** The shift from low to high with the largest normalised correlation; every `skip`th sample counts. */
function findShift(wanted, around, stride, low, high, skip) {
  let best = low;
  let largest = -Infinity;
  for (let shift = low; shift <= high; shift += stride) {
    let product = 0;
    let energy = 1e-9;
    for (let i = 0; i < wanted.length; i += skip) {
      const other = around[shift + i];
      product += wanted[i] * other;
      energy += other * other;
    }
    const score = product / Math.sqrt(energy);
    if (score > largest) {
      largest = score;
      best = shift;
    }
  }
  return best;
}

/**
 * The sound of hops of a course.
 * @param {Array} hops see `Course.step`
 * @param {function(number, number): Float32Array} read samples (start, n) of a channel
 */
function renderHops(hops, read) {
  const out = new Float32Array(hops.reduce((sum, hop) => sum + hop.n, 0));
  let at = 0;
  for (const {head, tail, n, fade} of hops) {
    out.set(read(head, n), at);
    if (tail !== head) {
      const old = tail === null ? null : read(tail, fade);
      for (let i = 0; i < fade; i++) {
        const share = Math.sin((Math.PI / 2) * ((i + 0.5) / fade)) ** 2;
        out[at + i] = share * out[at + i] + (old ? (1 - share) * old[i] : 0);
      }
    }
    at += n;
  }
  return out;
}

/** The tracks' decoded pieces, a few at a time. */
class Pieces {
  constructor({rate, length, piece, load}) {
    this.rate = rate;
    this.length = length;
    this.piece = piece;
    this.load = load;
    this._promises = new Map(); // index -> promise; the last one used stands last
    this._ready = new Map(); // index -> per track, per channel, samples
    this._decoder = new OfflineAudioContext(1, 1, rate); // decodes without a click, at this rate
  }

  /** Promises that samples from start to end can be read, until others are needed. */
  async need(start, end) {
    const last = Math.ceil(this.length / this.piece) - 1;
    const first = Math.floor(Math.max(0, start) / this.piece);
    const waiting = [];
    for (let i = first; i <= Math.min(last, Math.floor(end / this.piece)); i++) {
      waiting.push(this._fetch(i));
    }
    await Promise.all(waiting);
  }

  _fetch(index) {
    let promise = this._promises.get(index);
    this._promises.delete(index);
    if (!promise) {
      promise = this._decode(index).catch((error) => {
        this._promises.delete(index);
        throw error;
      });
    }
    this._promises.set(index, promise);
    for (const old of this._promises.keys()) {
      if (this._promises.size <= KEPT_PIECES) break;
      this._promises.delete(old);
      this._ready.delete(old);
    }
    return promise;
  }

  async _decode(index) {
    const encoded = await this.load(index);
    const buffers = await Promise.all(encoded.map((data) => this._decoder.decodeAudioData(data)));
    const decoded = buffers.map((buffer) =>
      Array.from({length: buffer.numberOfChannels}, (_, c) => buffer.getChannelData(c)));
    if (this._promises.has(index)) this._ready.set(index, decoded);
  }

  /** n samples of a channel; silence outside the recording and where nothing is decoded. */
  read(track, channel, start, n) {
    const index = Math.floor(start / this.piece);
    const offset = start - index * this.piece;
    const here = this._channel(index, track, channel);
    if (here && offset + n <= here.length) return here.subarray(offset, offset + n);
    const out = new Float32Array(n);
    for (let i = index; i * this.piece < start + n; i++) {
      const samples = this._channel(i, track, channel);
      if (!samples) continue;
      const from = Math.max(0, start - i * this.piece);
      const to = Math.min(samples.length, start + n - i * this.piece);
      if (to > from) out.set(samples.subarray(from, to), i * this.piece + from - start);
    }
    return out;
  }

  _channel(index, track, channel) {
    const piece = this._ready.get(index);
    return piece && piece[track][channel];
  }
}

class Player extends EventTarget {
  /**
   * @param {Object} recording
   * @param {number} recording.rate samples per second of all tracks
   * @param {number} recording.length samples of all tracks
   * @param {number} recording.piece samples of a piece
   * @param {Array<{channels: number, heard: boolean}>} recording.tracks
   * @param {function(number): Promise<ArrayBuffer[]>} recording.load
   */
  constructor({rate, length, piece, tracks, load}) {
    super();
    this.rate = rate;
    this.length = length;
    this.tracks = tracks.map(({channels, heard = true}) =>
      ({channels, gain: 0, muted: !heard, solo: false}));
    this.tempo = 1;
    this.loop = null; // {start, end} in seconds
    this.looping = false;
    this.volume = 0;
    this.playing = false;
    this.context = null;
    this._pieces = new Pieces({rate, length, piece, load});
    this._position = 0;
    this._run = null;
    this._begun = 0; // counts beginnings, so that a later one wins
  }

  /** Length in seconds. */
  get duration() {
    return this.length / this.rate;
  }

  /** What is heard now, in seconds. */
  get position() {
    if (!this.playing || !this._run) return this._position / this.rate;
    const delay = this.context.outputLatency || this.context.baseLatency || 0;
    return this._sampleAt((this.context.currentTime - delay) * this.rate) / this.rate;
  }

  /** Starts; resolves when the sound is scheduled. */
  async play() {
    if (this.playing) return;
    this.playing = true;
    this._change();
    try {
      this._open();
      await this.context.resume();
      if (this._position >= this.length) this._position = 0;
      if (this.looping && this._position >= this.loop.end * this.rate) {
        this._position = Math.round(this.loop.start * this.rate);
      }
      await this._begin(this._position);
    } catch (error) {
      this.pause();
      throw error;
    }
  }

  /** Stops and stays where it is. */
  pause() {
    if (!this.playing) return;
    this._position = Math.round(this.position * this.rate);
    this._halt();
  }

  toggle() {
    if (this.playing) this.pause();
    else return this.play();
  }

  /** Goes to a time; promises that it is heard from there. */
  async seek(seconds) {
    this._position = Math.min(this.length, Math.max(0, Math.round(seconds * this.rate)));
    this._change();
    if (this.playing) await this._begin(this._position);
    else await this._pieces.need(this._position, this._position + this.rate);
  }

  /** Repeats from one time to another; without end where they are equal. */
  async setLoop(start, end) {
    const [low, high] = [Math.max(0, Math.min(start, end)), Math.min(this.duration, Math.max(start, end))];
    this.loop = high - low > 0.05 ? {start: low, end: high} : null;
    this.looping = this.loop !== null;
    await this._rethink();
  }

  /** Turns the loop on or off, and keeps its range. */
  async setLooping(on) {
    this.looping = Boolean(on && this.loop);
    await this._rethink();
  }

  async clearLoop() {
    this.loop = null;
    this.looping = false;
    await this._rethink();
  }

  /** Plays slower, at the same pitch: 0.5 to 1. */
  async setTempo(tempo) {
    const before = this.tempo;
    this.tempo = Math.min(1, Math.max(0.5, tempo));
    if (this.tempo !== before) await this._rethink();
  }

  /** Gain of a track, dB. */
  setGain(track, decibels) {
    this.tracks[track].gain = decibels;
    this._mix();
  }

  setMuted(track, on) {
    this.tracks[track].muted = on;
    this._mix();
  }

  /** Soloed tracks are heard alone, muted or not. */
  setSolo(track, on) {
    this.tracks[track].solo = on;
    this._mix();
  }

  clearSolo() {
    for (const track of this.tracks) track.solo = false;
    this._mix();
  }

  /** Gain of everything, dB. */
  setVolume(decibels) {
    this.volume = decibels;
    this._mix();
  }

  /** Whether a track reaches the output. */
  isHeard(track) {
    const soloed = this.tracks.some(({solo}) => solo);
    return soloed ? this.tracks[track].solo : !this.tracks[track].muted;
  }

  /** The largest sample of a track (null: of everything) in the last moment, as heard; 0 to 1. */
  level(track = null) {
    if (!this.context || !this.playing) return 0;
    const meter = track === null ? this._output : this._channels[track].meter;
    meter.getFloatTimeDomainData(this._scratch);
    let peak = 0;
    for (const value of this._scratch) peak = Math.max(peak, Math.abs(value));
    return peak;
  }

  /** Ends for good. */
  async close() {
    this.pause();
    clearInterval(this._timer);
    const context = this.context;
    this.context = null;
    if (context) await context.close();
  }

  _change() {
    this.dispatchEvent(new Event("change"));
  }

  /** Makes the graph: tracks -> gain -> meter -> volume -> meter -> loudspeaker. */
  _open() {
    if (this.context) return;
    // iOS mutes web pages by the switch for calls unless they say that they play.
    if (navigator.audioSession) navigator.audioSession.type = "playback";
    this.context = new AudioContext({sampleRate: this.rate, latencyHint: "playback"});
    this._output = this.context.createAnalyser();
    this._volume = this.context.createGain();
    this._volume.connect(this._output).connect(this.context.destination);
    this._channels = this.tracks.map(() => {
      const gain = this.context.createGain();
      const meter = this.context.createAnalyser();
      gain.connect(meter).connect(this._volume);
      return {gain, meter};
    });
    this._scratch = new Float32Array(this._output.fftSize);
    for (const node of this._nodes()) node.gain.value = this._target(node);
    this._timer = setInterval(() => this._fill(this._run), 200);
  }

  _nodes() {
    return [this._volume, ...this._channels.map(({gain}) => gain)];
  }

  /** The factor that a gain node should have. */
  _target(node) {
    if (node === this._volume) return 10 ** (this.volume / 20);
    const track = this._channels.findIndex(({gain}) => gain === node);
    return this.isHeard(track) ? 10 ** (this.tracks[track].gain / 20) : 0;
  }

  _mix() {
    if (this.context) {
      for (const node of this._nodes()) {
        node.gain.setTargetAtTime(this._target(node), this.context.currentTime, 0.004);
      }
    }
    this._change();
  }

  /** Begins anew where it is, because what comes next has changed. */
  async _rethink() {
    this._change();
    if (this.playing && this._run) await this._begin(null);
  }

  /** Begins a run at a sample (null: where the present one is); the present one is faded into it. */
  async _begin(sample) {
    const turn = ++this._begun;
    const here = sample ?? this._sampleAt(this._now() + LEAD_SECONDS * this.rate);
    await this._pieces.need(here, here + 2 * this.rate);
    if (turn !== this._begun || !this.playing) return;
    const frame = Math.ceil(this._now() + LEAD_SECONDS * this.rate);
    const start = Math.min(this.length, Math.round(sample ?? this._sampleAt(frame)));
    this._leave(this._run, frame);
    this._run = {
      course: new Course(this.rate, this.length, start),
      frame, // of the context's clock, where the next batch begins
      spans: [{frame, from: start, tempo: this.tempo}],
      gates: this._channels.map(({gain}) => {
        const gate = this.context.createGain();
        gate.connect(gain);
        return gate;
      }),
      sources: new Set(),
      tempo: this.tempo,
      loop: this._loopSamples(start),
      busy: false,
    };
    await this._fill(this._run);
  }

  _now() {
    return this.context.currentTime * this.rate;
  }

  /** The loop in samples; none for those who went behind its end. */
  _loopSamples(start) {
    if (!this.looping) return null;
    const loop = {
      start: Math.round(this.loop.start * this.rate),
      end: Math.round(this.loop.end * this.rate),
    };
    return start < loop.end ? loop : null;
  }

  /** Schedules what is heard in the next seconds. */
  async _fill(run) {
    if (!run || run.busy || run !== this._run) return;
    run.busy = true;
    try {
      while (run === this._run && run.frame < this._now() + AHEAD_SECONDS * this.rate) {
        if (run.course.ended) {
          if (this._now() >= run.frame) this._end();
          break;
        }
        await this._pieces.need(...this._reach(run.course.ideal));
        if (run.loop) await this._pieces.need(...this._reach(run.loop.start));
        if (run === this._run) this._schedule(run);
      }
    } catch (error) {
      if (run === this._run) {
        this.pause();
        this.dispatchEvent(new CustomEvent("failure", {detail: error}));
      }
    } finally {
      run.busy = false;
    }
  }

  /** The samples that the next batch may need. */
  _reach(sample) {
    const margin = Math.ceil((REACH_SECONDS + 2 * HOP_SECONDS) * this.rate);
    return [sample - margin, sample + BATCH_SECONDS * this.rate + margin];
  }

  _schedule(run) {
    const guide = this._makeGuide();
    const from = run.course.ideal;
    const hops = [];
    const jumps = [];
    let n = 0;
    while (!run.course.ended && n < BATCH_SECONDS * this.rate) {
      const hop = run.course.step(run.tempo, run.loop, guide);
      if (hop.jumped && hop.tail !== null) jumps.push({n, from: hop.begin});
      hops.push(hop);
      n += hop.n;
    }
    const sources = this.tracks.map(({channels}, t) => {
      const buffer = this.context.createBuffer(channels, n, this.rate);
      for (let c = 0; c < channels; c++) {
        const read = (start, size) => this._pieces.read(t, c, start, size);
        buffer.copyToChannel(renderHops(hops, read), c);
      }
      const source = this.context.createBufferSource();
      source.buffer = buffer;
      source.connect(run.gates[t]);
      return source;
    });
    // Only now is it known how long that took: what starts too late would start at once, and apart.
    const soonest = Math.ceil(this._now() + 0.02 * this.rate);
    if (run.frame < soonest) {
      // The machine was too busy: there was a gap, and sound goes on after it.
      run.frame = soonest;
      run.spans.push({frame: soonest, from, tempo: run.tempo});
    }
    for (const jump of jumps) {
      run.spans.push({frame: run.frame + jump.n, from: jump.from, tempo: run.tempo});
    }
    for (const source of sources) {
      source.start(run.frame / this.rate);
      run.sources.add(source);
      source.onended = () => {
        run.sources.delete(source);
        source.disconnect();
      };
    }
    run.frame += n;
    const heard = this._now() - this.rate;
    while (run.spans.length > 1 && run.spans[1].frame < heard) run.spans.shift();
  }

  /** What WSOLA follows: the sum of what is heard. */
  _makeGuide() {
    const voices = [];
    this.tracks.forEach(({channels}, t) => {
      const factor = this.isHeard(t) ? 10 ** (this.tracks[t].gain / 20) : 0;
      for (let c = 0; factor && c < channels; c++) voices.push([t, c, factor]);
    });
    return (start, n) => {
      const sum = new Float32Array(n);
      for (const [t, c, factor] of voices) {
        const samples = this._pieces.read(t, c, start, n);
        for (let i = 0; i < n; i++) sum[i] += factor * samples[i];
      }
      return sum;
    };
  }

  /** The sample of the recording that is heard at a frame of the context's clock. */
  _sampleAt(frame) {
    const spans = this._run ? this._run.spans : [];
    let last = spans[0];
    if (!last) return this._position;
    for (const span of spans) if (span.frame <= frame) last = span;
    return Math.min(this.length, last.from + Math.max(0, frame - last.frame) * last.tempo);
  }

  /** Fades a run out from a frame on. */
  _leave(run, frame) {
    if (!run) return;
    const at = frame / this.rate;
    const fade = Math.round(FADE_SECONDS * this.rate) / this.rate;
    const curve = Float32Array.from({length: 33}, (_, i) => Math.cos((Math.PI / 2) * (i / 32)) ** 2);
    for (const gate of run.gates) gate.gain.setValueCurveAtTime(curve, at, fade);
    for (const source of run.sources) source.stop(at + fade);
    setTimeout(() => run.gates.forEach((gate) => gate.disconnect()), 1000);
  }

  _halt() {
    this._begun++;
    this._leave(this._run, Math.ceil(this._now() + 0.005 * this.rate));
    this._run = null;
    this.playing = false;
    setTimeout(() => {
      if (this.context && !this.playing) this.context.suspend();
    }, 300);
    this._change();
  }

  _end() {
    this._position = this.length;
    this._halt();
    this.dispatchEvent(new Event("end"));
  }
}

if (typeof module !== "undefined") module.exports = {Course, renderHops, findShift, Player};
