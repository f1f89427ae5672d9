"""Short requests that the helper process answers: previews, and files that others wrote."""

from __future__ import annotations

import base64
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

from ..audio import resample
from ..dsp.tracks import HOP, RATE
from ..editing.plan import build_plan
from ..f0.contour_files import read_contours, read_f0, write_f0
from ..f0.contours import F0Contours
from ..f0.score.reading import SCORE_SUFFIXES, read_score
from ..formats.write import name_f0_files, write_formats
from ..listening.sound import encode_flac
from ..outputs import name_outputs

_MARGIN = 0.5  # seconds beside a stretch, in which edits settle
_GRID = 2  # seconds: whole samples and whole frames

Signal = NDArray[np.float32]


def preview_edit(
    folder: str,
    stem: str,
    names: list[str],
    edits: dict[str, Any],
    begin: float,
    end: float,
    residual: bool,
    gain: float,
    rate: int,
) -> dict[str, Any]:
    """Edit a stretch of a separation: FLAC as base64, and where it begins."""
    paths = name_outputs(Path(folder), stem, names)
    info = sf.info(str(paths["residual"]))
    seconds = info.frames / info.samplerate
    low = max(0, int((begin - _MARGIN) // _GRID) * _GRID)
    high = min(seconds, end + _MARGIN)
    start, stop = low * info.samplerate, round(high * info.samplerate)
    first = low * RATE // HOP
    tracks, tuned = _load_tracks(str(paths["parameters"]), paths["parameters"].stat().st_mtime_ns)
    n_frames = -(-(stop - start) * RATE // (info.samplerate * HOP))
    part = slice(first, first + n_frames)
    arrays = {"f0": tracks[:, part], "tuned_f0": tuned[:, part, None]}

    @functools.cache
    def load(name: str) -> Signal:
        samples, _ = sf.read(str(paths[name]), stop - start, start, dtype="float32", always_2d=True)
        return np.ascontiguousarray(samples.T)

    parts = {name: load(name) for name in (*names, *(["residual"] if residual else []))}
    if edits:
        plan = build_plan(names, arrays, None, edits, load, info.samplerate)
        parts |= {name: plan.render(name, None) for name in plan.edits}
    mix = np.sum(list(parts.values()), axis=0)
    cut = slice(round((begin - low) * info.samplerate), round((end - low) * info.samplerate))
    heard = resample(mix[:, cut], info.samplerate, rate)
    heard = heard if len(heard) <= 2 else heard.mean(axis=0, keepdims=True)
    data = encode_flac(_soften(heard, rate), rate, gain)
    return {"flac": base64.b64encode(data).decode("ascii")}


@functools.lru_cache(maxsize=2)
def _load_tracks(path: str, stamp: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """The given F0s [J, N] of a file of parameters, and the tuned ones."""
    with np.load(path, allow_pickle=False) as arrays:
        given = arrays["f0"]
        tuned = arrays["tuned_f0"][..., 0] if "tuned_f0" in arrays else given
    return given, tuned


def _soften(heard: Signal, rate: int) -> Signal:
    """Fade the ends of a stretch over 10 ms, so that they do not click."""
    n = min(rate // 100, heard.shape[-1] // 2)
    window = np.ones(heard.shape[-1], np.float32)
    fade = (0.5 - 0.5 * np.cos(np.pi * (np.arange(n) + 0.5) / max(n, 1))).astype(np.float32)
    window[:n], window[len(window) - n :] = fade, fade[::-1]
    return heard * window


def import_tracks(path: str, frames: int, target: str) -> dict[str, Any]:
    """Read a file of F0 of any known form and write it on the 16-ms grid."""
    source = Path(path)
    written = source.suffix.lower() in SCORE_SUFFIXES
    contours = read_score(source) if written else read_contours(source)
    f0 = contours.to_frames(frames)
    write_f0(target, F0Contours.on_grid(f0, contours.names), overwrite=True)
    return {"names": list(contours.names)}


def check_score(path: str) -> dict[str, Any]:
    """Read a score, to see that it can be read."""
    return {"names": list(read_score(Path(path)).names)}


def write_f0_format(tracks: str, kind: str, folder: str, stem: str) -> dict[str, Any]:
    """Write tracks in a format of another program; several files become a ZIP file."""
    contours = read_f0(tracks)
    paths = name_f0_files(Path(folder), stem, contours.names, [kind])
    for path in paths.values():
        path.parent.mkdir(parents=True, exist_ok=True)
    write_formats(paths, contours, stem)
    files = [str(path) for path in paths.values()]
    return {"files": files}


def wake() -> dict[str, Any]:
    """Do nothing: the modules are loaded now."""
    return {}


CALLS: dict[str, Callable[..., dict[str, Any]]] = {
    "preview_edit": preview_edit,
    "import_tracks": import_tracks,
    "check_score": check_score,
    "write_f0_format": write_f0_format,
    "wake": wake,
}
