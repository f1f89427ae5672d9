/* Draws the editor: pictures, notes, tracks, what is chosen, doubtful places. */

const STROKES = [[], [9, 5], [2, 5], [13, 4, 2, 4]]; // singers differ in more than colour
const KEYBOARD = 34; // pixels of the names of notes

const mod = (value, by) => ((value % by) + by) % by;
export const strokeOf = (singer) => STROKES[singer % STROKES.length];
export const colourOf = (singer) => `--voice-${singer % 6}`;

/** What is drawn: see `Editor`. */
export function drawScene(canvas, editor) {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const target = fitCanvas(canvas);
  if (!target.width || !editor.session) return;
  const {shown, view, session} = editor;
  const scene = {...target, shown, view, session, editor, colour,
    xOf: (seconds) => ((seconds - shown.start) * target.width) / (shown.end - shown.start)};
  target.context.globalAlpha = 0.75;
  if (editor.picture) editor.tiles.draw(target, editor.picture, shown, view, readColour(colour("--grey")));
  target.context.globalAlpha = 1;
  drawNotes(scene);
  drawLocks(scene);
  drawDoubts(scene);
  drawChosen(scene);
  drawTracks(scene);
  if (editor.candidates) drawCandidates(scene);
  drawDraft(scene);
  drawGesture(scene);
  drawNames(scene);
  drawKeyboard(scene);
}

function listNotes({view}) {
  const steps = (hertz) => 69 + 12 * Math.log2(hertz / 440);
  const notes = [];
  for (let n = Math.ceil(steps(view.lowest)); n <= steps(view.highest); n++) notes.push(n);
  return notes;
}

const hertzOf = (note) => 440 * 2 ** ((note - 69) / 12);

function drawNotes(scene) {
  const {context, width, height, view, colour} = scene;
  const notes = listNotes(scene);
  const close = height / notes.length > 9;
  context.fillStyle = colour("--line");
  for (const note of notes) {
    const c = mod(note, 12) === 0;
    if (!c && !close) continue;
    context.globalAlpha = c ? 1 : 0.45;
    context.fillRect(0, Math.round(view.yOf(hertzOf(note), height)), width, 1);
  }
  context.globalAlpha = 1;
}

function drawKeyboard(scene) {
  const {context, height, view, colour} = scene;
  const notes = listNotes(scene);
  const room = height / notes.length;
  const wanted = room > 11 ? () => true : room > 4 ? (n) => [0, 4, 7].includes(mod(n, 12)) : (n) => mod(n, 12) === 0;
  context.fillStyle = colour("--edge");
  context.fillRect(0, 0, KEYBOARD, height);
  context.fillStyle = colour("--soft");
  context.font = "11px system-ui, sans-serif";
  context.textBaseline = "middle";
  for (const note of notes.filter(wanted)) {
    const y = view.yOf(hertzOf(note), height);
    if (y < 7 || y > height - 7) continue;
    context.fillText(nameNote(hertzOf(note)).name, 4, y);
    context.fillRect(KEYBOARD - 4, Math.round(y), 4, 1);
  }
}

function drawTracks({context, width, height, shown, view, session, editor, colour}) {
  const target = {context, width, height};
  const edge = colour("--edge");
  const order = session.tracks.map((_, j) => j).filter((j) => !editor.hidden.has(j));
  order.sort((a, b) => (a === editor.singer) - (b === editor.singer)); // the chosen one on top
  for (const j of order) {
    drawF0(target, session.tracks[j], session.step, shown, view,
      {colour: colour(colourOf(j)), edge, dash: strokeOf(j), thick: j === editor.singer ? 3.5 : 2});
  }
}

/** What is locked lies on a band. */
function drawLocks({context, width, height, shown, xOf, view, session, editor, colour}) {
  const {step} = session;
  const skip = Math.max(1, Math.floor((shown.end - shown.start) / width / step)); // frames in a pixel
  context.fillStyle = colour("--soft");
  context.globalAlpha = 0.28;
  session.project.locks.forEach((spans, j) => {
    if (editor.hidden.has(j)) return;
    for (const [first, end] of spans) {
      const last = Math.min(end, Math.ceil(shown.end / step) + 1);
      for (let n = Math.max(first, Math.floor(shown.start / step)); n < last; n += skip) {
        const hertz = session.tracks[j]?.[n];
        if (!hertz) continue;
        const x = xOf((n - 0.5) * step);
        context.fillRect(x, view.yOf(hertz, height) - 8, xOf((n - 0.5 + skip) * step) - x, 16);
      }
    }
  });
  context.globalAlpha = 1;
}

function drawDoubts({context, height, xOf, view, editor, colour}) {
  editor.doubts.forEach((doubt) => {
    const now = doubt === editor.doubt;
    const left = xOf(doubt.from);
    const right = Math.max(left + 3, xOf(doubt.to));
    context.fillStyle = colour("--warn");
    context.globalAlpha = now ? 0.12 : 0;
    if (now) context.fillRect(left, 0, right - left, height);
    context.globalAlpha = now ? 1 : 0.35 + 0.5 * doubt.doubt;
    context.fillRect(left, 0, right - left, now ? 8 : 5);
    if (now && doubt.hz) {
      context.globalAlpha = 1;
      context.strokeStyle = colour("--warn");
      context.lineWidth = 1.5;
      context.setLineDash([3, 3]);
      context.strokeRect(left, view.yOf(doubt.hz, height) - 6, right - left, 12);
      context.setLineDash([]);
    }
  });
  context.globalAlpha = 1;
}

function drawChosen({context, width, height, xOf, shown, view, session, editor, colour}) {
  const {selection, singer} = editor;
  if (!selection) return;
  const left = xOf((selection.first - 0.5) * session.step);
  const right = xOf((selection.last + 0.5) * session.step);
  context.fillStyle = colour("--range");
  context.fillRect(left, 0, right - left, height);
  context.fillStyle = colour("--range-edge");
  context.fillRect(left - 1, 0, 1.5, height);
  context.fillRect(right, 0, 1.5, height);
  const part = session.tracks[singer]?.subarray(selection.first, selection.last + 1);
  if (!part) return;
  const offset = selection.first * session.step;
  drawF0({context, width, height}, part, session.step, {start: shown.start - offset, end: shown.end - offset}, view,
    {colour: colour("--halo"), edge: colour("--range-edge"), thick: 9});
}

function drawCandidates({context, height, xOf, view, session, editor, colour}) {
  const {first, pitches} = editor.candidates;
  context.fillStyle = colour("--accent");
  pitches.forEach((found, n) => {
    const x = xOf((first + n) * session.step);
    for (const hertz of found) {
      context.beginPath();
      context.arc(x, view.yOf(hertz, height), 2, 0, 7);
      context.fill();
    }
  });
}

/** A drawn line that waits: what it snapped to, or the line itself as long as that is asked for. */
function drawDraft({context, width, height, xOf, shown, view, session, editor, colour}) {
  const {draft} = editor;
  if (!draft) return;
  if (draft.line) {
    const offset = draft.line.first * session.step;
    drawF0({context, width, height}, draft.line.f0, session.step, {start: shown.start - offset, end: shown.end - offset}, view,
      {colour: colour("--accent"), edge: colour("--halo"), dash: [8, 11], thick: 4.5});
    return;
  }
  context.strokeStyle = colour("--accent");
  context.lineWidth = 2.5;
  context.beginPath();
  draft.operation.points.forEach(([s, hertz]) => context.lineTo(xOf(s), view.yOf(hertz, height)));
  context.stroke();
}

/** The line or box that is being drawn. */
function drawGesture({context, height, xOf, view, editor, colour}) {
  const {gesture} = editor;
  context.strokeStyle = colour("--accent");
  context.lineWidth = 2.5;
  if (gesture?.points?.length) {
    context.beginPath();
    gesture.points.forEach(([s, hertz]) => context.lineTo(xOf(s), view.yOf(hertz, height)));
    context.stroke();
  }
  if (gesture?.box) {
    const {from, to, low, high} = gesture.box;
    context.setLineDash([6, 4]);
    context.strokeRect(xOf(from), view.yOf(high, height), xOf(to) - xOf(from), view.yOf(low, height) - view.yOf(high, height));
    context.setLineDash([]);
  }
}

/** The name of each singer where the track comes into sight. */
function drawNames({context, width, height, xOf, shown, view, session, editor, colour}) {
  context.font = "600 12px system-ui, sans-serif";
  context.textBaseline = "middle";
  const placed = [];
  session.tracks.forEach((track, j) => {
    if (editor.hidden.has(j)) return;
    const first = Math.max(0, Math.ceil((shown.start + ((KEYBOARD + 4) * (shown.end - shown.start)) / width) / session.step));
    let n = first;
    while (n < track.length && n * session.step < shown.end && !track[n]) n++;
    if (!track[n] || n * session.step >= shown.end) return;
    const x = Math.min(xOf(n * session.step), width - 70);
    let y = view.yOf(track[n], height) - 15;
    if (y < 10) y = view.yOf(track[n], height) + 15;
    while (placed.some((other) => Math.abs(other.x - x) < 60 && Math.abs(other.y - y) < 15)) y += 15;
    if (y < 0 || y > height) return;
    placed.push({x, y});
    const name = session.project.singers[j] || String(j + 1);
    context.fillStyle = colour("--edge");
    context.fillRect(x - 3, y - 8, context.measureText(name).width + 6, 16);
    context.fillStyle = colour(colourOf(j));
    context.fillText(name, x, y);
  });
}
