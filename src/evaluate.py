"""Evaluate a separator: `python -m src.evaluate separator=comb data=csd data.root=DIR`."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import hydra
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.progress import track
from rich.table import Table

from src.cli import entry_point
from src.f0.errors import F0Errors, perturb_batches
from src.files import write_json, write_text
from src.metrics.evaluation import evaluate, summarise

log = logging.getLogger(__name__)


def plain(node: DictConfig) -> Any:
    """A part of the configuration as it goes into a summary."""
    return OmegaConf.to_container(node, resolve=True)


def show(summary: dict[str, Any], title: str) -> None:
    """Print SI-SDR overall and per voice."""
    table = Table(title=title)
    for column in ("voice", "mean", "median", "q25", "q75", "frames"):
        table.add_column(column, justify="left" if column == "voice" else "right")
    rows = {"all": summary["si_sdr"], **summary["si_sdr"]["voices"]}
    for voice, s in rows.items():
        numbers = ["-" if s[k] is None else f"{s[k]:.2f}" for k in ("mean", "median", "q25", "q75")]
        table.add_row(voice, *numbers, str(s["n"]))
    Console().print(table)


@hydra.main(version_base="1.3", config_path="../conf", config_name="evaluate")
@entry_point
def main(cfg: DictConfig) -> None:
    output = Path(cfg.output)
    frames_path, summary_path = output / "frames.csv", output / "summary.json"
    if (frames_path.exists() or summary_path.exists()) and not cfg.overwrite:
        raise FileExistsError(
            f"{output}: holds an evaluation; set overwrite=true or choose another output"
        )
    if cfg.f0 is not None:
        cfg.data.f0 = cfg.f0
    separator = instantiate(cfg.separator)
    errors: F0Errors = instantiate(cfg.f0_errors)
    data = instantiate(cfg.data, _convert_="all")
    data.prepare("test")
    data.setup("test")
    batches: Iterable[dict[str, Any]] = track(data.test_dataloader(), "evaluating", transient=True)
    if errors.any:
        batches = perturb_batches(batches, errors, cfg.seed)
    frames = evaluate(separator, batches, seeds=list(cfg.seeds), bss=cfg.bss)
    summary = {
        "separator": plain(cfg.separator),
        "data": cfg.data.reader.name,
        "f0": cfg.data.f0,
        **({"multif0": plain(cfg.multif0)} if cfg.data.f0 == "estimated" else {}),
        **({"f0_errors": asdict(errors)} if errors.any else {}),
        "n_singers": cfg.n_singers,
        **summarise(frames),
    }
    write_text(frames_path, frames.to_csv(index=False))
    write_json(summary_path, summary)
    kept = summary["frames"]
    show(
        summary,
        f"SI-SDR in dB: {separator.__class__.__name__}, {separator.mask} masks, "
        f"{cfg.n_singers} singers, {kept['kept']} of {kept['total']} frames kept",
    )
    log.info("wrote %s and %s", frames_path, summary_path)


if __name__ == "__main__":
    main()
