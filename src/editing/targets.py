"""The F0 that an edited singer is to have."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..dsp.tracks import HOP, RATE
from ..errors import UmssError
from ..f0.contour_files import read_f0
from ..f0.contours import F0Contours
from ..f0.salience import Salience
from ..f0.score.alignment import place_score
from ..f0.score.reading import SCORE_SUFFIXES, read_score
from .edits import Edit, EditError
from .pitch import (
    FRAMES,
    Pitch,
    build_scale,
    find_runs,
    hertz_to_pitch,
    move_degrees,
    pitch_to_hertz,
    scale_vibrato,
    tune,
)

Track = NDArray[np.float64]

LOWEST, HIGHEST = 40.0, 2100.0  # Hz, what voices sing and the renderings can do
_ENOUGH = 0.5  # share of a singer's frames that a contour must have a pitch for
_BRIDGE = round(0.3 * FRAMES)  # frames; gaps of a contour no longer than this are bridged
_WIDTH = 30.0  # cents, of a track among the bins of a salience

log = logging.getLogger(__name__)


def build_target(edit: Edit, singer: str, f0: F0Contours) -> Track:
    """Build the F0 that an edit asks for.

    Args:
        edit: what is changed.
        singer: whose edit it is, for messages.
        f0: tracks of all singers on the 16-ms grid.

    Returns:
        [N] Hz, 0 where the singer is silent.

    Raises:
        EditError: a file that does not fit, or pitches that no voice has.
    """
    source = edit.find_source(singer)
    own = f0.f0[:, f0.names.index(source)].astype(np.float64)
    pitch = hertz_to_pitch(own)
    if np.isnan(pitch).all():
        raise EditError(f"{source} is silent throughout: there is no pitch to edit")
    if edit.contour is not None:
        pitch = _follow(pitch, _read_contour(edit.contour, singer, f0), edit.contour, singer)
    if edit.intonation is not None:
        wanted = edit.intonation
        if wanted.score is not None:
            goals = hertz_to_pitch(_place_score(wanted.score, singer, source, f0))
            pitch = tune(pitch, goals, wanted.strength)
        else:
            scale = build_scale(wanted.to, wanted.key, wanted.a4)
            pitch = tune(pitch, scale, wanted.strength)
    if edit.vibrato != 1.0:
        pitch = scale_vibrato(pitch, edit.vibrato)
    if edit.degrees:
        assert edit.scale is not None
        pitch = move_degrees(pitch, build_scale(edit.scale), edit.degrees)
    target = pitch_to_hertz(pitch + edit.semitones)
    if np.array_equal(pitch, hertz_to_pitch(own), equal_nan=True) and edit.semitones == 0.0:
        target = own  # without rounding
    _check_range(target, own, singer)
    return target


def _check_range(target: Track, own: Track, singer: str) -> None:
    """Refuse pitches outside of what voices sing, unless the singer was there already."""
    for bad, word, limit in (
        ((target > 0) & (target < np.minimum(LOWEST, own)), "below", LOWEST),
        (target > np.maximum(HIGHEST, own), "above", HIGHEST),
    ):
        if bad.any():
            n = int(np.argmax(bad))
            raise EditError(
                f"{singer}: the edit leads to {target[n]:.0f} Hz at {n / FRAMES:.1f} s, {word} the "
                f"{limit:g} Hz that a voice may have; move it less"
            )


def _read_contour(path: str, singer: str, f0: F0Contours) -> Track:
    """Read the contour for a singer, on the grid: [N] Hz."""
    score = Path(path).suffix.lower() in SCORE_SUFFIXES
    found = read_score(path) if score else read_f0(path)
    column = _choose_column(found, singer, f0, path)
    return found.to_frames(len(f0.times))[:, column].astype(np.float64)


def _choose_column(found: F0Contours, singer: str, f0: F0Contours, path: str) -> int:
    """Choose the track of a file: the singer's by name, the only one, or by rank."""
    by_name = [k for k, name in enumerate(found.names) if name.lower() == singer.lower()]
    if by_name:
        return by_name[0]
    if found.n_singers == 1:
        return 0
    if found.names == f0.names or found.n_singers != f0.n_singers or singer not in f0.names:
        raise EditError(
            f"{path}: holds {found.n_singers} tracks ({', '.join(found.names)}), none named "
            f"{singer}; name one so, or give a file with one track"
        )
    return f0.names.index(singer)


def _follow(own: Pitch, contour: Track, path: str, singer: str) -> Pitch:
    """Let a singer sing a contour: where it is silent, the singer keeps the pitch, moved along.

    The distance of contour and singer is held over short gaps of the contour; further away from
    it the singer keeps the own pitch.
    """
    wanted = hertz_to_pitch(contour)
    sung = ~np.isnan(own)
    both = sung & ~np.isnan(wanted)
    share = both.sum() / sung.sum()
    if share < _ENOUGH:
        raise EditError(
            f"{path}: the contour has a pitch in {100 * share:.0f} % of the time in which {singer} "
            f"sings ({100 * _ENOUGH:.0f} % are needed); its times must be the recording's"
        )
    silent = (sung & ~both).sum() / FRAMES
    unused = (~sung & ~np.isnan(wanted)).sum() / FRAMES
    if silent > 0.5 or unused > 0.5:
        log.warning(
            "warning: %s: for %.1f s of %s there is no contour, and for %.1f s of the contour the "
            "singer is silent, where nothing can be moved",
            path, silent, singer, unused,
        )  # fmt: skip
    shift = np.zeros_like(own)
    frames = np.flatnonzero(both)
    distance = (wanted - own)[frames]
    for run in find_runs(sung):
        inside = np.arange(run.start, run.stop)
        place = np.searchsorted(frames, inside).clip(0, len(frames) - 1)
        before = np.maximum(place - (frames[place] > inside), 0)
        gap = np.minimum(np.abs(inside - frames[before]), np.abs(frames[place] - inside))
        held = np.interp(inside, frames, distance)
        shift[run] = np.where(gap <= _BRIDGE, held, 0.0)
    return np.where(both, wanted, own + shift)


def _place_score(path: str, singer: str, source: str, f0: F0Contours) -> Track:
    """Lay a score over the singers' own tracks, and take the line of one: [N] Hz, 0 = rest."""
    score = read_score(path)
    column = _choose_column(score, source, f0, path)
    whose = list(f0.names) if score.n_singers == f0.n_singers else [source]
    if len(whose) == 1:
        score = F0Contours(score.times, score.f0[:, [column]], (source,))
        column = 0
    tracks = f0.f0[:, [f0.names.index(name) for name in whose]]
    salience = build_salience(tracks.astype(np.float64), f0.times)
    try:
        placed = place_score(score, salience, len(f0.times) / FRAMES)
    except UmssError as error:
        raise EditError(f"{singer}.intonation.score={path}: {error}") from error
    for warning in placed.warnings:
        log.warning("warning: %s: %s", path, warning)
    return placed.prior[:, column].astype(np.float64)


def build_salience(tracks: Track, times: Track) -> Salience:
    """Build the salience of tracks [N, J] in Hz: 1 on each of them."""
    steps = np.arange(0.0, 6000.0, 20.0)
    frequencies = 55.0 * 2.0 ** (steps / 1200.0)
    values = np.zeros((len(steps), len(times)), np.float32)
    for track in tracks.T:
        sung = track > 0
        cents = 1200.0 * np.log2(track[sung] / 55.0)
        near = np.exp(-0.5 * ((steps[:, None] - cents) / _WIDTH) ** 2)
        values[:, sung] = np.maximum(values[:, sung], near)
    return Salience(values, frequencies, times)


def count_frames(n_samples: int, rate: int) -> int:
    """Count the frames of the 16-ms grid of a recording."""
    return -(-n_samples * RATE // (rate * HOP))
