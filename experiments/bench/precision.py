"""Loss curves of short trainings that differ in nothing but the precision of matrix products.

    python -m experiments.bench.precision [--epochs 10]

Trains on the generated choir. A further run of full precision with another seed shows how much
curves differ for no reason. Results: precision.json and figures/precision.png.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from experiments.bench.cases import machine_facts
from src.files import write_json
from src.plots import save_figure

HERE = Path(__file__).parent
VARIANTS: dict[str, list[str]] = {
    "float32": ["matmul_precision=highest"],
    "float32, another seed": ["matmul_precision=highest", "seed=1"],
    "bfloat16 products": ["matmul_precision=medium"],
    "bf16-mixed": ["matmul_precision=highest", "trainer.precision=bf16-mixed"],
}


def train(changes: list[str], epochs: int, folder: Path) -> dict[str, Any]:
    """Losses per epoch of one training."""
    command = [
        sys.executable, "-m", "src.train", "experiment=us_small", f"output={folder}",
        f"trainer.max_epochs={epochs}", "data.batch_size=8", "trainer=cpu", *changes,
    ]  # fmt: skip
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    table = pd.read_csv(next(folder.rglob("metrics.csv"))).groupby("epoch").first()
    return {
        "train_loss": table["train/loss"].tolist(),
        "val_loss": table["val/loss"].tolist(),
    }


def plot(runs: dict[str, dict[str, Any]], path: Path) -> None:
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    for axes, key, title in zip(
        figure.subplots(1, 2), ("train_loss", "val_loss"), ("training", "validation"), strict=True
    ):
        for name, run in runs.items():
            epochs = range(1, len(run[key]) + 1)
            style = ":" if "seed" in name else "-"
            axes.plot(epochs, run[key], style, label=name, linewidth=1.5)
        axes.set(xlabel="epoch", ylabel=f"{title} loss")
        axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    save_figure(path, figure, overwrite=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--output", type=Path, default=HERE / "precision.json")
    options = parser.parse_args()
    runs: dict[str, dict[str, Any]] = {}
    for name, changes in VARIANTS.items():
        with tempfile.TemporaryDirectory() as folder:
            runs[name] = train(changes, options.epochs, Path(folder))
        reference = runs["float32"]["val_loss"]
        runs[name]["largest_difference"] = max(
            abs(a - b) / b for a, b in zip(runs[name]["val_loss"], reference, strict=True)
        )
        print(
            "{name:22} last validation loss {last:.3f}, largest difference from "
            "float32 {largest_difference:.2%}".format(
                name=name, last=runs[name]["val_loss"][-1], **runs[name]
            )
        )
    write_json(options.output, {**machine_facts(), "epochs": options.epochs, "runs": runs})
    plot(runs, HERE / "figures" / "precision.png")


if __name__ == "__main__":
    main()
