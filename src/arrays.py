"""Separation of samples in memory, with a separator and F0 that are there already."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from .audio import measure_mix
from .chunks import Grid, find_covered, separate_chunks
from .errors import UmssError
from .f0.contours import F0Contours
from .f0.names import name_singers
from .resynthesis import describe
from .separated import SeparatedRecording
from .separator import Separator

Parameters = dict[str, NDArray[np.floating]]


def separate_array(
    audio: ArrayLike,
    rate: int,
    f0: F0Contours | ArrayLike,
    separator: Separator,
    *,
    window_seconds: float = 9.0,
    overlap_seconds: float = 1.0,
    chunk_seconds: float = 9.0,
    seed: int = 0,
    full_band: bool = True,
) -> SeparatedRecording:
    """Separate samples.

    Args:
        audio: [T] or [C, T] samples.
        rate: sample rate in Hz.
        f0: contours, or an array [J, N] in Hz on the 16-ms grid (0 = silent), rows from the
            highest voice to the lowest.
        separator: e.g. `UmssSeparator("best.ckpt")` or `CombSeparator()`.
        window_seconds, overlap_seconds, chunk_seconds: see `src.chunks.separate_chunks`.
        seed: seed of the method's noise.
        full_band: share out what is above the separator's band too (`src.dsp.high_band`).

    Raises:
        UmssError: empty, wrongly shaped or not finite input, or F0 that does not fit.
    """
    array = read_samples(audio)
    channels = np.atleast_2d(array)
    n_samples = -(-channels.shape[-1] * separator.rate // check_rate(rate))
    contours = as_contours(f0, -(-n_samples // separator.hop), separator)
    covered = find_covered(contours, channels.shape[-1] / rate)
    grid = Grid.of(window_seconds, overlap_seconds, chunk_seconds)
    sings = separator.describe_voice() is not None
    position = 0

    def read(n: int) -> NDArray[np.float32]:
        nonlocal position
        start, position = position, position + n
        return channels[:, start:position]

    pieces = list(
        separate_chunks(
            read,
            rate,
            contours,
            separator,
            window_seconds=window_seconds,
            overlap_seconds=overlap_seconds,
            chunk_seconds=chunk_seconds,
            seed=seed,
            mix=measure_mix(channels, rate),
            covered=covered,
            synthesise=sings,
            full_band=full_band,
        )
    )
    stems = np.concatenate([p.stems for p in pieces], axis=-1)
    residual = np.concatenate([p.residual for p in pieces], axis=-1)
    if array.ndim == 1:
        stems, residual = stems[:, 0], residual[0]
    parameters = join_parameters([{**p.parameters, "f0": p.f0, **p.beside} for p in pieces])
    voices = [p.synthesised for p in pieces if p.synthesised is not None]
    sung: Any = np.concatenate(voices, axis=-1) if voices else []
    return SeparatedRecording(
        stems=dict(zip(contours.names, stems, strict=True)),
        residual=residual,
        f0=contours,
        parameters=parameters,
        rate=rate,
        synthesised=dict(zip(contours.names, sung, strict=True)) if sings else {},
        description=describe(
            separator,
            grid,
            rate=rate,
            n_samples=channels.shape[-1],
            seed=seed,
            covered=covered,
        ),
    )


def as_contours(f0: F0Contours | ArrayLike, n_frames: int, separator: Separator) -> F0Contours:
    """F0 given as contours, or as an array [J, N] on the frame grid, as contours.

    Raises:
        UmssError: an array that is not [J, N] with N within two frames of the recording's.
    """
    if isinstance(f0, F0Contours):
        return f0
    array = np.asarray(f0, dtype=np.float32)
    if array.ndim != 2 or abs(array.shape[1] - n_frames) > 2:
        transposed = array.ndim == 2 and array.shape[0] > array.shape[1]
        hint = "; transpose it" if transposed else ""
        raise UmssError(
            f"f0 must be [J, N] = [J, {n_frames}], one row per singer and one column per "
            f"{1000 * separator.hop / separator.rate:g} ms; got {list(array.shape)}{hint}"
        )
    columns = np.ascontiguousarray(array.T)
    names = name_singers(len(array))
    return F0Contours.on_grid(columns, names, hop=separator.hop, rate=separator.rate)


def join_parameters(parts: Sequence[Parameters]) -> Parameters:
    """Parameters of consecutive pieces, one after the other."""
    return {name: np.concatenate([p[name] for p in parts], axis=1) for name in parts[0]}


def read_samples(audio: ArrayLike | Tensor) -> NDArray[np.float32]:
    """Read samples [T] or [C, T] from an array or a tensor.

    Raises:
        UmssError: integers, no samples, or another shape.
    """
    array = np.asarray(audio.detach().cpu() if isinstance(audio, Tensor) else audio)
    if array.dtype.kind not in "fiu" or array.ndim not in (1, 2) or array.size == 0:
        raise UmssError(
            "audio must be [T] or [C, T] numbers and not empty, got "
            f"{list(array.shape)} of type {array.dtype}"
        )
    if array.dtype.kind in "iu":
        raise UmssError(
            f"audio must be floating-point samples between -1 and 1, got {array.dtype}; divide by "
            f"{np.iinfo(array.dtype).max + 1}"
        )
    if array.ndim == 2 and array.shape[0] > array.shape[1]:
        raise UmssError(
            f"audio must be [C, T], one row per channel; got {list(array.shape)}; transpose it"
        )
    return array.astype(np.float32)


def check_rate(rate: int | None) -> int:
    """Check a sample rate in Hz.

    Raises:
        UmssError: there is none, or it is no positive whole number.
    """
    if rate is None:
        raise UmssError("give the sample rate of the array in Hz, e.g. rate=44100")
    if isinstance(rate, bool) or int(rate) != rate or rate <= 0:
        raise UmssError(f"rate must be a positive whole number of Hz, got {rate}")
    return int(rate)
