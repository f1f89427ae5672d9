"""Estimate F0 tracks: `umss f0 input=choir.wav n_singers=4`."""

from __future__ import annotations

import logging
from pathlib import Path

from hydra.utils import instantiate
from omegaconf import DictConfig

from .cli import launch
from .f0.contours import write_f0
from .f0.estimate import F0Estimator, estimate_file, settle_number
from .f0.score.reading import read_score
from .files import check_existing
from .plots import draw_salience, save_figure
from .staging import stage

log = logging.getLogger(__name__)


def main(cfg: DictConfig) -> None:
    path, folder = Path(cfg.input), Path(cfg.output)
    csv, png = folder / f"{path.stem}_f0.csv", folder / f"{path.stem}_f0.png"
    outputs = [csv, png] if cfg.plot else [csv]
    check_existing(outputs, overwrite=cfg.overwrite)
    names = None if cfg.names is None else list(cfg.names)
    number = settle_number(cfg.n_singers, names)
    score = None
    if cfg.score is not None:
        parts = None if cfg.score_parts is None else list(cfg.score_parts)
        score = read_score(cfg.score, None if cfg.n_singers == "auto" else cfg.n_singers, parts)
    estimator: F0Estimator = instantiate(cfg.multif0)
    who = "the singers" if number is None else f"{number} singers"
    log.info("estimating the F0 of %s in %s", who, path)
    estimate = estimate_file(
        path, estimator, cfg.n_singers, names, score=score, alignment=cfg.score_alignment
    )
    for message in estimate.list_messages():
        log.warning(message)
    with stage(folder, f"{path.stem}_f0") as place:
        write_f0(place.place(csv), estimate.contours)
        if cfg.plot:
            figure = draw_salience(estimate.salience, estimate.contours, title=path.name)
            save_figure(place.place(png), figure)
        place.publish(outputs, remove=[] if cfg.plot or not png.exists() else [png])
    for written in outputs:
        log.info("wrote %s", written)


if __name__ == "__main__":
    launch("f0")
