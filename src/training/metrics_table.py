"""Losses of every epoch as a CSV file that a continued run goes on writing."""

from __future__ import annotations

import csv
from argparse import Namespace
from pathlib import Path
from typing import Any

from lightning_fabric.loggers.logger import rank_zero_experiment
from pytorch_lightning.core.saving import save_hparams_to_yaml
from pytorch_lightning.loggers import CSVLogger

from ..files import replace_when_complete


class MetricsTable(CSVLogger):
    """Lightning's CSVLogger, except that a run which continues keeps its file.

    Lightning begins a new file for every process, whose lines overlap with those of a process
    that was killed. Here `RunRecord` says which lines belong to the checkpoint from which a run
    continues. The file is `save_dir`/`name`/version_N/metrics.csv.
    """

    def __init__(self, save_dir: str | Path, name: str = "csv", **options: Any) -> None:
        super().__init__(save_dir, name=name, **options)

    @property
    @rank_zero_experiment
    def experiment(self) -> TableWriter:  # type: ignore[override]
        """The writer of the file, which begins a new one unless it is told to keep lines."""
        if self._experiment is None:
            self._experiment = TableWriter(Path(self.log_dir))  # type: ignore[assignment]
        return self._experiment  # type: ignore[return-value]

    def open_version(self, number: int) -> None:
        """Choose the folder version_N."""
        self._version = number

    def count_rows(self) -> int:
        """Write what is pending, and count the lines of the file."""
        self.save()
        return self.experiment.n_rows

    def keep_rows(self, n: int) -> None:
        """Go on after the first n lines of the file."""
        self.experiment.keep(self.experiment.read()[:n])

    def keep_epochs(self, last: int) -> None:
        """Go on after the lines of the epochs up to the last, from 0."""
        rows = self.experiment.read()
        self.experiment.keep([row for row in rows if int(row.get("epoch") or 0) <= last])


class TableWriter:
    """Appends lines to a CSV file; rewrites it if there are new columns.

    Args:
        folder: where the file goes.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "metrics.csv"
        self.n_rows = 0
        self.columns: list[str] = []
        self._pending: list[dict[str, Any]] = []
        self._hparams: dict[str, Any] = {}

    def log_hparams(self, params: dict[str, Any] | Namespace) -> None:
        """Write hparams.yaml."""
        self._hparams.update(params if isinstance(params, dict) else vars(params))
        self.path.parent.mkdir(parents=True, exist_ok=True)
        save_hparams_to_yaml(str(self.path.with_name("hparams.yaml")), self._hparams)

    def log_metrics(self, metrics: dict[str, Any], step: int | None = None) -> None:
        """Add a line, which `save` writes."""
        values = {k: v.item() if hasattr(v, "item") else v for k, v in metrics.items()}
        number = self.n_rows + len(self._pending) if step is None else step
        self._pending.append(values | {"step": number})

    def save(self) -> None:
        """Write the pending lines."""
        if not self._pending:
            return
        columns = sorted({*self.columns, *(name for row in self._pending for name in row)})
        if columns != self.columns or not self.n_rows or not self.path.is_file():
            kept = self.read()[: self.n_rows]
            self._write([*kept, *self._pending], columns)
        else:
            with self.path.open("a", newline="", encoding="utf-8") as file:
                csv.DictWriter(file, self.columns).writerows(self._pending)
            self.n_rows += len(self._pending)
        self._pending = []

    def read(self) -> list[dict[str, Any]]:
        """Read the lines of the file as text; a line that was cut short is left out."""
        try:
            with self.path.open(newline="", encoding="utf-8", errors="replace") as file:
                rows = list(csv.DictReader(file))
                return [row for row in rows if None not in row and None not in row.values()]
        except FileNotFoundError:
            return []

    def keep(self, rows: list[dict[str, Any]]) -> None:
        """Go on after these lines."""
        self._pending = []
        self.n_rows, self.columns = 0, []
        if rows:
            self._write(rows, list(rows[0]))

    def _write(self, rows: list[dict[str, Any]], columns: list[str]) -> None:
        with (
            replace_when_complete(self.path) as temporary,
            temporary.open("w", newline="", encoding="utf-8") as file,
        ):
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(rows)
        self.n_rows, self.columns = len(rows), columns
