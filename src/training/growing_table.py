"""A table on a W&B page that grows with the training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class GrowingTable:
    """A table of which W&B gets the new rows only, and shows all of them.

    W&B keeps such a table as a chain of parts ("INCREMENTAL"), so that the media of earlier rows
    are stored once. Every part names the parts before it. W&B asks its server for those names when
    a run continues; that fails without a network, and a killed process may have sent rows that the
    continued training sends again. So the names are kept here, and go into the checkpoint.

    Args:
        name: of the table on the page.
        columns: {name of a column: its type}, as `wandb.Table` takes types; every cell may be None.
    """

    def __init__(self, name: str, columns: Mapping[str, Any]) -> None:
        self.name = name
        self.columns = dict(columns)
        self._parts: dict[str, list[str]] = {}

    def log(self, run: Any, rows: Sequence[Sequence[Any]], **content: Any) -> None:
        """Add rows to the table.

        Args:
            run: what `wandb.init` has returned.
            rows: cells in the order of the columns.
            content: what else belongs to the same step.
        """
        import wandb  # takes a second, so only on use

        parts = self._parts.setdefault(run.id, [])
        table = wandb.Table(
            columns=list(self.columns),
            data=[list(row) for row in rows],
            dtype=list(self.columns.values()),
            log_mode="INCREMENTAL",
        )
        # What W&B sets itself where it can ask its server.
        table._increment_num = len(parts)
        table._previous_increments_paths = list(parts)
        run.log({self.name: table, **content})
        address = table._get_artifact_entry_ref_url()
        if address is not None:  # None with WANDB_MODE=disabled
            parts.append(address)

    def is_empty(self, run: Any) -> bool:
        """Whether a run has no rows yet."""
        return not self._parts.get(run.id)

    def state_dict(self) -> dict[str, Any]:
        """The names of the parts so far, by run."""
        return {run: list(parts) for run, parts in self._parts.items() if parts}

    def load_state_dict(self, state: Mapping[str, Sequence[str]]) -> None:
        """Go on after the parts of an earlier process."""
        self._parts = {run: list(parts) for run, parts in state.items()}
