"""The files of a separated recording: their names, and the file of parameters."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .archives import read_arrays
from .errors import UmssError
from .f0.contours import ContourError


def name_outputs(
    folder: Path, stem: str, names: Sequence[str], *, with_f0: bool = False
) -> dict[str, Path]:
    """Output files by singer name, plus "residual", "parameters" and, if wanted, "f0".

    Raises:
        ContourError: two singers whose names lead to the same file name.
    """
    slugs = [re.sub(r"[^\w.-]+", "_", name).strip("._").lower() or "singer" for name in names]
    others = {
        "residual": folder / f"{stem}_residual.wav",
        "parameters": folder / f"{stem}_parameters.npz",
    }
    if with_f0:
        others["f0"] = folder / f"{stem}_f0.csv"
    if len({*slugs, *others}) < len(slugs) + len(others):
        raise ContourError(
            f"the singers' names ({', '.join(names)}) do not give different file names; rename "
            "the columns of the F0 file, or give other names"
        )
    stems = {n: folder / f"{stem}_{slug}.wav" for n, slug in zip(names, slugs, strict=True)}
    return stems | others


def find_outputs(folder: Path, stem: str) -> set[Path]:
    """Find the files of an earlier separation of a recording; its parameters say which they are."""
    parameters = folder / f"{stem}_parameters.npz"
    try:
        names = [str(name) for name in read_arrays(parameters)["names"].flat]
        paths = name_outputs(folder, stem, names, with_f0=True).values()
    except (UmssError, KeyError):
        return set()
    return {path for path in paths if path.exists()}


def write_parameters(
    path: Path,
    names: Sequence[str],
    parameters: Mapping[str, NDArray[np.floating]],
    *,
    frames_per_second: float,
) -> None:
    """Write the parameters of the voice models as an .npz file, without pickles.

    Args:
        path: where to.
        names: J singers.
        parameters: by name, [J, N, size] per frame or [J, windows, size].
        frames_per_second: frames of the F0 tracks.
    """
    with path.open("wb") as handle:
        np.savez_compressed(
            handle,
            allow_pickle=False,
            names=np.array(names),
            frames_per_second=np.array(frames_per_second),
            **parameters,
        )
