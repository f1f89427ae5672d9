"""The files of a separated recording: their names, and the file of parameters."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .archives import read_arrays
from .errors import UmssError
from .f0.contours import ContourError
from .listening.files import find_page, name_page

SYNTHESISED = "synthesised"
MIX = "mix"
ENDINGS = ("wav", "flac", "mp3")  # of sound
# Arrays of a file of parameters that describe it.
DESCRIBING = ("version", "description", "names", "frames_per_second", "n_singers_confidence")
VERSION = 1  # of the file of parameters


def name_outputs(
    folder: Path,
    stem: str,
    names: Sequence[str],
    *,
    with_f0: bool = False,
    with_mix: bool = False,
    ending: str = "wav",
) -> dict[str, Path]:
    """Output files by singer name, plus "residual", "parameters" and, if wanted, "f0" and "mix".

    Raises:
        ContourError: two singers whose names lead to the same file name.
    """
    slugs = _make_slugs(names)
    others = {
        "residual": folder / f"{stem}_residual.{ending}",
        "parameters": folder / f"{stem}_parameters.npz",
    }
    if with_f0:
        others["f0"] = folder / f"{stem}_f0.csv"
    if with_mix:
        others[MIX] = folder / f"{stem}_{MIX}.{ending}"
    if len({*slugs, *others}) < len(slugs) + len(others):
        raise ContourError(
            f"the singers' names ({', '.join(names)}) do not give different file names; rename "
            "the columns of the F0 file, or give other names"
        )
    stems = {n: folder / f"{stem}_{slug}.{ending}" for n, slug in zip(names, slugs, strict=True)}
    return stems | others


def find_stems(folder: Path, stem: str, names: Sequence[str]) -> dict[str, Path]:
    """Files by singer name, "residual" and "parameters", in the format that the residual has."""
    for ending in ENDINGS:
        paths = name_outputs(folder, stem, names, ending=ending)
        if paths["residual"].is_file():
            return paths
    return name_outputs(folder, stem, names)


def name_synthesised(
    folder: Path, stem: str, names: Sequence[str], *, ending: str = "wav"
) -> dict[str, Path]:
    """Files of the synthesised voices by singer name, and of their sum as "synthesised".

    Raises:
        ContourError: two singers whose names lead to the same file name.
    """
    slugs = _make_slugs(names)
    files = [f"{stem}_{slug}_{SYNTHESISED}.{ending}" for slug in slugs]
    others = [f"{stem}_{slug}.{ending}" for slug in (*slugs, SYNTHESISED)]
    if len({*files, *others}) < len(files) + len(others) or SYNTHESISED in names:
        raise ContourError(
            f"the singers' names ({', '.join(names)}) do not give different file names for the "
            "synthesised voices; give other names"
        )
    paths = {name: folder / file for name, file in zip(names, files, strict=True)}
    return paths | {SYNTHESISED: folder / others[-1]}


def _make_slugs(names: Sequence[str]) -> list[str]:
    """Names as they stand in the names of files."""
    return [make_slug(name) for name in names]


def make_slug(name: str) -> str:
    """The name of a singer as it stands in the names of files."""
    return re.sub(r"[^\w.-]+", "_", name).strip("._").lower() or "singer"


def find_outputs(folder: Path, stem: str) -> set[Path]:
    """Find the files of an earlier separation of a recording; its parameters say which they are."""
    parameters = folder / f"{stem}_parameters.npz"
    try:
        names = [str(name) for name in read_arrays(parameters)["names"].flat]
        paths: list[Path] = []
        for ending in ENDINGS:
            written = name_outputs(folder, stem, names, with_f0=True, ending=ending)
            if not written["residual"].exists() and ending != "wav":
                continue  # files of this format are somebody else's
            paths += written.values()
            if MIX not in _make_slugs(names):
                paths.append(folder / f"{stem}_{MIX}.{ending}")
            with suppress(ContourError):
                paths += name_synthesised(folder, stem, names, ending=ending).values()
    except (UmssError, KeyError):
        return set()
    paths += find_page(name_page(folder, stem))
    return {path for path in paths if path.exists()}


def write_parameters(
    path: Path,
    names: Sequence[str],
    parameters: Mapping[str, NDArray[np.floating]],
    *,
    frames_per_second: float,
    description: str,
    confidence: float | None = None,
) -> None:
    """Write the parameters of the voice models as an .npz file, without pickles.

    Args:
        path: where to.
        names: J singers.
        parameters: by name, [J, N, size] per frame or [J, windows, size].
        frames_per_second: frames of the F0 tracks.
        description: how voices are made of the parameters (`src.resynthesis.describe`).
        confidence: of the number of singers, 0 to 1, where it was counted; None = it was given.
    """
    counted = {} if confidence is None else {"n_singers_confidence": np.array(confidence)}
    with path.open("wb") as handle:
        np.savez_compressed(
            handle,
            allow_pickle=False,
            version=np.array(VERSION),
            description=np.array(description),
            names=np.array(names),
            frames_per_second=np.array(frames_per_second),
            **counted,
            **parameters,
        )
