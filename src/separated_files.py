"""The files of a recording that is separated piece by piece: written, shown, replaced."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .audio import Examination
from .chosen_stems import RESIDUAL, Chosen
from .chunks import Piece
from .f0.contours import F0Contours
from .filenames import FILENAME
from .formats.write import find_f0_files
from .listening.content import Page
from .listening.results import describe_recording, make_page
from .outputs import find_outputs, write_parameters
from .resynthesis import add_sum
from .separator import Separator
from .writing.stems import StemWriters
from .writing.writer import Format

log = logging.getLogger(__name__)


def write_pieces(
    pieces: Iterable[Piece],
    paths: Mapping[str, Path],
    contours: F0Contours,
    found: Examination,
    separator: Separator,
    description: str,
    confidence: float | None,
    recording: Path,
    form: Format,
    chosen: Chosen,
    filename: str = FILENAME,
) -> float:
    """Write the pieces of all singers, the residual, the parameters and synthesised voices.

    Args:
        pieces: of the recording, in the order of time.
        paths: by label of the chosen files, "parameters", and those of synthesised voices, if any.
        contours: the F0 tracks.
        found: in the recording.
        separator: the method.
        description: how voices are made of the parameters (`src.resynthesis.describe`).
        confidence: of the number of singers, where it was counted.
        recording: whose tags the files get.
        form: of the sound.
        chosen: which files are written.
        filename: how files are named.

    Returns:
        The factor by which all sound was lowered so that the format holds it; 1 = as it is.
    """
    labels = {label: found.channels for label in chosen.labels}
    if "synthesised" in paths:
        labels |= {f"{name}_synthesised": 1 for name in contours.names} | {"synthesised": 1}
    outputs = StemWriters(paths, labels, found.rate, found.frames, form, recording)
    spool = _Spool(paths["parameters"].parent)
    try:
        for piece in pieces:
            voices = [] if piece.synthesised is None else add_sum(piece.synthesised)
            stems = chosen.pick([*piece.stems], piece.residual, piece.audio)
            outputs.write([*stems, *voices])
            spool.append({**piece.parameters, "f0": piece.f0, **piece.beside})
        factor = outputs.close()
    finally:
        outputs.abandon()
    write_parameters(
        paths["parameters"],
        contours.names,
        spool.join(),
        frames_per_second=separator.rate / separator.hop,
        description=description,
        confidence=confidence,
        filename=filename,
    )
    return factor


class _Spool:
    """Collects arrays [J, n, ...] of consecutive windows in files and joins them along n.

    Kept in memory, these small arrays would lie between the large ones of each window and stop
    the allocator from reusing their memory.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._like: dict[str, NDArray[np.floating]] = {}

    def _find_file(self, name: str) -> Path:
        return self._folder / f"{name}.raw"

    def append(self, arrays: dict[str, NDArray[np.floating]]) -> None:
        """Write the arrays of the next window."""
        for name, array in arrays.items():
            self._like[name] = array[:, :0].copy()
            with self._find_file(name).open("ab") as handle:
                np.ascontiguousarray(array.swapaxes(0, 1)).tofile(handle)

    def join(self) -> dict[str, NDArray[np.floating]]:
        """Read all windows and join them along n."""
        return {
            name: np.fromfile(self._find_file(name), dtype=like.dtype)
            .reshape(-1, len(like), *like.shape[2:])
            .swapaxes(0, 1)
            for name, like in self._like.items()
        }


def describe_page(
    path: Path,
    found: Examination,
    files: Mapping[str, Path],
    contours: F0Contours,
    warnings: Sequence[str],
    factor: float = 1.0,
    chosen: Chosen | None = None,
) -> Page:
    """The page to listen to of the files that were written.

    Args:
        path: the recording.
        found: in it.
        files: by singer, and "residual"; or those that were chosen.
        contours: the F0 tracks.
        warnings: about them.
        factor: by which the files were lowered; the recording is heard lowered alike.
        chosen: which files were written; None = all.
    """
    labels = (chosen or Chosen.of(contours.names)).labels
    recording = describe_recording(
        path.stem,
        found.rate,
        path,
        {label: files[label] for label in labels if label != RESIDUAL},
        files.get(RESIDUAL),
        contours,
        seconds=found.frames / found.rate,
        warnings=warnings,
        factor=factor,
    )
    return make_page(recording)


def find_former(
    folder: Path,
    stem: str,
    files: Iterable[Path],
    keep: Iterable[Path] = (),
    filename: str = FILENAME,
) -> list[Path]:
    """Find the files of an earlier separation that the new one does not replace.

    Args:
        folder, stem: where the recording's files go, and what their names begin with.
        files: of the new separation.
        keep: files that stay, and folders whose files stay.
        filename: how files are named.
    """
    former = find_outputs(folder, stem, filename)
    if former:
        former |= find_f0_files(folder, stem, filename)
    kept = [path for path in keep if path.exists()]
    removed = sorted(
        path
        for path in former - {*files}
        if not any(path.samefile(other) or path.parent.samefile(other) for other in kept)
    )
    for path in removed:
        log.info("removing %s, a file of the earlier result", path)
    return removed
