"""A W&B workspace for the runs of `umss train`: `python -m umss.training.workspace --project umss`.

Needs the package wandb-workspaces (`pip install 'umss[workspace]'`) and a login.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from ..errors import UmssError, shorten_reason
from .media import COMB_SCORES, SCORES, TABLE
from .step_clock import SECONDS
from .wandb_logging import is_logged_in

STEP = "trainer/global_step"
VOICES = ("soprano", "alto", "tenor", "bass")
# Names of W&B's own measurements, by our titles.
SYSTEM = {
    "GPU in use (%)": "system/gpu.0.gpu",
    "GPU memory (%)": "system/gpu.0.memoryAllocated",
    "processor in use (%)": "system/cpu",
    "memory of the process (MB)": "system/proc.memory.rssMB",
}
_RUNTIME = "RelativeTime(Process)"


def build_workspace(entity: str, project: str, voices: Sequence[str] = VOICES) -> Any:
    """Build the workspace, without a network: losses, learning rate, scores, excerpts, time.

    Args:
        entity: user or team.
        project: W&B project of the runs.
        voices: names of the voices whose SI-SDR is compared with the comb's.

    Raises:
        UmssError: the package wandb-workspaces is missing.
    """
    ws, wr = _import_packages()

    def plot(title: str, *names: str, x: str = STEP, **options: Any) -> Any:
        return wr.LinePlot(title=title, x=x, y=list(names), **options)

    def section(name: str, *panels: Any, columns: int = 2) -> Any:
        layout = ws.SectionLayoutSettings(columns=columns, rows=2 if len(panels) > columns else 1)
        return ws.Section(name=name, panels=list(panels), is_open=True, layout_settings=layout)

    return ws.Workspace(
        entity=entity,
        project=project,
        name="Separation of singers",
        settings=ws.WorkspaceSettings(x_axis=STEP),
        sections=[
            section(
                "Losses",
                plot("training and validation", "train/loss", "val/loss"),
                plot("norm of the gradient", "train/gradient_norm", log_y=True),
            ),
            section("Learning rate", plot("learning rate", "train/lr"), columns=1),
            section(
                "SI-SDR against the comb (dB)",
                *(plot(voice, f"{SCORES}/{voice}", f"{COMB_SCORES}/{voice}") for voice in voices),
            ),
            section("Excerpts", wr.WeavePanelSummaryTable(table_name=TABLE), columns=1),
            section(
                "Time and system",
                plot("seconds per step", SECONDS),
                *(plot(title, name, x=_RUNTIME) for title, name in SYSTEM.items()),
            ),
        ],
    )


def save_workspace(entity: str | None, project: str, voices: Sequence[str] = VOICES) -> str:
    """Save the workspace on W&B, and return its address.

    Args:
        entity: user or team; None: the user's default one.
        project, voices: see `build_workspace`.

    Raises:
        UmssError: the package is missing, nobody is logged in, or W&B refuses.
    """
    _import_packages()
    if not is_logged_in():
        raise UmssError(
            "a workspace is made on W&B, and you are not logged in; run `wandb login`, or set "
            "WANDB_API_KEY"
        )
    import wandb

    try:
        owner = entity or wandb.Api().default_entity or ""
        address: str = build_workspace(owner, project, voices).save().url
    except Exception as error:  # the package's and W&B's errors have no common base
        raise UmssError(
            f"W&B does not take the workspace of {project}; see whether the project is there, e.g. "
            f"by `wandb sync` of a run ({shorten_reason(error)})"
        ) from error
    return address


def _import_packages() -> tuple[ModuleType, ModuleType]:
    try:
        import wandb_workspaces.reports.v2 as reports
        import wandb_workspaces.workspaces as workspaces
    except ModuleNotFoundError as error:
        if not str(error.name).startswith("wandb_workspaces"):
            raise
        raise UmssError(
            "a workspace needs the package wandb-workspaces: pip install 'umss[workspace]'"
        ) from error
    return workspaces, reports


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m umss.training.workspace", description="Make a W&B workspace of trainings."
    )
    parser.add_argument("--entity", help="user or team; by default yours")
    parser.add_argument("--project", default=os.environ.get("WANDB_PROJECT", "umss"))
    parser.add_argument(
        "--voices",
        type=lambda text: text.split(","),
        default=list(VOICES),
        help="whose SI-SDR is compared with the comb's; by default %(default)s",
    )
    given = parser.parse_args(arguments)
    try:
        print(save_workspace(given.entity, given.project, given.voices))
    except UmssError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
