"""From one recording to one file per singer: `umss separate input=choir.wav n_singers=4`."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import soundfile as sf
from hydra.utils import instantiate
from numpy.typing import NDArray
from omegaconf import DictConfig
from rich.progress import track

from .audio import open_audio
from .chunks import Grid, Piece, separate_chunks
from .errors import UmssError
from .f0.contours import ContourError, F0Contours, read_contours, write_f0
from .f0.estimate import F0Estimator, choose_singer_names, estimate_file
from .f0.score.reading import SCORE_SUFFIXES, read_score
from .files import check_existing
from .outputs import name_outputs, write_parameters
from .separator import Separator

log = logging.getLogger(__name__)


def separate_file(
    path: Path,
    contours: F0Contours,
    separator: Separator,
    folder: Path,
    *,
    window_seconds: float = 9.0,
    overlap_seconds: float = 1.0,
    chunk_seconds: float = 9.0,
    seed: int = 0,
    overwrite: bool = False,
    progress: bool = True,
    with_f0: bool = False,
) -> dict[str, Path]:
    """Separate a file chunk by chunk into one file per singer, the residual and the parameters.

    Files are 32-bit float WAV with the input's sample rate and channels. They appear in `folder`
    when all are complete; a failed run leaves nothing behind. `with_f0` also writes the F0 tracks
    as a CSV file.

    Returns:
        The files by singer name, "residual", "parameters" and "f0".

    Raises:
        AudioError: the input is missing, unreadable or empty.
        OutputExistsError: an output exists and `overwrite` is false.
        UmssError: other unusable input.
    """
    paths = name_outputs(folder, path.stem, contours.names, with_f0=with_f0)
    check_existing(paths.values(), overwrite=overwrite)
    source = open_audio(path)
    folder.mkdir(parents=True, exist_ok=True)
    with source, tempfile.TemporaryDirectory(dir=folder, prefix=f".{path.stem}-") as scratch:
        seconds = source.frames / source.samplerate
        _compare_lengths(path, seconds, contours)

        def read(n: int) -> NDArray[np.float32]:
            block: NDArray[np.float32] = source.read(n, dtype="float32", always_2d=True).T
            return np.ascontiguousarray(block)

        pieces: Iterable[Piece] = separate_chunks(
            read,
            source.samplerate,
            contours,
            separator,
            window_seconds=window_seconds,
            overlap_seconds=overlap_seconds,
            chunk_seconds=chunk_seconds,
            seed=seed,
        )
        if progress:
            total = Grid.of(window_seconds, overlap_seconds, chunk_seconds).count(seconds)
            pieces = track(pieces, f"separating {path.name}", total=total, transient=True)
        temporary = {name: Path(scratch) / p.name for name, p in paths.items()}
        _write(pieces, temporary, contours, source, separator)
        if with_f0:
            write_f0(temporary["f0"], contours)
        for name, target in paths.items():
            os.replace(temporary[name], target)
    return paths


def _write(
    pieces: Iterable[Piece],
    paths: dict[str, Path],
    contours: F0Contours,
    source: sf.SoundFile,
    separator: Separator,
) -> None:
    """Write the pieces of all singers, the residual and the parameters."""
    labels = [*contours.names, "residual"]
    outputs = [
        sf.SoundFile(
            paths[label], "w", source.samplerate, source.channels, subtype="FLOAT", format="WAV"
        )
        for label in labels
    ]
    spool = _Spool(paths["parameters"].parent)
    try:
        for piece in pieces:
            for output, signal in zip(outputs, [*piece.stems, piece.residual], strict=True):
                output.write(signal.T)
            spool.append({**piece.parameters, "f0": piece.f0})
    finally:
        for output in outputs:
            output.close()
    write_parameters(
        paths["parameters"],
        contours.names,
        spool.join(),
        frames_per_second=separator.rate / separator.hop,
    )


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


def _compare_lengths(path: Path, seconds: float, contours: F0Contours) -> None:
    if contours.times[0] > seconds:
        raise ContourError(
            f"the F0 starts at {contours.times[0]:.1f} s, after the end of {path} "
            f"({seconds:.1f} s); does it belong to this recording?"
        )
    if abs(contours.duration - seconds) > 1.0:
        log.warning(
            "the F0 ends at %.1f s, %s at %.1f s; singers are silent where F0 is missing",
            contours.duration,
            path.name,
            seconds,
        )


def estimate_contours(cfg: DictConfig) -> F0Contours:
    """Estimate the F0 tracks of the recording; if `cfg.f0` is a score, it guides the estimation.

    Raises:
        UmssError: unusable recording, settings or score, or no singing in the recording.
        OutputExistsError: an output exists and `cfg.overwrite` is false.
    """
    path = Path(cfg.input)
    names = None if cfg.names is None else list(cfg.names)
    parts = None if cfg.score_parts is None else list(cfg.score_parts)
    choose_singer_names(cfg.n_singers, names)
    score = None if cfg.f0 is None else read_score(cfg.f0, cfg.n_singers, parts)
    labels = choose_singer_names(cfg.n_singers, names, score)
    # Estimation is slow, so problems that would stop the separation are reported first.
    paths = name_outputs(Path(cfg.output), path.stem, labels, with_f0=True)
    check_existing(paths.values(), overwrite=cfg.overwrite)
    open_audio(path).close()
    estimator: F0Estimator = instantiate(cfg.multif0)
    log.info("estimating the F0 of %d singers", cfg.n_singers)
    estimate = estimate_file(
        path, estimator, cfg.n_singers, names, score=score, alignment=cfg.score_alignment
    )
    for warning in estimate.warnings:
        log.warning("warning: %s", warning)
    return estimate.contours


def main(cfg: DictConfig) -> None:
    if not 1 <= cfg.n_singers <= 32:
        raise UmssError(f"n_singers={cfg.n_singers}: give a number from 1 to 32")
    separator: Separator = instantiate(cfg.separator)
    if separator.needs_sources:
        raise UmssError(
            "an oracle needs the true stems and cannot separate a recording; use "
            "separator=fit or separator=umss"
        )
    given = cfg.f0 is not None and Path(cfg.f0).suffix.lower() not in SCORE_SUFFIXES
    contours = read_contours(Path(cfg.f0), cfg.n_singers) if given else estimate_contours(cfg)
    paths = separate_file(
        Path(cfg.input),
        contours,
        separator,
        Path(cfg.output),
        window_seconds=cfg.window_seconds,
        overlap_seconds=cfg.overlap_seconds,
        chunk_seconds=cfg.chunk_seconds,
        seed=cfg.seed,
        overwrite=cfg.overwrite,
        with_f0=not given,
    )
    for written in paths.values():
        log.info("wrote %s", written)
