"""Fetch and convert the weights of published networks: `umss published-weights`."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig
from rich.console import Console

from .cli import launch
from .f0.published.weights import MODELS, ConversionError, install


def main(config: DictConfig) -> None:
    """Install the models that the configuration names."""
    source = Path(config.source) if config.source else None
    names = list(config.models)
    if source is not None and not source.is_dir() and len(names) != 1:
        raise ConversionError(
            "source is one file; say which model it is, e.g. models=[late_deep], or name a folder "
            f"that holds {' and '.join(Path(m.file).name for m in MODELS.values())}"
        )
    console = Console()
    for name in names:
        path, is_new = install(
            name, Path(config.paths.models_dir), source=source, overwrite=config.overwrite
        )
        state = "wrote" if is_new else "already there:"
        console.print(f"{state} {path}", soft_wrap=True, markup=False, highlight=False)


if __name__ == "__main__":
    launch("published-weights")
