"""What is heard of a project, in pieces of ten seconds: the recording, stems, edited stems."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

from ..audio import BLOCK, resample
from ..errors import UmssError
from ..listening.pictures import find_peaks
from ..listening.sound import encode_flac
from ..outputs import MIX, name_outputs
from .cache import PIECE_SECONDS
from .project import Project
from .stale import NOTES

PARTIALS = 8
FADE_SECONDS = 0.01
_MARGIN = 256  # samples beside a piece, where it is resampled

Signal = NDArray[np.float32]


@dataclass(frozen=True)
class Heard:
    """One thing to hear.

    Attributes:
        id: in addresses.
        name: for people.
        role: "mixture", "stem", "residual", "edited" or "edited-mix".
        path: the file of sound; None = pieces of the cache.
        singer: whose it is; None = nobody's.
    """

    id: str
    name: str
    role: str
    path: Path | None
    singer: int | None = None


class NoSoundError(UmssError):
    """There is no such sound (yet)."""


def read_sound(project: Project) -> dict[str, Any]:
    """What was found when the recording was opened.

    Raises:
        NoSoundError: it was not opened.
    """
    try:
        text = (project.cache.folder / "sound.json").read_text(encoding="utf-8")
        found: dict[str, Any] = json.loads(text)
    except (OSError, ValueError) as error:
        raise NoSoundError("the recording is not opened yet") from error
    return found


def list_heard(project: Project) -> list[Heard]:
    """Everything that can be heard, without looking into files of sound."""
    heard = [Heard("recording", "Recording", "mixture", None)]
    names = read_names(project.folder / "separated" / NOTES)
    if names:
        paths = name_outputs(project.folder / "separated", project.stem, names)
        for j, name in enumerate(names):
            heard.append(Heard(f"stem-{j}", name, "stem", paths[name], j))
        heard.append(Heard("residual", "Residual", "residual", paths["residual"]))
    edited = read_names(project.folder / "edited" / "edits.json")
    if names and edited:
        paths = name_outputs(project.folder / "edited", project.stem, edited, with_mix=True)
        for j, name in enumerate(edited):
            singer = names.index(name) if name in names else None
            heard.append(Heard(f"edited-{j}", f"{name} (edited)", "edited", paths[name], singer))
        heard.append(Heard("mix", "Edited mix", "edited-mix", paths[MIX]))
    return [one for one in heard if one.path is None or one.path.is_file()]


def read_names(path: Path) -> list[str]:
    """The singers of a result, as its notes have them; [] = there is none."""
    try:
        names = json.loads(path.read_text(encoding="utf-8"))["names"]
        return [str(name) for name in names]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def find_heard(project: Project, identifier: str) -> Heard:
    """Find what is heard by its identifier.

    Raises:
        NoSoundError: there is none.
    """
    for one in list_heard(project):
        if one.id == identifier:
            return one
    raise NoSoundError(f"there is no sound {identifier[:40]!r}")


def describe_sound(project: Project) -> dict[str, Any] | None:
    """What the player needs to know; None = the recording is not opened."""
    try:
        found = read_sound(project)
    except NoSoundError:
        return None
    heard = list_heard(project)
    stamps = [one.path.stat().st_mtime_ns for one in heard if one.path is not None]
    channels = min(found["channels"], 2)
    return {
        "rate": found["rate"],
        "length": found["length"],
        "piece": round(PIECE_SECONDS * found["rate"]),
        "version": f"{len(heard)}-{max(stamps, default=0)}",
        "tracks": [
            {
                "id": one.id, "name": one.name, "role": one.role, "channels": channels,
                "singer": one.singer,
            }
            for one in heard
        ],
    }  # fmt: skip


def encode_piece(project: Project, identifier: str, k: int) -> bytes:
    """Piece k of what is heard, as FLAC.

    Raises:
        NoSoundError: there is none.
    """
    found = read_sound(project)
    one = find_heard(project, identifier)
    piece = round(PIECE_SECONDS * found["rate"])
    if not 0 <= k * piece < found["length"]:
        raise NoSoundError(f"there is no piece {k}")
    if one.path is None:
        try:
            return project.cache.name_piece("sound", k).read_bytes()
        except OSError as error:
            raise NoSoundError("the sound is gone; open the recording again") from error
    n = min(piece, found["length"] - k * piece)
    samples = read_stretch(one.path, k * piece, n, found["rate"])
    return encode_flac(samples, found["rate"], found["gain"])


def encode_stretch(project: Project, identifier: str, begin: float, end: float) -> bytes:
    """A stretch of what is heard, as FLAC, faded at its ends."""
    found = read_sound(project)
    one = find_heard(project, identifier)
    first = max(0, round(begin * found["rate"]))
    n = min(round((end - begin) * found["rate"]), found["length"] - first)
    if n <= 0:
        raise NoSoundError("this stretch is outside the recording")
    if one.path is None:
        samples = _read_pieces(project, first, n, found)
        gain = 1.0
    else:
        samples, gain = read_stretch(one.path, first, n, found["rate"]), found["gain"]
    return encode_flac(fade(samples, found["rate"]), found["rate"], gain)


def read_stretch(path: Path, first: int, n: int, rate: int) -> Signal:
    """Read samples [C, n] of a file at another rate; C is 1 or 2."""
    with sf.SoundFile(path) as file:
        own = file.samplerate
        begin = max(0, first * own // rate - _MARGIN) if own != rate else first
        stop = min(file.frames, -(-(first + n) * own // rate) + _MARGIN)
        file.seek(min(begin, file.frames))
        count = stop - begin if own != rate else n
        samples = np.ascontiguousarray(file.read(count, "float32", always_2d=True).T)
    if own != rate:
        at = first - round(begin * rate / own)
        samples = resample(samples, own, rate)[:, at : at + n]
    if len(samples) > 2:
        samples = samples.mean(axis=0, keepdims=True)
    missing = n - samples.shape[1]
    return np.pad(samples, ((0, 0), (0, missing))) if missing > 0 else samples


def _read_pieces(project: Project, first: int, n: int, found: dict[str, Any]) -> Signal:
    """Samples [C, n] of the recording out of its pieces, which are ours and have the gain."""
    piece = round(PIECE_SECONDS * found["rate"])
    parts = []
    for k in range(first // piece, (first + n - 1) // piece + 1):
        path = project.cache.name_piece("sound", k)
        if not path.is_file():
            raise NoSoundError("the sound is gone; open the recording again")
        samples = sf.read(path, dtype="float32", always_2d=True)[0].T
        begin = max(0, first - k * piece)
        parts.append(samples[:, begin : first + n - k * piece])
    return np.concatenate(parts, axis=1)


def fade(samples: Signal, rate: int) -> Signal:
    """Fade the ends of a stretch, so that they do not click."""
    n = min(round(FADE_SECONDS * rate), samples.shape[-1] // 2)
    rise = (0.5 - 0.5 * np.cos(np.pi * (np.arange(n) + 0.5) / max(n, 1))).astype(np.float32)
    faded = samples.copy()
    faded[..., :n] *= rise
    faded[..., faded.shape[-1] - n :] *= rise[::-1]
    return faded


def sing(f0: NDArray[Any], hop: float, rate: int, n: int) -> Signal:
    """Sing tracks as tones of several partials.

    Args:
        f0: [M, J] Hz, 0 = silent.
        hop: seconds from one row to the next; the first row is at 0.
        rate: of the sound, Hz.
        n: samples.

    Returns:
        [n], at most about 0.5.
    """
    times = np.arange(n) / rate
    total = np.zeros(n)
    for track in np.asarray(f0, np.float64).T:
        sung = track > 0
        if not sung.any():
            continue
        at = np.flatnonzero(sung)
        # Within a pause the pitch does not matter; it is held from either side.
        pitch = np.exp(np.interp(times, at * hop, np.log(track[at])))
        voiced = sung[np.clip(np.rint(times / hop).astype(int), 0, len(sung) - 1)]
        width = max(1, round(FADE_SECONDS * rate))
        level = np.convolve(voiced, np.ones(width) / width, "same")
        phase = 2 * np.pi * np.cumsum(pitch) / rate
        for partial in range(1, PARTIALS + 1):
            below = pitch * partial < 0.45 * rate
            total += level * below * np.sin(partial * phase) / partial
    scale = 0.25 / np.sqrt(max(1, f0.shape[1]))
    sound: Signal = (scale * total).astype(np.float32)
    return sound


@lru_cache(maxsize=32)
def _measure_peaks(path: str, stamp: int, rate: int, gain: float) -> bytes:
    parts = []
    with sf.SoundFile(path) as file:
        own = file.samplerate
        size = BLOCK // own * own  # whole seconds: as many peaks as samples say
        while len(block := file.read(size, "float32", always_2d=True)):
            parts.append(find_peaks(block.T, own, gain).tobytes())
    return b"".join(parts)


def measure_peaks(project: Project, identifier: str) -> bytes:
    """The largest values of what is heard, 100 per second, 255 = full scale."""
    found = read_sound(project)
    one = find_heard(project, identifier)
    if one.path is not None:
        stamp = one.path.stat().st_mtime_ns
        return _measure_peaks(str(one.path), stamp, found["rate"], found["gain"])
    try:
        return (project.cache.folder / "peaks.u8").read_bytes()
    except OSError as error:
        raise NoSoundError("the sound is gone; open the recording again") from error
