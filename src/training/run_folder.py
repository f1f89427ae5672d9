"""What lies in the folder of a training: whether it can continue, and what belongs to it."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from pytorch_lightning.utilities import rank_zero_only

from ..claims import claim
from ..errors import OutputExistsError, UmssError
from ..files import replace_when_complete, write_text

LAST = Path("checkpoints", "last.ckpt")
BEST = Path("checkpoints", "best.ckpt")
# There from the beginning of a run until its first last.ckpt; holds the version of the metrics.
# A run that is killed in between leaves a best.ckpt that the same run may replace.
FIRST_EPOCH = Path("checkpoints", ".first_epoch")

# What runs write, by the folder that it lies in. Anything else in there is the user's.
_PRODUCTS = {
    "checkpoints": ("best.ckpt", "last.ckpt", FIRST_EPOCH.name),
    "csv/version_*": ("metrics.csv", "hparams.yaml"),
    "wandb": (
        "run_id", "model_logged", "artifacts", "run-*", "offline-run-*", "latest-run",
        "debug*.log", "wandb-resume.json",
    ),
    ".": ("config.yaml", "result.json"),
}  # fmt: skip
# Temporary files of writers that were killed (see `replace_when_complete`).
_REMAINS = {
    "checkpoints": (".best.*", ".last.*", f".{FIRST_EPOCH.name}.*"),
    "csv/version_*": (".metrics.*",),
    "wandb": (".run_id.*", ".model_logged.*"),
    ".hydra": (".config.*", ".overrides.*"),
    ".": (".config.*", ".result.*"),
}


def claim_folder(output: Path, *, dry_run: bool = False) -> AbstractContextManager[None]:
    """Keep other processes out of a training's folder (see `claim`).

    The further processes of DDP belong to the first, which holds the claim. A dry run writes
    nothing.
    """
    return nullcontext() if dry_run or not is_main_process() else claim(output)


def is_main_process() -> bool:
    """Whether this is no further process of a distributed training."""
    return int(getattr(rank_zero_only, "rank", 0)) == 0


def find_last_checkpoint(output: Path, config: dict[str, Any]) -> Path | None:
    """Find the checkpoint to continue from; None if `output` holds no run.

    Args:
        output: folder of the run.
        config: what identifies the run (see `begin_run`).

    Raises:
        OutputExistsError: `output` holds a run of another configuration, or one without its last
            checkpoint.
        UmssError: its configuration cannot be read.
    """
    checkpoint = output / LAST
    if checkpoint.is_file():
        _check_config(output, config)
        return checkpoint
    best = output / BEST
    if (output / FIRST_EPOCH).is_file() and not (output / "result.json").is_file():
        if best.is_file():  # killed between its first best.ckpt and last.ckpt: it can begin again
            _check_config(output, config)
        return None
    if best.is_file():
        raise OutputExistsError(
            f"{best}: last.ckpt, which its run would continue from, is gone; set overwrite=true to "
            f"replace the run, or output=DIR to train elsewhere (with init={best} to begin with "
            "these weights)"
        )
    if (output / "result.json").is_file():
        raise OutputExistsError(
            f"{output / 'result.json'}: the result of a run whose checkpoints/last.ckpt is gone; "
            "set overwrite=true to replace it, or output=DIR to train elsewhere"
        )
    return None


def _check_config(output: Path, config: dict[str, Any]) -> None:
    path = output / "config.yaml"
    try:
        stored = OmegaConf.to_container(OmegaConf.load(path), resolve=True)
        assert isinstance(stored, dict)
    except Exception as error:  # YAML and OmegaConf have no common base class
        reason = "missing" if isinstance(error, FileNotFoundError) else "not readable"
        raise UmssError(
            f"{path}: {reason} ({type(error).__name__}), so it is unknown what the checkpoints "
            "beside it were trained on; put the file back, set overwrite=true to start afresh, or "
            "output=DIR to train elsewhere"
        ) from error
    changed = list_differences(stored, config)
    if changed:
        moved = changed == ["data.root"]
        hint = f" (if the same recordings have moved, correct data.root in {path})" if moved else ""
        raise OutputExistsError(
            f"{output}: holds a run with another {', '.join(changed)}; set overwrite=true to "
            f"replace it, or output=DIR to train elsewhere{hint}"
        )


def list_differences(stored: Any, wanted: Any, name: str = "") -> list[str]:
    """List the dotted names of the fields that differ."""
    if not (isinstance(stored, dict) and isinstance(wanted, dict)):
        return [] if stored == wanted else [name]
    return [
        field
        for key in dict.fromkeys((*stored, *wanted))
        for field in list_differences(
            stored.get(key), wanted.get(key), f"{name}.{key}" if name else str(key)
        )
    ]


@rank_zero_only
def begin_run(output: Path, config: dict[str, Any]) -> None:
    """Write down what a new run is (`config.yaml`) and that it has no checkpoint yet."""
    write_text(output / "config.yaml", OmegaConf.to_yaml(OmegaConf.create(config)))
    if not (output / FIRST_EPOCH).is_file():
        write_text(output / FIRST_EPOCH, f"{find_next_version(output)}\n")


def find_next_version(output: Path) -> int:
    """Find the number of the metrics' folder `csv/version_N` that a new run opens.

    It is the one that a run opened which was killed before its first checkpoint, if there is one.
    """
    try:
        return int((output / FIRST_EPOCH).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return _find_highest(output) + 1


def find_last_version(output: Path) -> int:
    """Find the number of the newest folder of metrics, `csv/version_N`."""
    return max(0, _find_highest(output))


def _find_highest(output: Path) -> int:
    """Find the highest N of the folders `csv/version_N`; -1 if there are none."""
    return max(
        (_read_number(path.name.removeprefix("version_")) for path in _list_versions(output)),
        default=-1,
    )


@rank_zero_only
def _copy_metrics(output: Path, source: int, target: int) -> None:
    table = output / f"csv/version_{source}/metrics.csv"
    if table.is_file():
        with replace_when_complete(output / f"csv/version_{target}/metrics.csv") as temporary:
            shutil.copyfile(table, temporary)


def continue_metrics(output: Path) -> int:
    """Open the next folder of metrics for a run that continues, with what the last one holds.

    The last one stays as it is: what a run has written is not changed by another.

    Returns:
        The number N of the new folder `csv/version_N`.
    """
    if not _list_versions(output):
        return 0
    last = find_last_version(output)
    _copy_metrics(output, last, last + 1)
    return last + 1


def _list_versions(output: Path) -> list[Path]:
    return [path for path in output.glob("csv/version_*") if path.is_dir()]


def _read_number(text: str) -> int:
    return int(text) if text.isdecimal() else -1


@rank_zero_only
def remove_products(output: Path, more: Iterable[str] = ()) -> None:
    """Remove what a run has written to its folder, and nothing else.

    Args:
        output: folder of the run.
        more: patterns of further products in the folder.
    """
    _remove_matches(output, {**_PRODUCTS, ".": (*_PRODUCTS["."], *more)})
    remove_remains(output)
    for name in ("csv/version_*", "csv", "checkpoints", "wandb"):
        for folder in output.glob(name):
            if folder.is_dir() and not folder.is_symlink() and not any(folder.iterdir()):
                folder.rmdir()


@rank_zero_only
def remove_remains(output: Path) -> None:
    """Remove temporary files that a killed run has left. Only its folder's claimant may do that."""
    _remove_matches(output, _REMAINS)


def _remove_matches(output: Path, patterns: Mapping[str, Iterable[str]]) -> None:
    for place, names in patterns.items():
        for folder in [output] if place == "." else list(output.glob(place)):
            for name in names:
                for path in list(folder.glob(name)):
                    if path.is_dir() and not path.is_symlink():
                        shutil.rmtree(path)
                    else:
                        path.unlink()
