"""Voices once more from the parameters that a separation wrote, without recording and network.

A file of parameters holds its version, a description (text in JSON), and arrays. Frames of the F0
grid stand in arrays [J, N, size] of the whole recording, in which every frame is of one window;
what two windows both have, and may differ in, stands beside them under NAME_overlap: for one window
after the other, its frames before and after those that are kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .archives import ArchiveError, read_arrays
from .audio import resample
from .chunks import OVERLAP
from .errors import UmssError
from .f0.contours import MAX_SINGERS
from .outputs import VERSION
from .renderer import Renderer, build_renderer
from .separator import Separator
from .voice_windows import Arrays, walk
from .windows import Audio, CrossFade, Grid, fit_length, silence_outside


class ParametersError(UmssError):
    """A file of parameters that cannot be synthesised; the message names it and the remedy."""


@dataclass(frozen=True)
class VoiceFile:
    """What voices are synthesised from.

    Attributes:
        names: J singers.
        arrays: by name, see the module.
        rate: of the recording, Hz.
        n_samples: of the recording, T.
        grid: where the windows lie.
        seed: of the noise; window k takes seed + k.
        covered: where singers sound, from and to in seconds.
        renderer: how voices are made.
    """

    names: tuple[str, ...]
    arrays: Arrays
    rate: int
    n_samples: int
    grid: Grid
    seed: int
    covered: tuple[float, float]
    renderer: Renderer


def describe(
    separator: Separator,
    grid: Grid,
    *,
    rate: int,
    n_samples: int,
    seed: int,
    covered: tuple[float, float],
) -> str:
    """Describe, as JSON, how the arrays of a separation become voices; see `VoiceFile`."""
    return json.dumps(
        {
            "voice": separator.describe_voice(),
            "rate": rate,
            "n_samples": n_samples,
            "advance": grid.advance,
            "overlap": grid.overlap,
            "seed": seed,
            "covered": [covered[0], min(covered[1], 1e12)],
        }
    )


def check_voices(separator: Separator) -> None:
    """Check that a method has voices that can be synthesised.

    Raises:
        UmssError: it has none.
    """
    if separator.describe_voice() is None:
        raise UmssError(
            f"synthesised=true: {type(separator).__name__} has no voices that sing by themselves; "
            "use separator=umss_fit, fit or umss"
        )


def read_voices(path: Path) -> VoiceFile:
    """Read the voices of a file of parameters, NAME_parameters.npz.

    Raises:
        ParametersError: missing, damaged, of another version, or of a method without voices.
    """
    arrays = read_parameters(path)
    try:
        return build_voices(arrays)
    except UmssError as error:
        raise ParametersError(f"{path}: {error}; separate the recording again") from error


def read_parameters(path: Path) -> dict[str, NDArray[Any]]:
    """Read the arrays of a file of parameters, NAME_parameters.npz.

    Raises:
        ParametersError: missing, damaged, or of another version.
    """
    if not path.is_file():
        raise ParametersError(
            f"{path}: no such file of parameters; give the NAME_parameters.npz that "
            "umss separate wrote"
        )
    try:
        arrays = read_arrays(path)
    except ArchiveError as error:
        raise ParametersError(
            f"{path}: damaged, incomplete or no file of parameters ({error}); separate the "
            "recording again"
        ) from error
    version = arrays.get("version")
    if version is None and "names" in arrays:
        raise ParametersError(
            f"{path}: written by an older umss, which did not store how loud voices are; separate "
            "the recording again"
        )
    if version is None or version.shape != () or version.dtype.kind not in "iu":
        raise ParametersError(f"{path}: no file of parameters; give one that umss separate wrote")
    if version != VERSION:
        raise ParametersError(
            f"{path}: has version {version}, and this umss reads version {VERSION}; separate the "
            "recording again with this one"
        )
    return arrays


def has_voices(arrays: Arrays) -> bool:
    """Whether the method that these parameters are of has voices that sing by themselves.

    Raises:
        UmssError: the description is damaged.
    """
    try:
        return json.loads(str(arrays["description"]))["voice"] is not None
    except (KeyError, TypeError, ValueError) as error:
        raise UmssError(f"its description is damaged ({type(error).__name__})") from error


def build_voices(arrays: Arrays) -> VoiceFile:
    """Build what voices are synthesised from, out of the arrays of a file.

    Raises:
        UmssError: arrays are missing or do not fit together; the message is the reason alone.
    """
    try:
        names = tuple(str(name) for name in arrays["names"])
        content = json.loads(str(arrays["description"]))
        if content["voice"] is None:
            raise UmssError("its method has no voices that sing by themselves, unlike umss_fit")
        found = VoiceFile(
            names,
            arrays,
            int(content["rate"]),
            int(content["n_samples"]),
            Grid(int(content["advance"]), float(content["overlap"]), 1),
            int(content["seed"]),
            (float(content["covered"][0]), float(content["covered"][1])),
            build_renderer(content["voice"]),
        )
    except (KeyError, IndexError, TypeError, ValueError, OverflowError, RecursionError) as error:
        if isinstance(error, UmssError):
            raise
        raise UmssError(f"its description is damaged ({type(error).__name__})") from error
    _check(found)
    return found


def _check(found: VoiceFile) -> None:
    """Check that numbers are possible, and that arrays have the sizes that they must have."""
    grid, renderer = found.grid, found.renderer
    frames = found.arrays.get("f0", np.zeros((0, 0)))
    seconds = frames.shape[-1] * renderer.hop / renderer.rate
    if not (
        1 <= len(found.names) <= MAX_SINGERS
        and 1 <= found.rate <= 10**7
        and 0 <= found.seed < 2**62
        and 0 < grid.advance <= 10**6
        and grid.advance % 2 == 0
        and 0 <= grid.overlap <= 3600
        and abs(found.n_samples / found.rate - seconds) < 1.0
        and found.n_samples > 0
        and found.covered[0] <= found.covered[1]
    ):
        raise UmssError("its description does not fit its arrays")
    places = list(walk(found))
    kept, beside = (sum(size) for size in zip(*((x.kept, x.beside) for x in places), strict=True))
    per_frame = {"f0": None, **renderer.per_frame}
    wanted: dict[str, tuple[int, ...]] = {}
    for name, size in per_frame.items():
        rest = () if size is None else (size,)
        wanted |= {name: (kept, *rest), f"{name}{OVERLAP}": (beside, *rest)}
    wanted |= {name: (len(places), size) for name, size in renderer.per_window.items()}
    wanted |= {name: (places[-1].tracks[name].stop, x) for name, (x, _) in renderer.tracks.items()}
    for name, shape in wanted.items():
        array = found.arrays.get(name)
        if array is None or array.shape != (len(found.names), *shape) or array.dtype.kind != "f":
            raise UmssError(f"its array {name} is missing or has a wrong shape")
        if not np.isfinite(array).all():
            raise UmssError(f"its array {name} holds NaN or infinite values")


def add_sum(voices: Audio) -> list[Audio]:
    """Voices [J, n] as files hold them, [1, n] each, and their sum."""
    return [signal[None] for signal in (*voices, voices.sum(axis=0))]


def synthesise(found: VoiceFile) -> Iterator[Audio]:
    """Synthesise voices at the recording's rate, window by window, cross-faded: pieces [J, n]."""
    renderer, arrays = found.renderer, found.arrays
    fade = CrossFade(round(found.grid.overlap * found.rate))
    position = 0
    for place in walk(found):
        window = place.window
        parameters = {name: place.take(arrays, name)[None] for name in renderer.per_frame}
        parameters |= {
            name: torch.from_numpy(np.ascontiguousarray(arrays[name][:, window.index]))[None]
            for name in renderer.per_window
        }
        tracks = {
            name: torch.from_numpy(np.ascontiguousarray(arrays[name][:, part]))[None]
            for name, part in place.tracks.items()
        }
        voices = renderer.render(
            place.take(arrays, "f0")[None],
            parameters,
            tracks,
            torch.tensor([found.seed + window.index]),
            place.n_samples,
        )
        sung = resample(voices[0].numpy(), renderer.rate, found.rate)
        sung = fit_length(sung, window.audio.shape[-1])
        kept = window.choose_kept(found.grid, found.rate)
        piece = fade.join(sung, kept, last=window.last)
        yield silence_outside(piece, position / found.rate, found.rate, found.covered)
        position += piece.shape[-1]
