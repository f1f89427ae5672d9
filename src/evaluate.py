"""Evaluate a separator: `umss evaluate separator=comb data=csd data.root=DIR`."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import multiprocessing
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table

from .cli import launch
from .data.datamodule import MixtureDataModule
from .data.readers.base import RATE
from .errors import OutputExistsError, UmssError, shorten_reason
from .f0.errors import F0Errors, perturb_batches
from .files import check_folder, write_json, write_text
from .listening.excerpts import describe_excerpts
from .listening.files import EVALUATION, find_page, tidy_folder
from .listening.page import build_page
from .metrics.bss import choose_bss_engine
from .metrics.evaluation import evaluate, summarise
from .metrics.frames import SnrSettings
from .metrics.sharding import Task, evaluate_sharded
from .metrics.speed import Stopwatch
from .metrics.tables import FRAMES, SUMMARY, find_difference
from .separator import Separator
from .staging import stage

log = logging.getLogger(__name__)

# Fields of a summary that identify the evaluation.
IDENTITY = (
    "name",
    "separator",
    "checkpoint_sha256",
    "protocol",
    "configured_seeds",
    "seed",
    "bss",
    "f0_errors",
)


def to_plain(node: Any) -> Any:
    """Convert a part of the configuration to plain values for the summary."""
    return OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node


def describe_protocol(data: MixtureDataModule, multif0: DictConfig | None = None) -> dict[str, Any]:
    """Describe the settings that two evaluations must share for their scores to be comparable.

    Args:
        data: the data module.
        multif0: configuration of the F0 estimator; used only if F0 is estimated.
    """
    reader = data.build_reader()
    split = data.choose_split(reader)
    return {
        "data": data.reader_name,
        "options": reader.options(),
        "n_singers": data.n_singers,
        "f0": data.f0,
        **({"multif0": to_plain(multif0)} if data.f0 == "estimated" else {}),
        "excerpt_seconds": data.excerpt_samples / RATE,
        "test_first_excerpt": data.test_first_excerpt,
        "test_start_offset": data.test_start_offset,
        "singers": split.test_singers or data.singers,
        "cross_singers": data.test_cross_singers,
        "songs": sorted(split.test),
    }


def describe_identity(
    cfg: DictConfig, protocol: dict[str, Any], errors: F0Errors
) -> dict[str, Any]:
    """Collect the fields of the summary that identify an evaluation, as JSON restores them."""
    checkpoint = cfg.separator.get("checkpoint")
    fields: dict[str, Any] = {
        "name": cfg.name,
        "separator": to_plain(cfg.separator),
        "protocol": protocol,
        "configured_seeds": to_plain(cfg.seeds),
        "seed": cfg.seed,
        "bss": choose_bss_engine(cfg.bss),
    }
    if checkpoint is not None and Path(checkpoint).is_file():
        # The same path may hold another model later.
        fields["checkpoint_sha256"] = hashlib.sha256(Path(checkpoint).read_bytes()).hexdigest()
    if errors.any:
        fields["f0_errors"] = asdict(errors)
    return dict(json.loads(json.dumps(fields)))


def find_existing(output: Path, identity: dict[str, Any], *, skip: bool) -> dict[str, Any] | None:
    """Find a finished evaluation in `output` that can be kept.

    Args:
        output: folder of the evaluation.
        identity: the wanted evaluation, see `describe_identity`.
        skip: keep an evaluation with the same identity instead of raising an error.

    Returns:
        Its summary, or None if the evaluation has to be run.

    Raises:
        OutputExistsError: there is one and `skip` is false, or it is a different one.
    """
    frames, summary = output / FRAMES, output / SUMMARY
    if not skip:
        if frames.exists() or summary.exists():
            raise OutputExistsError(
                f"{output}: holds an evaluation; set overwrite=true or choose another output"
            )
        return None
    if not summary.exists():
        return None
    try:
        content = json.loads(summary.read_text(encoding="utf-8"))
        content["si_sdr"]["mean"], content["name"]
    except (ValueError, OSError, LookupError, TypeError, RecursionError) as error:
        raise OutputExistsError(
            f"{summary}: not readable ({shorten_reason(error)}); set overwrite=true or choose "
            "another output"
        ) from error
    stored = {key: content[key] for key in IDENTITY if key in content}
    difference = find_difference(stored, identity, names=("that one", "this one"))
    if difference is not None:
        raise OutputExistsError(
            f"{output}: holds another evaluation ({difference}); set overwrite=true or choose "
            "another output"
        )
    return content if frames.exists() else None


def show(summary: dict[str, Any], title: str) -> None:
    """Print SI-SDR overall and per voice."""
    table = Table(title=title)
    for column in ("voice", "mean", "median", "q25", "q75", "frames"):
        table.add_column(column, justify="left" if column == "voice" else "right")
    rows = {"all": summary["si_sdr"], **summary["si_sdr"]["voices"]}
    for voice, s in rows.items():
        numbers = ["-" if s[k] is None else f"{s[k]:.2f}" for k in ("mean", "median", "q25", "q75")]
        table.add_row(escape(voice), *numbers, str(s["n"]))
    Console().print(table)


def score(
    cfg: DictConfig, separator: Separator, data: MixtureDataModule, errors: F0Errors
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Score every frame in `cfg.workers` processes.

    Returns:
        The table of frames (see `src.metrics.evaluation.evaluate`) and the measures of `Stopwatch`.
    """
    loader = data.test_dataloader()
    snr: SnrSettings = SnrSettings(**to_plain(cfg.spectral_snr))
    device = str(separator.device)
    if cfg.workers > 1:
        task = Task.of(
            loader,
            separator=to_plain(cfg.separator),
            seeds=list(cfg.seeds),
            bss=cfg.bss,
            errors=errors,
            errors_seed=cfg.seed,
            snr=snr,
        )
        threads = cfg.threads or max(1, torch.get_num_threads() // cfg.workers)
        return evaluate_sharded(task, workers=cfg.workers, threads=threads, device=device)
    batches: Iterable[dict[str, Any]] = track(loader, "evaluating", transient=True)
    if errors.any:
        batches = perturb_batches(batches, errors, cfg.seed)
    stopwatch = Stopwatch(device)
    frames = evaluate(
        separator, batches, seeds=list(cfg.seeds), bss=cfg.bss, snr=snr, stopwatch=stopwatch
    )
    return frames, {**stopwatch.summarise(), "workers": 1}


def check_processes(cfg: DictConfig) -> None:
    """Refuse numbers of processes, threads or excerpts that make no sense.

    Raises:
        UmssError: names the setting.
    """
    if not isinstance(cfg.workers, int) or cfg.workers < 1:
        raise UmssError(f"workers={cfg.workers}: give the number of processes, 1 or more")
    known = (None, *multiprocessing.get_all_start_methods())
    if cfg.workers > 1 and multiprocessing.get_start_method(allow_none=True) not in known:
        # Processes of joblib's own kind cannot start ordinary ones.
        raise UmssError(
            f"workers={cfg.workers} does not work inside hydra/launcher=joblib; set workers=1 and "
            "let hydra.launcher.n_jobs share the jobs out, or leave out that launcher"
        )
    if cfg.page and not (isinstance(cfg.page_excerpts, int) and cfg.page_excerpts > 0):
        raise UmssError(f"page_excerpts={cfg.page_excerpts}: give a number of excerpts, 1 or more")
    if cfg.threads is not None and (not isinstance(cfg.threads, int) or cfg.threads < 1):
        raise UmssError(f"threads={cfg.threads}: give 1 or more, or null for PyTorch's choice")


def run(cfg: DictConfig) -> dict[str, Any]:
    """Evaluate, write the table and its summary, and return the summary."""
    check_processes(cfg)
    output = Path(cfg.output)
    check_folder(output)
    if cfg.f0 is not None:
        cfg.data.f0 = cfg.f0
    errors: F0Errors = instantiate(cfg.f0_errors)
    data: MixtureDataModule = instantiate(cfg.data, _convert_="all")
    data.require_stems("evaluate")
    protocol = describe_protocol(data, cfg.multif0)
    snr: SnrSettings = SnrSettings(**to_plain(cfg.spectral_snr))
    if snr != SnrSettings():
        protocol["spectral_snr"] = asdict(snr)
    identity = describe_identity(cfg, protocol, errors)
    if not cfg.overwrite:
        found = find_existing(output, identity, skip=cfg.skip_existing)
        if found is not None:
            log.info("%s: evaluated already; overwrite=true to evaluate again", output)
            return found
    with stage(output, "evaluation") as place:
        summary, page = _evaluate(cfg, data, errors, identity, place.place)
        files = [output / FRAMES, output / SUMMARY, *page]
        place.publish(files, remove=sorted(find_page(output / EVALUATION) - {*files}))
    tidy_folder(output / EVALUATION)
    log.info("wrote %s", ", ".join(map(str, files[:3])))
    return summary


def _evaluate(
    cfg: DictConfig,
    data: MixtureDataModule,
    errors: F0Errors,
    identity: dict[str, Any],
    place: Callable[[Path], Path],
) -> tuple[dict[str, Any], list[Path]]:
    """Evaluate, write the table, its summary and perhaps a page where `place` says.

    Returns:
        The summary, and the files of the page.
    """
    output = Path(cfg.output)
    if cfg.threads:
        torch.set_num_threads(cfg.threads)
    separator: Separator = instantiate(cfg.separator)
    data.prepare("test")
    data.setup("test")
    frames, speed = score(cfg, separator, data, errors)
    summary = {
        **identity,
        "seeds": sorted(int(seed) for seed in frames["seed"].unique()),
        "data": data.reader_name,
        "f0": data.f0,
        "n_singers": cfg.n_singers,
        "speed": speed,
        **summarise(frames),
    }
    write_text(place(output / FRAMES), frames.to_csv(index=False))
    write_json(place(output / SUMMARY), summary)
    kept = summary["frames"]
    show(
        summary,
        f"SI-SDR in dB: {cfg.name}, {separator.mask} masks, "
        f"{cfg.n_singers} singers, {kept['kept']} of {kept['total']} frames kept",
    )
    if not cfg.page:
        return summary, []
    page = describe_excerpts(
        f"{cfg.name}, {data.reader_name}, {cfg.n_singers} singers",
        separator,
        perturb_batches(data.test_dataloader(), errors, cfg.seed)
        if errors.any
        else data.test_dataloader(),
        frames,
        count=cfg.page_excerpts,
        seed=min(cfg.seeds),
    )
    return summary, build_page(output / EVALUATION, page, place)


def main(cfg: DictConfig) -> float:
    """Evaluate and return the mean SI-SDR in dB, NaN without kept frames; sweepers maximise it."""
    mean = run(cfg)["si_sdr"]["mean"]
    return math.nan if mean is None else float(mean)


if __name__ == "__main__":
    launch("evaluate")
