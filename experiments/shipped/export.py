"""A trained model as the file of the package: `python -m experiments.shipped.export BEST.ckpt`."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from src.errors import UmssError
from src.files import check_existing
from src.models.lit import SourceFilterTraining
from src.models.loading import SHIPPED, load_module
from src.training.checkpoints import AtomicCheckpointIO


def export(source: Path, target: Path, *, overwrite: bool = False) -> Path:
    """Write the weights of a training's checkpoint in half precision, without its optimiser.

    Loaded again, a weight differs by at most 2^-11 of its value.

    Raises:
        CheckpointError: `source` is no checkpoint of a source-filter training.
        FileExistsError: `target` exists and `overwrite` is false.
        ValueError: a weight that half precision cannot hold.
    """
    check_existing([target], overwrite=overwrite)
    model = load_module(source, SourceFilterTraining, experiment="us_small")
    state = {name: value.half() for name, value in model.state_dict().items()}
    lost = [name for name, value in state.items() if not torch.isfinite(value).all()]
    if lost:
        raise UmssError(f"{source}: {', '.join(lost)} beyond the range of half precision")
    content = {"state_dict": state, "hyper_parameters": dict(model.hparams)}
    AtomicCheckpointIO().save_checkpoint(content, target)
    return target


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path, help="checkpoint written by python -m src.train")
    parser.add_argument("--target", type=Path, default=SHIPPED)
    parser.add_argument("--overwrite", action="store_true")
    arguments = parser.parse_args()
    target = export(arguments.source, arguments.target, overwrite=arguments.overwrite)
    print(f"{target}: {target.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
