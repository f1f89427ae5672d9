/* What a pointer does in the editor: choosing, drawing, boxes, wheels. */

const NEAR = 14; // pixels from a track that still mean it
const DRAGGED = 5; // a shorter drag is a click

export class Gestures {
  constructor(editor) {
    this.editor = editor;
    this.begun = null;
    const on = (name, action, options) => editor.root.addEventListener(name, action, options);
    on("pointerdown", (event) => this._down(event));
    on("pointermove", (event) => this._move(event));
    on("pointerup", (event) => this._up(event));
    on("pointercancel", () => this._forget());
    on("wheel", (event) => this._wheel(event), {passive: false});
  }

  /** Time, pitch and place of an event. */
  _where(event) {
    const {root, shown, view} = this.editor;
    const {left, top} = root.getBoundingClientRect();
    const {clientWidth: width, clientHeight: height} = root;
    const x = Math.min(width, Math.max(0, event.clientX - left - root.clientLeft));
    const y = Math.min(height, Math.max(0, event.clientY - top - root.clientTop));
    return {x, y, seconds: shown.start + (x / width) * (shown.end - shown.start), hertz: view.hertzAt(y, height)};
  }

  /** The singer whose track is next to a place; null if none is near. */
  _hit({y, seconds}) {
    const {session, view, root, hidden, singer} = this.editor;
    const frame = this.editor.frameAt(seconds);
    let best = null;
    session.tracks.forEach((track, j) => {
      if (hidden.has(j)) return;
      for (let n = Math.max(0, frame - 2); n <= Math.min(track.length - 1, frame + 2); n++) {
        if (!track[n]) continue;
        const distance = Math.abs(view.yOf(track[n], root.clientHeight) - y) - (j === singer ? 3 : 0);
        if (distance < NEAR && (!best || distance < best.distance)) best = {singer: j, frame: n, distance};
      }
    });
    return best;
  }

  _down(event) {
    const {editor} = this;
    if (event.button || !editor.session?.tracks.length) return;
    const place = this._where(event);
    this.begun = {...place, hit: this._hit(place), dragged: false};
    editor.root.setPointerCapture(event.pointerId);
    editor.root.focus({preventScroll: true});
    if (editor.tool === "draw") editor.gesture = {points: [[place.seconds, place.hertz]]};
    event.preventDefault();
  }

  _move(event) {
    const {editor, begun} = this;
    if (!begun) return;
    const place = this._where(event);
    if (Math.abs(place.x - begun.x) > DRAGGED || Math.abs(place.y - begun.y) > DRAGGED) begun.dragged = true;
    if (!begun.dragged) return;
    if (editor.tool === "draw") {
      // A line goes on in time; who goes back draws that part anew.
      const {points} = editor.gesture;
      const forward = points.length < 2 || points.at(-1)[0] > points[0][0];
      const goesOn = (s) => (forward ? s > points.at(-1)[0] : s < points.at(-1)[0]);
      for (const one of event.getCoalescedEvents?.() ?? [event]) {
        const {seconds, hertz} = this._where(one);
        if (points.length < 2 ? seconds !== points[0][0] : goesOn(seconds)) points.push([seconds, hertz]);
      }
    } else if (editor.tool === "box") {
      editor.gesture = {box: {
        from: Math.min(place.seconds, begun.seconds), to: Math.max(place.seconds, begun.seconds),
        low: Math.min(place.hertz, begun.hertz), high: Math.max(place.hertz, begun.hertz),
      }};
    } else {
      const singer = begun.hit?.singer ?? editor.singer;
      const from = event.shiftKey && editor.selection && singer === editor.singer
        ? editor.selection.first : editor.frameAt(begun.seconds);
      editor.select(singer, from, editor.frameAt(place.seconds), {announce: false});
    }
    editor.draw();
  }

  _up(event) {
    const {editor, begun} = this;
    if (!begun) return;
    this.begun = null;
    const {gesture} = editor;
    if (begun.dragged && editor.tool === "draw") {
      editor.gesture = null;
      const points = gesture.points.sort((a, b) => a[0] - b[0]).filter(([s], k, all) => !k || s > all[k - 1][0]);
      if (points.length > 1) editor.dispatchEvent(new CustomEvent("drawn", {detail: points}));
    } else if (begun.dragged && editor.tool === "box") {
      editor.dispatchEvent(new CustomEvent("boxed", {detail: gesture?.box}));
    } else if (begun.dragged) {
      editor.select(editor.singer, editor.selection.first, editor.selection.last);
    } else this._click(event, begun);
    editor.draw();
  }

  _click(event, {hit, seconds}) {
    const {editor} = this;
    editor.gesture = null;
    if (event.shiftKey && editor.selection) {
      const frame = editor.frameAt(seconds);
      const {first, last} = editor.selection;
      editor.select(editor.singer, Math.min(first, frame), frame > first ? frame : last);
      return;
    }
    editor.listening?.seek(seconds);
    if (hit) {
      const found = editor.findStretch(hit.singer, hit.frame);
      editor.select(hit.singer, found.first, found.last);
    } else if (editor.selection) editor.clear();
  }

  _forget() {
    this.begun = this.editor.gesture = null;
    this.editor.draw();
  }

  /** Ctrl zooms in time, Alt in pitch; sideways (or Shift) scrolls; else the page scrolls. */
  _wheel(event) {
    const {editor} = this;
    const place = this._where(event);
    const factor = 2 ** (event.deltaY / 240);
    if (event.ctrlKey || event.metaKey) editor.zoomTime(factor, place.seconds);
    else if (event.altKey) editor.zoomPitch(factor, place.hertz);
    else {
      const sideways = event.shiftKey && !event.deltaX ? event.deltaY : event.deltaX;
      if (Math.abs(sideways) <= Math.abs(event.shiftKey ? 0 : event.deltaY)) return;
      editor.scrollTime(sideways / editor.root.clientWidth);
    }
    event.preventDefault();
  }
}
