"""Estimate F0 tracks: `umss f0 input=choir.wav n_singers=4`."""

from __future__ import annotations

import logging
from pathlib import Path

from hydra.utils import instantiate
from omegaconf import DictConfig

from .cli import launch
from .f0.contours import write_f0
from .f0.estimate import F0Estimator, choose_singer_names, estimate_file
from .f0.score.reading import read_score
from .files import check_existing
from .plots import draw_salience, save_figure

log = logging.getLogger(__name__)


def main(cfg: DictConfig) -> None:
    path, folder = Path(cfg.input), Path(cfg.output)
    csv, png = folder / f"{path.stem}_f0.csv", folder / f"{path.stem}_f0.png"
    check_existing([csv, png] if cfg.plot else [csv], overwrite=cfg.overwrite)
    names = None if cfg.names is None else list(cfg.names)
    choose_singer_names(cfg.n_singers, names)
    score = None
    if cfg.score is not None:
        parts = None if cfg.score_parts is None else list(cfg.score_parts)
        score = read_score(cfg.score, cfg.n_singers, parts)
    estimator: F0Estimator = instantiate(cfg.multif0)
    log.info("estimating the F0 of %d singers in %s", cfg.n_singers, path)
    estimate = estimate_file(
        path, estimator, cfg.n_singers, names, score=score, alignment=cfg.score_alignment
    )
    for warning in estimate.warnings:
        log.warning("warning: %s", warning)
    write_f0(csv, estimate.contours, overwrite=cfg.overwrite)
    log.info("wrote %s", csv)
    if cfg.plot:
        figure = draw_salience(estimate.salience, estimate.contours, title=path.name)
        save_figure(png, figure, overwrite=cfg.overwrite)
        log.info("wrote %s", png)


if __name__ == "__main__":
    launch("f0")
