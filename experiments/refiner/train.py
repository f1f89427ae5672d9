"""Trains the refiner and writes its learning curve: `curve.csv`.

    python -m experiments.refiner.train --excerpts DIR --output DIR [--hours 10]

Excerpts come from `experiments.refiner.excerpts`. A run that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from experiments.refiner.excerpts import GROUPS, Excerpt, read_excerpts
from experiments.refiner.network import Refiner
from src.dsp.tracks import RATE
from src.files import replace_when_complete, write_text
from src.metrics.frames import cut_one_second_frames, si_sdr

TABLE = Path(__file__).with_name("curve.csv")
BATCH, CROP = 8, 3 * RATE
LEARNING_RATE, CLIP = 1e-3, 1.0
WARM_UP, HALF = 200, 10_000  # steps until the rate is reached, and in which it then halves
EVERY = 100  # steps between two looks at the validation excerpts
_SILENCE = 1e-3  # a second of a stem is silent below this share of the stem's mean energy


def draw_batch(excerpts: Sequence[Excerpt], rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Draw crops: fitted stems and true ones, [B, 2, T] each, in random order and level."""
    fitted, stems = [], []
    for k in rng.integers(len(excerpts), size=BATCH):
        start = int(rng.integers(excerpts[k].stems.shape[-1] - CROP + 1))
        order = [0, 1] if rng.random() < 0.5 else [1, 0]
        fitted.append(excerpts[k].fitted[order, start : start + CROP])
        stems.append(excerpts[k].stems[order, start : start + CROP])
    return torch.from_numpy(np.stack(fitted)), torch.from_numpy(np.stack(stems))


def measure_loss(found: Tensor, true: Tensor) -> Tensor:
    """Negative SNR of the mixtures' stems, dB, bounded so that perfect crops do not rule."""
    energy = true.square().sum(dim=(1, 2))
    error = (found - true).square().sum(dim=(1, 2))
    return 10.0 * torch.log10(error / energy.clamp(min=1e-6) + 1e-3).mean()


@torch.no_grad()
def validate(network: Refiner, excerpts: Sequence[Excerpt]) -> dict[str, float]:
    """Mean SI-SDR over seconds, of all and of each group, minus that of the fit."""
    gains: dict[int, list[float]] = {}
    for excerpt in excerpts:
        fitted, true = (torch.from_numpy(x)[None] for x in (excerpt.fitted, excerpt.stems))
        frames = cut_one_second_frames(true)
        energy = frames.square().sum(-1)
        heard = energy > _SILENCE * energy.mean(dim=-1, keepdim=True)
        before, after = (
            si_sdr(cut_one_second_frames(x), frames)[heard] for x in (fitted, network(fitted))
        )
        gains.setdefault(excerpt.group, []).append(float((after - before).mean()))
    row = {GROUPS[g]: float(np.mean(gains[g])) for g in sorted(gains)}
    return {"gain": float(np.mean([x for g in gains.values() for x in g])), **row}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--excerpts", type=Path, metavar="DIR", required=True)
    parser.add_argument("--output", type=Path, metavar="DIR", required=True)
    parser.add_argument("--hours", type=float, default=10.0, help="of processor time, in all")
    options = parser.parse_args()
    torch.manual_seed(0)
    train, validation = (read_excerpts(options.excerpts, x) for x in ("train", "validation"))
    network = Refiner()
    optimiser = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=1e-2)
    step, used, rows = 0, 0.0, []
    saved = options.output / "last.pt"
    if saved.is_file():
        state = torch.load(saved, weights_only=True)
        network.load_state_dict(state["network"])
        optimiser.load_state_dict(state["optimiser"])
        step, used, rows = state["step"], state["used"], state["rows"]
    else:
        options.output.mkdir(parents=True, exist_ok=True)
        weights = sum(x.numel() for x in network.parameters())
        print(f"{weights} weights, {len(train)} and {len(validation)} excerpts", flush=True)
    losses: list[float] = []
    while used < 3600.0 * options.hours:
        begun = time.process_time()
        # A generator per step: a run that goes on draws what it would have drawn.
        fitted, true = draw_batch(train, np.random.default_rng([1, step]))
        rate = LEARNING_RATE * min(1.0, (step + 1) / WARM_UP) * 0.5 ** (step / HALF)
        optimiser.param_groups[0]["lr"] = rate
        loss = measure_loss(network(fitted), true)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), CLIP)
        optimiser.step()
        losses.append(loss.item())
        step += 1
        used += time.process_time() - begun
        if step % EVERY == 0:
            gains = validate(network.eval(), validation)
            network.train()
            row = {"step": step, "hours": used / 3600.0, "loss": float(np.mean(losses)), **gains}
            losses.clear()
            rows.append(row)
            print({k: round(v, 3) for k, v in row.items()}, flush=True)
            state = {
                "network": network.state_dict(), "optimiser": optimiser.state_dict(),
                "step": step, "used": used, "rows": rows,
            }  # fmt: skip
            with replace_when_complete(saved) as temporary:
                torch.save(state, temporary)
            table = pd.DataFrame(rows).round(3)
            write_text(options.output / TABLE.name, table.to_csv(index=False))


if __name__ == "__main__":
    main()
