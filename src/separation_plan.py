"""What a separation will do, as far as its settings say: checked and told before the work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig

from .chosen_stems import Chosen, check_choice, suggest_names
from .chunks import Grid
from .errors import UmssError
from .f0.contour_files import read_contours
from .f0.contours import F0Contours
from .f0.estimate import choose_singer_names, expect_parts, settle_number
from .f0.score.reading import SCORE_SUFFIXES, read_score
from .filenames import check_filename
from .files import check_folder
from .formats.write import check_formats
from .named_files import name_files
from .writing.writer import Format


def check(cfg: DictConfig) -> None:
    """Refuse settings that cannot be met, before anything is loaded.

    Raises:
        UmssError: names the setting.
    """
    if cfg.n_singers != "auto" and not 1 <= cfg.n_singers <= 32:
        raise UmssError(f"n_singers={cfg.n_singers}: give a number from 1 to 32, or auto")
    Grid.of(cfg.window_seconds, cfg.overlap_seconds, cfg.chunk_seconds)
    check_folder(Path(cfg.output))
    check_formats(cfg.f0_formats or ())
    Format(cfg.format, cfg.bitrate)
    check_filename(cfg.filename)
    check_choice(cfg.only, cfg.two_stems)
    if cfg.names is not None:
        Chosen.of(list(cfg.names), cfg.only, cfg.two_stems)


def has_tracks(cfg: DictConfig) -> bool:
    """Whether `cfg.f0` is a table of F0; otherwise F0 is estimated, perhaps by a score."""
    return cfg.f0 is not None and Path(cfg.f0).suffix.lower() not in SCORE_SUFFIXES


@dataclass(frozen=True, eq=False)
class Singers:
    """The singers whose F0 is estimated, as far as they are known.

    Attributes:
        names: as given, or as the files asked for suggest; None = by the score, or counted.
        score: as tracks, if there is one.
        labels: what they will be called; empty where they must be counted first.
    """

    names: list[str] | None
    score: F0Contours | None
    labels: tuple[str, ...]

    @classmethod
    def of(cls, cfg: DictConfig) -> Singers:
        """The singers by the settings of a separation, and by its score.

        Raises:
            UmssError: settings or a score that cannot be used.
        """
        names = None if cfg.names is None else list(cfg.names)
        if cfg.f0 is None:
            wanted = [*(cfg.only or ()), *([] if cfg.two_stems is None else [cfg.two_stems])]
            names = suggest_names(wanted, cfg.n_singers, names)
        parts = None if cfg.score_parts is None else list(cfg.score_parts)
        settle_number(cfg.n_singers, names)
        score = None if cfg.f0 is None else read_score(cfg.f0, expect_parts(cfg.n_singers), parts)
        number = settle_number(cfg.n_singers, names, score)
        labels = () if number is None else choose_singer_names(number, names, score)
        return cls(names, score, labels)


def name_results(cfg: DictConfig, labels: tuple[str, ...]) -> dict[str, Path]:
    """Name the files that a separation will write, those of singers where `labels` has them."""
    paths = name_files(
        Path(cfg.output),
        Path(cfg.input).stem,
        labels,
        ending=Format(cfg.format, cfg.bitrate).ending,
        filename=cfg.filename,
        only=cfg.only if labels else None,
        two_stems=cfg.two_stems if labels else None,
        with_f0=not has_tracks(cfg),
        synthesised=cfg.synthesised,
        page=cfg.page,
        f0_formats=cfg.f0_formats or (),
    ).paths
    if not labels and (cfg.only is not None or cfg.two_stems is not None):
        del paths["residual"]
    return paths


def list_inputs(cfg: DictConfig, others: Sequence[Path] = ()) -> list[Path]:
    """What is read beside the recording: its F0 or score, and other recordings."""
    return [*others, *([] if cfg.f0 is None else [Path(cfg.f0)])]


def foresee(cfg: DictConfig) -> dict[str, Path]:
    """Name the files that a separation will write, as far as the singers are known before it."""
    if not has_tracks(cfg):
        return name_results(cfg, Singers.of(cfg).labels)
    number = None if cfg.n_singers == "auto" else cfg.n_singers
    return name_results(cfg, read_contours(Path(cfg.f0), number).names)
