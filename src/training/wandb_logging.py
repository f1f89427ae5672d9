"""Weights & Biases (W&B): a logger that never waits for input, and reports as runs."""

from __future__ import annotations

import netrc
import os
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pandas as pd
from pytorch_lightning.loggers import WandbLogger
from pytorch_lightning.utilities import rank_zero_only

from ..errors import UmssError
from ..files import write_text

_DATA = "WANDB_DATA_DIR"


def is_logged_in() -> bool:
    """Whether there are W&B credentials, checked without network or prompt.

    Looks at WANDB_API_KEY, WANDB_IDENTITY_TOKEN_FILE and the netrc file that `wandb login` writes.
    """
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    host = urlsplit(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).netloc
    chosen = os.environ.get("NETRC")
    files = [Path(chosen)] if chosen else [Path.home() / ".netrc", Path.home() / "_netrc"]
    for file in files:
        try:
            if netrc.netrc(file).authenticators(host):
                return True
        except (OSError, netrc.NetrcParseError):
            continue
    return False


def choose_mode() -> dict[str, Any]:
    """Choose the argument `mode` of `wandb.init`; empty if WANDB_MODE decides.

    Raises:
        UmssError: WANDB_MODE=online without credentials.
    """
    mode = os.environ.get("WANDB_MODE")
    if mode == "online" and not is_logged_in():
        raise UmssError(
            "WANDB_MODE=online, but you are not logged in; run `wandb login`, set WANDB_API_KEY, "
            "or unset WANDB_MODE to log offline"
        )
    return {} if mode is not None else {"mode": "online" if is_logged_in() else "offline"}


class RunLogger(WandbLogger):
    """Lightning's logger for W&B.

    Attributes:
        folder: what the run writes lies in its subfolder "wandb".
        artifact: whether the best weights become an artifact of the run.
    """

    def __init__(self, folder: str | Path, *, artifact: bool, **options: Any) -> None:
        super().__init__(save_dir=folder, **options)
        self.folder = Path(folder)
        self.artifact = artifact

    def describe(self, config: dict[str, Any]) -> None:
        """Say what the run is started with; its page shows that once it opens."""
        self._wandb_init["config"] = config


@contextmanager
def keep_uploads(folder: Path) -> Iterator[None]:
    """Have W&B keep in `folder`/wandb what it has yet to upload, not in the user's home.

    Until `wandb sync`, that is the only copy of the sounds and pictures of an offline run. W&B
    takes the place from the environment alone; WANDB_DATA_DIR, if set, takes precedence.
    """
    if _DATA in os.environ:
        yield
        return
    os.environ[_DATA] = str((folder / "wandb").resolve())
    try:
        yield
    finally:
        del os.environ[_DATA]


def build_logger(
    save_dir: str | Path,
    *,
    project: str = "umss",
    name: str | None = None,
    artifact: bool = True,
    **options: Any,
) -> RunLogger:
    """Build a logger that works offline unless the user is logged in or WANDB_MODE is set.

    A run that continues in `save_dir` keeps its W&B identity. Offline runs are written to
    `save_dir`/wandb; `wandb sync` uploads them.

    Args:
        save_dir: folder of the run.
        project: W&B project; WANDB_PROJECT takes precedence.
        name: name of the run.
        artifact: whether the best weights become an artifact of the run (see `log_model`).
        options: more arguments of `wandb.init`, e.g. `group`, `entity`, `tags`.

    Raises:
        UmssError: WANDB_MODE=online without credentials.
    """
    options |= choose_mode()
    identity = None
    if getattr(rank_zero_only, "rank", 0) == 0:
        file = Path(save_dir) / "wandb" / "run_id"
        if not file.is_file():
            write_text(file, uuid.uuid4().hex[:8] + "\n")
        identity = file.read_text(encoding="utf-8").strip()
    return RunLogger(
        save_dir,
        artifact=artifact,
        name=name,
        project=os.environ.get("WANDB_PROJECT", project),
        id=identity,
        **options,
    )


def finish_runs(*, failed: bool = False) -> None:
    """Close the W&B run of this job, if there is one, so that the next job opens its own."""
    wandb = sys.modules.get("wandb")  # None if W&B was never imported
    if wandb is not None and wandb.run is not None:
        wandb.finish(exit_code=int(failed))


def log_report(folder: Path, *, project: str = "umss", name: str | None = None) -> None:
    """Send a report (see `src.reporting`) to W&B as a run of its own, of job type "report".

    Every CSV file becomes a table, every PNG an image, and the page is shown as it is.

    Args:
        folder: folder of the report; the run's files go to its subfolder "wandb".
        project: W&B project; WANDB_PROJECT takes precedence.
        name: name of the run; by default the folder's.

    Raises:
        UmssError: WANDB_MODE=online without credentials.
    """
    import wandb

    content: dict[str, Any] = {}
    for file in sorted(folder.rglob("*.csv")):
        content[f"tables/{file.stem}"] = wandb.Table(dataframe=pd.read_csv(file))
    for file in sorted(folder.rglob("*.png")):
        content[f"figures/{file.stem}"] = wandb.Image(str(file))
    for file in sorted(folder.glob("*.html")):
        content[file.stem] = wandb.Html(file.read_text(encoding="utf-8"))
    run = wandb.init(
        project=os.environ.get("WANDB_PROJECT", project),
        name=name or folder.name,
        group="report",
        job_type="report",
        dir=folder,
        **choose_mode(),
    )
    with keep_uploads(folder):
        run.log(content)
    finish_runs()
