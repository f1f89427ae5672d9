"""A report on evaluations: `umss report tables=[outputs/evaluation/*] output=DIR`."""

from __future__ import annotations

import logging
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from .cli import launch
from .metrics.tables import read_tables
from .reporting.provenance import quote_command
from .reporting.write import write_report

log = logging.getLogger(__name__)


def run(cfg: DictConfig) -> Path:
    """Read the tables, write the report, and return the path of its page."""
    given = [cfg.tables] if isinstance(cfg.tables, str) else list(cfg.tables)
    tables = read_tables(given)
    command = None
    if HydraConfig.initialized():
        command = quote_command(list(HydraConfig.get().overrides.task))
    page = write_report(
        tables,
        cfg.output,
        title=cfg.title,
        order=None if cfg.order is None else [str(name) for name in cfg.order],
        formats=list(cfg.formats),
        overwrite=cfg.overwrite,
        seed=cfg.seed,
        command=command,
    )
    log.info("wrote %s from %d evaluations", page, len(tables))
    if cfg.wandb:
        from .training.wandb_logging import (
            log_report,  # imports Lightning, which takes seconds: only for users of W&B
        )

        log_report(page.parent, name=cfg.title)
    return page


def main(cfg: DictConfig) -> None:
    run(cfg)


if __name__ == "__main__":
    launch("report")
