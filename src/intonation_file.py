"""How well an ensemble sang: `umss intonation choir_f0.csv`, or of a separation or a recording."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
from hydra.utils import instantiate
from omegaconf import DictConfig

from .cli import launch
from .errors import UmssError
from .f0.contour_files import F0_SUFFIXES, read_f0, rename_singers
from .f0.contours import F0Contours
from .f0.estimate import estimate_file, expect_parts, settle_number
from .f0.names import shorten
from .f0.score.reading import SCORE_SUFFIXES, ScoreError, read_score
from .files import check_existing
from .intonation.files import name_files
from .intonation.measures import measure_intonation
from .intonation.summary import summarise
from .resynthesis import ParametersError, read_parameters

PARAMETERS = "_parameters.npz"

log = logging.getLogger(__name__)


def main(cfg: DictConfig) -> None:
    path = find_input(Path(cfg.input))
    stem = path.name if path.is_dir() else path.stem
    for end in ("_parameters", "_f0"):
        stem = stem.removesuffix(end) or stem
    paths = name_files(Path(cfg.output), stem)
    check_existing(paths.values(), overwrite=cfg.overwrite)
    parts = None if cfg.score_parts is None else list(cfg.score_parts)
    if path.is_dir() or path.suffix.lower() in F0_SUFFIXES:
        contours = read_f0(path)
    elif path.name.endswith(".npz"):
        contours = read_tuned_f0(path)
    else:
        contours = estimate(cfg, path, parts)
    if cfg.names is not None:
        contours = rename_singers(path, contours, list(cfg.names))
    try:
        measures = measure_intonation(
            contours,
            score=cfg.score,
            score_parts=parts,
            score_alignment=cfg.score_alignment,
            harmonic_seventh=cfg.harmonic_seventh,
            min_confidence=cfg.min_confidence,
        )
    except ScoreError as error:
        named = str(error) if str(cfg.score) in str(error) else f"{cfg.score}: {error}"
        raise ScoreError(named) from error
    except UmssError as error:
        raise UmssError(f"{path}: {error}") from error
    for line in summarise(measures).splitlines():
        log.info(line)
    for written in measures.save(cfg.output, stem, overwrite=cfg.overwrite).values():
        log.info("wrote %s", written)


def find_input(path: Path) -> Path:
    """Find what to measure: in the folder of a separation, its parameters.

    Raises:
        UmssError: a score, or a folder with the parameters of several recordings.
    """
    if path.suffix.lower() in SCORE_SUFFIXES and not path.is_dir():
        raise UmssError(
            f"{path}: this is a score, and a score is always in tune; give it as score=, and the "
            "recording or its F0 as input="
        )
    if not path.is_dir():
        return path
    found = sorted(path.glob(f"[!.]*{PARAMETERS}"))
    if len(found) > 1:
        names = ", ".join(shorten(file.name) for file in found[:5])
        raise UmssError(f"{path}: holds several separations ({names}); give one of these files")
    return found[0] if found else path


def read_tuned_f0(path: Path) -> F0Contours:
    """Read the F0 of a separation, as it was tuned, with its confidence.

    Raises:
        ParametersError: the file cannot be used.
    """
    arrays = read_parameters(path)
    f0 = arrays.get("f0", np.zeros(0))
    names = tuple(str(name) for name in np.atleast_1d(arrays.get("names", np.zeros(0))))
    if f0.ndim != 2 or len(f0) != len(names) or not f0.size:
        raise ParametersError(
            f"{path}: its F0 tracks are missing, or do not fit its names; separate the recording "
            "again"
        )
    confidence = arrays.get("identity_confidence")
    if confidence is not None:
        confidence = confidence[..., 0].T if confidence.shape == (*f0.shape, 1) else None
    return F0Contours.on_grid(np.ascontiguousarray(f0.T), names, confidence=confidence)


def estimate(cfg: DictConfig, path: Path, parts: list[str | int] | None) -> F0Contours:
    """Estimate the F0 of a recording, as `umss f0` does."""
    names = None if cfg.names is None else list(cfg.names)
    settle_number(cfg.n_singers, names)
    score = None
    if cfg.score is not None:
        score = read_score(cfg.score, expect_parts(cfg.n_singers), parts)
    log.info("estimating the F0 of the singers in %s", path)
    found = estimate_file(
        path,
        instantiate(cfg.multif0),
        cfg.n_singers,
        names,
        score=score,
        alignment=cfg.score_alignment,
    )
    for message in found.list_messages():
        log.warning(message)
    return found.contours


if __name__ == "__main__":
    launch("intonation")
