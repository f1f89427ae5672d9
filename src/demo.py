"""A demonstration on generated singers and, if given, a recording: `make demo`."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from numpy.typing import NDArray
from omegaconf import DictConfig
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from .audio import examine_audio, load_mono
from .baselines.masks import CombSeparator, MixtureSeparator, OracleSeparator
from .cli import launch
from .data.datamodule import MixtureDataModule
from .data.prepared import F0Kind, PreparedSong
from .dsp.tracks import RATE
from .f0.contour_files import read_contours, write_f0
from .f0.contours import F0Contours
from .f0.estimate import F0Estimate, F0Estimator, choose_singer_names, estimate_file
from .listening.content import Page, Recording, Scores
from .listening.page import write_page
from .listening.results import describe_recording
from .metrics.evaluation import evaluate, summarise
from .models.umss import UmssSeparator
from .plots import draw_salience, save_figure
from .separate_file import separate_file
from .separator import Separator
from .train import train
from .wav_writing import write_wav_atomic

# Peak below which a residual is rounding, not sound: -90 dB of full scale.
INAUDIBLE = 10 ** (-90 / 20)


@dataclass(frozen=True)
class Example:
    """One separated recording: how it is heard, its files, and warnings about estimated F0."""

    recording: Recording
    mixture: Path
    files: list[Path]
    warnings: list[str] = field(default_factory=list)


def evaluate_all(data: MixtureDataModule, methods: dict[str, Separator]) -> dict[str, Any]:
    """Evaluate all methods on the held-out mixtures with noise seed 0; summaries by method."""
    return {
        name: summarise(evaluate(method, data.test_dataloader(), seeds=[0], bss=False))
        for name, method in methods.items()
    }


def build_data_module(cfg: DictConfig, f0: str) -> MixtureDataModule:
    """Build the data module of the held-out mixtures with one kind of F0, set up for testing."""
    settings = copy.deepcopy(cfg.data)
    settings.f0 = f0
    data: MixtureDataModule = instantiate(settings, _convert_="all")
    data.require_stems("evaluate")
    data.prepare("test")
    data.setup("test")
    return data


def list_scores(results: dict[str, Any]) -> Scores:
    """List the SI-SDR of all methods, overall and per voice."""
    voices = list(next(iter(results.values()))["si_sdr"]["voices"])
    rows = []
    for name, result in results.items():
        scores = result["si_sdr"]
        means = [scores["voices"][voice]["mean"] for voice in voices]
        rows.append([name, *(f"{v:.2f}" for v in (scores["mean"], scores["median"], *means))])
    caption = "SI-SDR in dB on held-out mixtures (more is better)"
    return Scores(caption, ["method", "mean", "median", *voices], rows)


def build_table(scores: Scores) -> Table:
    """Build a table for the terminal."""
    table = Table(title=scores.caption)
    for k, column in enumerate(scores.columns):
        table.add_column(column, justify="right" if k else "left")
    for row in scores.rows:
        table.add_row(*map(escape, row))
    return table


def write_recording(
    song: PreparedSong, kind: F0Kind, folder: Path
) -> tuple[Path, F0Contours, dict[str, NDArray[np.float32]]]:
    """Write a song's mixture as a WAV file and read its F0 tracks, as a user would supply them.

    Returns:
        The file, the tracks, and the true stems [T] by part, as loud as in the mixture.
    """
    stems = np.stack([song.audio(key) for key in song.keys])
    mix = stems.sum(axis=0)
    f0: NDArray[np.float32] = song.f0(song.keys, kind)
    contours = F0Contours.on_grid(f0, tuple(part for part, _ in song.keys))
    path = folder / f"{song.name}.wav"
    peak = np.abs(mix).max()
    write_wav_atomic(path, mix / peak, RATE, overwrite=True)
    write_f0(path.with_suffix(".csv"), contours, overwrite=True)
    return path, contours, dict(zip(contours.names, stems / peak, strict=True))


def separate_example(
    title: str,
    path: Path,
    f0: F0Contours | F0Estimate,
    separator: Separator,
    folder: Path,
    *,
    references: dict[str, NDArray[np.float32]] | None = None,
) -> Example:
    """Separate a recording by given or estimated F0; estimated F0 is drawn on its salience."""
    estimate = f0 if isinstance(f0, F0Estimate) else None
    contours = f0.contours if isinstance(f0, F0Estimate) else f0
    files = separate_file(
        path, contours, separator, folder, overwrite=True, with_f0=estimate is not None
    )
    written = [file for file in files.values() if file.suffix == ".wav"]
    warnings = [] if estimate is None else estimate.warnings
    if estimate is not None:
        figure = draw_salience(estimate.salience, contours, title=f"{path.stem}: estimated F0")
        written.append(folder / f"{path.stem}_f0.png")
        save_figure(written[-1], figure, overwrite=True)
    residual: Path | None = files["residual"]
    if np.abs(load_mono(files["residual"], RATE)).max() < INAUDIBLE:
        residual = None
    found = examine_audio(path, listened=False)
    recording = describe_recording(
        f"{title}: {path.stem}",
        found.rate,
        path,
        {name: files[name] for name in contours.names},
        residual,
        contours,
        seconds=found.frames / found.rate,
        references=references,
        warnings=warnings,
    )
    return Example(recording, path, written, warnings)


def read_user_recording(cfg: DictConfig) -> tuple[Path, F0Contours | None] | None:
    """Read the user's own recording and F0 tracks first, so that mistakes show before long work.

    Returns:
        The recording and its tracks (None if they must be estimated); None without a recording.

    Raises:
        UmssError: the recording, its F0 file or the number of singers cannot be used.
    """
    if cfg.input is None:
        return None
    path = Path(cfg.input)
    load_mono(path, RATE)
    if cfg.f0 is not None or path.with_suffix(".csv").is_file():
        return path, read_contours(Path(cfg.f0 or path.with_suffix(".csv")))
    choose_singer_names(cfg.input_singers)
    return path, None


def estimate_tracks(
    path: Path, cfg: DictConfig, n_singers: int, names: Sequence[str] | None
) -> F0Estimate:
    """Estimate the F0 of a recording with the configured estimator."""
    estimator: F0Estimator = instantiate(cfg.multif0)
    return estimate_file(path, estimator, n_singers, names)


def describe_page(examples: Sequence[Example], scores: Scores) -> Page:
    """Describe the page to listen to: the examples, and the table of scores."""
    return Page(
        "Separated singers",
        [example.recording for example in examples],
        "Four singers, taken from one mono mixture. The model was trained on mixtures and F0 "
        "tracks only, never on isolated voices; F0 is exact, or estimated from the mixture alone "
        "where the title says so.",
        scores,
    )


def main(cfg: DictConfig) -> None:
    console = Console()
    output = Path(HydraConfig.get().runtime.output_dir)
    try:
        own = read_user_recording(cfg)
    except ValueError as error:
        own = None
        console.print(f"[bold]Your recording is left out:[/bold] {escape(str(error))}")
    console.rule("1/4  Generate a choir and train on its mixtures")
    console.print(
        f"The singing of the chorales takes under a minute, the training {cfg.trainer.max_time} "
        "(days:hours:minutes:seconds). No stem is used in training."
    )
    # A very short training ends before there is a best one.
    best = train(cfg, output)["best_checkpoint"] or output / "checkpoints" / "last.ckpt"

    console.rule("2/4  Evaluate on held-out chorales")
    data = build_data_module(cfg, cfg.data.f0)
    separator = UmssSeparator(best, mask="magnitude")
    fit: Separator = instantiate(cfg.separator)
    results = evaluate_all(
        data,
        {
            "mixture (lower bound)": MixtureSeparator(),
            "comb (F0 only)": CombSeparator(),
            "trained model": separator,
            "fit (nothing trained here)": fit,
            "oracle masks (upper bound of masking)": OracleSeparator(),
        },
    )
    results |= evaluate_all(
        build_data_module(cfg, "estimated"),
        {
            "comb, estimated F0": CombSeparator(),
            "model, estimated F0": separator,
        },
    )
    scores = list_scores(results)
    console.print(build_table(scores))

    console.rule("3/4  Separate")
    song = data.prepare("test").song(data.choose_split(data.build_reader()).test[0])
    recording, contours, stems = write_recording(song, data.f0, output / "held_out")
    found = estimate_tracks(recording, cfg, contours.n_singers, contours.names)
    examples = [
        separate_example(
            "A held-out chorale, exact F0",
            recording,
            contours,
            separator,
            output / "held_out",
            references=stems,
        ),
        separate_example(
            "The same from the bare recording, F0 estimated",
            recording,
            found,
            separator,
            output / "held_out_estimated",
            references=stems,
        ),
    ]
    if own is not None:
        path, given = own
        tracks = given or estimate_tracks(path, cfg, cfg.input_singers, None)
        examples.append(
            separate_example("Your recording", path, tracks, fit, output / "your_recording")
        )
    for example in examples:
        for warning in example.warnings:
            console.print(f"[bold]{escape(example.mixture.name)}:[/bold] {escape(warning)}")
        for file in example.files:
            console.print(f"wrote {file}", soft_wrap=True, highlight=False)

    console.rule("4/4  A page to listen to")
    page = output / "index.html"
    write_page(page, describe_page(examples, scores), overwrite=True)
    console.print(f"Open {page.resolve()} in a browser.", soft_wrap=True, highlight=False)


if __name__ == "__main__":
    launch("demo")
