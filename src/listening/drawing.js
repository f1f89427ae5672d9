"use strict";
/* Pictures of tracks on canvases: what sounds, waveforms, F0; and names of notes. */

const NOTE_NAMES = ["C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B"];
const MOST_TILES_SECONDS = 60; // above, the overview is sharp enough

/** Bytes of base64 text. */
function decodeBase64(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

/** "A4 +12": the nearest note and how many cents above it, for Hz. */
function nameNote(hertz) {
  const steps = 69 + 12 * Math.log2(hertz / 440);
  const nearest = Math.round(steps);
  const cents = Math.round(100 * (steps - nearest));
  const sign = cents < 0 ? "−" : "+";
  const name = NOTE_NAMES[((nearest % 12) + 12) % 12] + (Math.floor(nearest / 12) - 1);
  return {name, cents: `${sign}${Math.abs(cents)}`};
}

/** "1:05.3" */
function formatTime(seconds, digits = 1) {
  const scale = 10 ** digits;
  const whole = Math.round(seconds * scale) / scale;
  const minutes = Math.floor(whole / 60);
  const rest = (whole - 60 * minutes).toFixed(digits);
  return `${minutes}:${rest.padStart(digits ? 3 + digits : 2, "0")}`;
}

/** F0 in Hz, 0 where silent, of what the page holds. */
function decodeF0(text) {
  const bytes = decodeBase64(text);
  const cents = new Uint16Array(bytes.buffer);
  return Float32Array.from(cents, (value) => (value ? 16 * 2 ** (value / 1200) : 0));
}

/** The grey values of a PNG, {width, height, values}, by its address. */
async function readGrey(address) {
  const image = new Image();
  image.src = address;
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = image.naturalWidth;
  canvas.height = image.naturalHeight;
  const context = canvas.getContext("2d", {willReadFrequently: true});
  context.drawImage(image, 0, 0);
  const {data} = context.getImageData(0, 0, canvas.width, canvas.height);
  const values = new Uint8Array(data.length / 4);
  for (let i = 0; i < values.length; i++) values[i] = data[4 * i];
  return {width: canvas.width, height: canvas.height, values};
}

/** A canvas with grey values in the ink of the theme. */
function inkGrey({width, height, values}, ink) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  for (let i = 0; i < values.length; i++) {
    image.data.set(ink, 4 * i);
    image.data[4 * i + 3] = 255 * (values[i] / 255) ** 1.5; // quiet sounds fade, partials stand out
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

/** "#rgb" or "#rrggbb" as three numbers. */
function readColour(text) {
  const hex = text.trim().slice(1);
  const full = hex.length === 3 ? [...hex].map((digit) => digit + digit).join("") : hex;
  return [0, 2, 4].map((at) => parseInt(full.slice(at, at + 2), 16));
}

/** Fits a canvas to its place on the screen; returns its context, to draw in CSS pixels. */
function fitCanvas(canvas) {
  const ratio = window.devicePixelRatio || 1;
  const {clientWidth: width, clientHeight: height} = canvas;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return {context, width, height};
}

/** Draws the waveform from `start` to `end` seconds. */
function drawWave({context, width, height}, peaks, perSecond, {start, end}, colour) {
  context.fillStyle = colour;
  const middle = height / 2;
  const perPixel = ((end - start) * perSecond) / width;
  for (let x = 0; x < width; x++) {
    const from = start * perSecond + x * perPixel;
    let peak = 0;
    for (let i = Math.floor(from); i < Math.max(from + perPixel, Math.floor(from) + 1); i++) {
      peak = Math.max(peak, peaks[i] || 0);
    }
    const half = Math.max(0.5, (peak / 255) ** 0.7 * (middle - 1));
    context.fillRect(x, middle - half, 1, 2 * half);
  }
}

/**
 * Draws pictures of what sounds.
 * @param {Array} tiles {canvas, start, seconds}
 */
function drawTiles({context, width, height}, tiles, {start, end}) {
  const scale = width / (end - start);
  context.imageSmoothingEnabled = true;
  context.imageSmoothingQuality = "high";
  for (const tile of tiles) {
    // Tiles end where pixels end: two half pixels upon each other would show a seam.
    const left = Math.round((tile.start - start) * scale);
    const right = Math.round((tile.start + tile.seconds - start) * scale);
    context.drawImage(tile.canvas, left, 0, right - left, height);
  }
}

/**
 * Draws F0 in Hz from `start` to `end` seconds as a line with an edge, gaps where silent.
 * @param {Object} style {colour, edge, thick: pixels, dash: lengths of strokes and gaps}
 */
function drawF0({context, width, height}, f0, frame, {start, end}, {lowest, highest}, style) {
  const {colour, edge, thick = 2, dash = []} = style;
  const scale = width / (end - start);
  const octaves = Math.log2(highest / lowest);
  const first = Math.max(0, Math.floor(start / frame) - 1);
  const last = Math.min(f0.length - 1, Math.ceil(end / frame) + 1);
  // Several frames in one pixel need no line each.
  const skip = Math.max(1, Math.floor(0.5 / (frame * scale)));
  context.beginPath();
  let before = 0;
  for (let i = first - (first % skip); i <= last; i += skip) {
    const hertz = f0[i];
    if (hertz) {
      const x = (i * frame - start) * scale;
      const y = height * (1 - Math.log2(hertz / lowest) / octaves);
      const near = before && Math.abs(Math.log2(hertz / before)) < 0.25;
      if (near) context.lineTo(x, y);
      else {
        context.moveTo(x - 0.6, y);
        context.lineTo(x + 0.6, y);
      }
    }
    before = hertz;
  }
  context.lineJoin = context.lineCap = "round";
  context.strokeStyle = edge;
  context.lineWidth = thick + 2;
  context.stroke();
  context.strokeStyle = colour;
  context.lineWidth = thick;
  context.setLineDash(dash);
  context.stroke();
  context.setLineDash([]);
}

/** Draws a ruler of times. */
function drawRuler({context, width, height}, {start, end}, colour) {
  const steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600];
  const scale = width / (end - start);
  const step = steps.find((seconds) => seconds * scale >= 64) || 7200;
  context.fillStyle = colour;
  context.font = "11px system-ui, sans-serif";
  context.textBaseline = "top";
  for (let k = Math.ceil(start / step - 1e-9); k * step <= end; k++) {
    const x = (k * step - start) * scale;
    context.fillRect(Math.min(width - 1, Math.round(x)), height - 5, 1, 5);
    const text = formatTime(k * step, step < 1 ? 1 : 0);
    if (x + 34 < width) context.fillText(text, x + 4, 3);
  }
}
