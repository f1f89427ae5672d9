"""Collect what a training at length has learned; called by longer.sh, once per row.

    python -m experiments.paper_grid.collect_longer ROW RUN

Writes longer/ROW-losses.csv from the run's newest metrics (a training that went on has its whole
curve there), and puts the scores of longer/ROW-best.json and ROW-last.json into longer/curve.csv at
their steps, where those of earlier calls stay.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pandas as pd

from src.files import write_text
from src.training.run_folder import find_last_version

HERE = Path(__file__).with_name("longer")


def collect(row: str, run: Path) -> None:
    """Collect the curves of a row from its run's folder."""
    newest = run / "csv" / f"version_{find_last_version(run)}"
    table = pd.read_csv(newest / "metrics.csv").groupby("epoch")
    losses = table[["train/loss", "val/loss"]].first()
    losses.insert(0, "step", table["step"].max() + 1)
    write_text(HERE / f"{row}-losses.csv", losses.round(5).to_csv())
    steps = {
        "best": int(losses["step"][losses["val/loss"].idxmin()]),
        "last": int(losses["step"].iloc[-1]),
    }
    path = HERE / "curve.csv"
    known = pd.read_csv(path).to_dict("records") if path.is_file() else []
    curve = {(r["row"], r["step"], r["weights"]): r for r in known}
    for weights, step in steps.items():
        scores = json.loads((HERE / f"{row}-{weights}.json").read_text(encoding="utf-8"))["si_sdr"]
        new = {"row": row, "step": step, "weights": weights, "trained_to": steps["last"]}
        new |= {key: round(scores[key], 3) for key in ("mean", "median")}
        curve[row, step, weights] = new
    ordered = sorted(curve.values(), key=lambda r: (r["row"], r["step"], r["weights"]))
    write_text(path, pd.DataFrame(ordered).to_csv(index=False))


if __name__ == "__main__":
    collect(sys.argv[1], Path(sys.argv[2]))
