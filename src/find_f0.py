"""Estimate F0 tracks, or write tracks that are there in other formats.

`umss f0 input=choir.wav n_singers=4`, `umss f0 input=choir_f0.csv formats=[tony,midi]`
"""

from __future__ import annotations

import logging
from pathlib import Path

from hydra.utils import instantiate
from omegaconf import DictConfig

from .cli import launch
from .f0.contour_files import F0_SUFFIXES, read_f0, rename_singers
from .f0.estimate import (
    F0Estimator,
    choose_singer_names,
    estimate_file,
    expect_parts,
    settle_number,
)
from .f0.score.reading import SCORE_SUFFIXES, read_score
from .files import check_existing, name_failed_file
from .formats.midi import check_bend
from .formats.write import (
    check_formats,
    find_f0_files,
    name_f0_files,
    remove_empty_folders,
    write_formats,
)
from .plots import draw_salience, save_figure
from .progress import show_bar
from .staging import stage

log = logging.getLogger(__name__)


def main(cfg: DictConfig) -> None:
    check_formats(cfg.formats or ())
    check_bend(cfg.midi_bend)
    path = Path(cfg.input)
    if path.is_dir() or path.suffix.lower() in (*F0_SUFFIXES, *SCORE_SUFFIXES):
        convert(cfg)
    else:
        estimate(cfg)


def estimate(cfg: DictConfig) -> None:
    """Estimate the F0 of a recording."""
    path, folder = Path(cfg.input), Path(cfg.output)
    names = None if cfg.names is None else list(cfg.names)
    parts = None if cfg.score_parts is None else list(cfg.score_parts)
    settle_number(cfg.n_singers, names)
    wanted = expect_parts(cfg.n_singers)
    score = None if cfg.score is None else read_score(cfg.score, wanted, parts)
    number = settle_number(cfg.n_singers, names, score)
    labels = () if number is None else choose_singer_names(number, names, score)
    png = folder / f"{path.stem}_f0.png"
    pictures = [png] if cfg.plot else []
    # Estimation is slow, so files in the way are reported first.
    paths = name_f0_files(folder, path.stem, labels, cfg.formats or ())
    check_existing([*paths.values(), *pictures], overwrite=cfg.overwrite)
    estimator: F0Estimator = instantiate(cfg.multif0)
    who = "the singers" if number is None else f"{number} singers"
    log.info("estimating the F0 of %s in %s", who, path)
    with show_bar(f"estimating F0: {path.name}", wanted=cfg.progress):
        estimate = estimate_file(
            path, estimator, cfg.n_singers, names, score=score, alignment=cfg.score_alignment
        )
    for message in estimate.list_messages():
        log.warning(message)
    # Singers who were counted have names, and some formats files, only now.
    paths = name_f0_files(folder, path.stem, estimate.contours.names, cfg.formats or ())
    outputs = [*paths.values(), *pictures]
    check_existing(outputs, overwrite=cfg.overwrite)
    former = find_f0_files(folder, path.stem) | {folder / f"{path.stem}_f0.csv", png}
    removed = sorted(p for p in former - set(outputs) if cfg.overwrite and p.exists())
    with stage(folder, f"{path.stem}_f0") as place, name_failed_file(folder / path.stem):
        write_formats(
            paths,
            estimate.contours,
            path.stem,
            tempo=cfg.tempo,
            bend=cfg.midi_bend,
            place=place.place,
        )
        if cfg.plot:
            figure = draw_salience(estimate.salience, estimate.contours, title=path.name)
            save_figure(place.place(png), figure)
        place.publish(outputs, remove=removed)
    remove_empty_folders(folder, path.stem)
    for written in outputs:
        log.info("wrote %s", written)


def convert(cfg: DictConfig) -> None:
    """Write the F0 of a file or folder in other formats."""
    path, folder = Path(cfg.input), Path(cfg.output)
    parts = None if cfg.score_parts is None else list(cfg.score_parts)
    score = path.suffix.lower() in SCORE_SUFFIXES and not path.is_dir()
    contours = read_score(path, parts=parts) if score else read_f0(path)
    if cfg.names is not None:
        contours = rename_singers(path, contours, list(cfg.names))
    stem = path.name if path.is_dir() else path.stem
    for end in ("_f0", "_notes", "_tony", "_crepe"):
        stem = stem.removesuffix(end) or stem
    paths = name_f0_files(folder, stem, contours.names, cfg.formats or ())
    check_existing(paths.values(), overwrite=cfg.overwrite)
    with stage(folder, f"{stem}_f0") as place, name_failed_file(folder / stem):
        write_formats(paths, contours, stem, tempo=cfg.tempo, bend=cfg.midi_bend, place=place.place)
        place.publish(paths.values())
    for written in paths.values():
        log.info("wrote %s", written)


if __name__ == "__main__":
    launch("f0")
