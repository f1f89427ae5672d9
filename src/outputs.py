"""The files of a separated recording: their names, and the file of parameters."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .archives import read_arrays
from .errors import UmssError
from .f0.contours import ContourError
from .filenames import FILENAME, check_filename, find_track, name_file
from .listening.files import find_page, name_page

SYNTHESISED = "synthesised"
MIX = "mix"
PARAMETERS = "parameters"
ENDINGS = ("wav", "flac", "mp3")  # of sound
# Arrays of a file of parameters that describe it.
DESCRIBING = (
    "version", "description", "names", "frames_per_second", "n_singers_confidence", "filename",
)  # fmt: skip
VERSION = 1  # of the file of parameters


def name_outputs(
    folder: Path,
    stem: str,
    names: Sequence[str],
    *,
    with_f0: bool = False,
    with_mix: bool = False,
    ending: str = "wav",
    filename: str = FILENAME,
) -> dict[str, Path]:
    """Output files by singer name, plus "residual", "parameters" and, if wanted, "f0" and "mix".

    Args:
        folder: of all outputs.
        stem: the track: the recording's name without ending.
        names: of the singers.
        with_f0, with_mix: whether there are these files.
        ending: of files of sound, without dot.
        filename: how files are named (`src.filenames`).

    Raises:
        ContourError: two singers whose names lead to the same file name.
    """
    slugs = _make_slugs(names)

    def name(voice: str, ending: str = ending) -> Path:
        return name_file(folder, stem, voice, ending, filename)

    others = {"residual": name("residual"), "parameters": name(PARAMETERS, "npz")}
    if with_f0:
        others["f0"] = name("f0", "csv")
    if with_mix:
        others[MIX] = name(MIX)
    if len({*slugs, *others}) < len(slugs) + len(others):
        raise ContourError(
            f"the singers' names ({', '.join(names)}) do not give different file names; rename "
            "the columns of the F0 file, or give other names"
        )
    return {n: name(slug) for n, slug in zip(names, slugs, strict=True)} | others


class Place(NamedTuple):
    """Where the files of a separation lie.

    Attributes:
        folder: of all its outputs.
        track: the recording's name.
        filename: how files are named (`src.filenames`).
    """

    folder: Path
    track: str
    filename: str = FILENAME


def find_place(parameters: Path, arrays: Mapping[str, NDArray]) -> Place:
    """Where the files lie that belong to a file of parameters.

    Args:
        parameters: the file.
        arrays: that it holds.

    Raises:
        UmssError: it names files in a way that there is not.
    """
    filename = str(arrays.get("filename", FILENAME))
    check_filename(filename)
    found = find_track(parameters, PARAMETERS, "npz", filename)
    if found is None:  # somebody has renamed it
        return Place(parameters.parent, parameters.stem.removesuffix(f"_{PARAMETERS}"))
    return Place(*found, filename)


def find_stems(place: Place, names: Sequence[str]) -> dict[str, Path]:
    """Files by singer name, "residual" and "parameters", in the format that the residual has."""
    folder, track, filename = place
    for ending in ENDINGS:
        paths = name_outputs(folder, track, names, ending=ending, filename=filename)
        if paths["residual"].is_file():
            return paths
    return name_outputs(folder, track, names, filename=filename)


def name_rest(name: str) -> str:
    """What everything but one singer is called."""
    return f"without {name}"


def name_synthesised(
    folder: Path,
    stem: str,
    names: Sequence[str],
    *,
    ending: str = "wav",
    filename: str = FILENAME,
) -> dict[str, Path]:
    """Files of the synthesised voices by singer name, and of their sum as "synthesised".

    Raises:
        ContourError: two singers whose names lead to the same file name.
    """
    slugs = _make_slugs(names)
    voices = [*(f"{slug}_{SYNTHESISED}" for slug in slugs), *slugs, SYNTHESISED]
    places = [name_file(folder, stem, voice, ending, filename) for voice in voices]
    files, others = places[: len(slugs)], places[len(slugs) :]
    if len({*files, *others}) < len(files) + len(others) or SYNTHESISED in names:
        raise ContourError(
            f"the singers' names ({', '.join(names)}) do not give different file names for the "
            "synthesised voices; give other names"
        )
    return dict(zip(names, files, strict=True)) | {SYNTHESISED: others[-1]}


def _make_slugs(names: Sequence[str]) -> list[str]:
    """Names as they stand in the names of files."""
    return [make_slug(name) for name in names]


def make_slug(name: str) -> str:
    """The name of a singer as it stands in the names of files."""
    return re.sub(r"[^\w.-]+", "_", name).strip("._").lower() or "singer"


def find_outputs(folder: Path, stem: str, filename: str = FILENAME) -> set[Path]:
    """Find the files of an earlier separation of a recording; its parameters say which they are."""
    parameters = name_file(folder, stem, PARAMETERS, "npz", filename)
    try:
        names = [str(name) for name in read_arrays(parameters)["names"].flat]
        paths: list[Path] = []
        for ending in ENDINGS:
            written = name_outputs(
                folder, stem, names, with_f0=True, ending=ending, filename=filename
            )
            rests = [
                name_file(folder, stem, make_slug(name_rest(name)), ending, filename)
                for name in names
            ]
            sounds = [*rests, *(path for path in written.values() if path.suffix == f".{ending}")]
            if ending != "wav" and not any(path.exists() for path in sounds):
                continue
            paths += [*written.values(), *rests]
            if MIX not in _make_slugs(names):
                paths.append(name_file(folder, stem, MIX, ending, filename))
            with suppress(ContourError):
                sung = name_synthesised(folder, stem, names, ending=ending, filename=filename)
                paths += sung.values()
    except (UmssError, KeyError):
        return set()
    paths += find_page(name_page(folder, stem, filename))
    return {path for path in paths if path.exists()}


def find_all_outputs(parameters: Path) -> set[Path]:
    """Find the files that belong to a file of parameters, itself too; none if it is no such."""
    try:
        return find_outputs(*find_place(parameters, read_arrays(parameters)))
    except UmssError:
        return set()


def write_parameters(
    path: Path,
    names: Sequence[str],
    parameters: Mapping[str, NDArray[np.floating]],
    *,
    frames_per_second: float,
    description: str,
    confidence: float | None = None,
    filename: str = FILENAME,
) -> None:
    """Write the parameters of the voice models as an .npz file, without pickles.

    Args:
        path: where to.
        names: J singers.
        parameters: by name, [J, N, size] per frame or [J, windows, size].
        frames_per_second: frames of the F0 tracks.
        description: how voices are made of the parameters (`src.resynthesis.describe`).
        confidence: of the number of singers, 0 to 1, where it was counted; None = it was given.
        filename: how the files are named that belong to it.
    """
    counted = {} if confidence is None else {"n_singers_confidence": np.array(confidence)}
    with path.open("wb") as handle:
        np.savez_compressed(
            handle,
            allow_pickle=False,
            version=np.array(VERSION),
            description=np.array(description),
            filename=np.array(filename),
            names=np.array(names),
            frames_per_second=np.array(frames_per_second),
            **counted,
            **parameters,
        )
