"""Does a training ever wait for its data? And what the target's spectrogram costs in the loss.

    python -m experiments.bench.data [--workers 0 1 2] [--repeats 3]

The real data module on the generated choir. `loading`: seconds per batch when nothing else is
done, and, in a training that takes batches as they come, how long each step waited for its batch.
`target`: share of the target's Fourier transforms, which carry no gradient, in the time of the loss
(forward and backward). The prepared songs are few and recently written, so that they lie in memory;
reading them from a disk for the first time is not measured. Results: data.json.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from experiments.bench.cases import HERE, Case, run_cases, spread, timed, write_results
from experiments.bench.inputs import random_batch
from experiments.bench.training_step import build, stepper
from src.data.datamodule import MixtureDataModule
from src.dsp.spectral_loss import FFT_SIZES, multi_scale_spectral_loss
from src.models.lit import Batch

SONGS = ("bwv253_ach_bleib_bei_uns", "bwv386_nun_danket_alle_gott")
LINES = {
    "prepare": "songs prepared in {median_s:.1f} s",
    "loading": "workers {workers}: {load[median_s]:.4f} s a batch; a step of {step[median_s]:.2f} "
    "s waits {wait[median_s]:.4f} s for it, {waiting_share:.1%} of a training",
    "target": "the target's transforms are {share:.1%} of the loss's {loss[median_s]:.3f} s",
}


def describe(case: Case) -> str:
    """A result in words."""
    return LINES[case["kind"]].format_map(case)


def data_module(
    folder: str, *, song_s: float, n_singers: int, batch: int, excerpt_s: float, workers: int
) -> MixtureDataModule:
    """The data module of `data=generated` on the beginning of one song, and of one to validate."""
    train, val = SONGS
    return MixtureDataModule(
        {"name": "generated", "options": {"max_seconds": song_s}},
        n_singers,
        folder,
        size="small",
        f0="cached",
        split={"small": {"train": [train], "val": [val], "test": [val]}},
        excerpt_seconds=excerpt_s,
        batch_size=batch,
        num_workers=workers,
        progress=False,
    )


def measure(kind: str, repeats: int, **case: Any) -> Case:
    """`prepare` the songs, `loading` of batches, or the `target`'s share in the loss."""
    if kind == "target":
        return target_share(repeats=repeats, **case)
    module = data_module(**case)
    if kind == "prepare":
        # What is prepared stays: this cannot be repeated.
        return dict(timed(lambda: module.prepare("fit"), repeats=1, warm_up=0))
    module.prepare("fit")
    module.setup("fit")
    return loading(module, repeats=repeats)


def loading(module: MixtureDataModule, *, repeats: int) -> Case:
    """Seconds a batch takes alone (`load`), of a step (`step`), and waited for one (`wait`).

    Args:
        module: set up.
        repeats: epochs, and steps, after one that does not count.

    Returns:
        Three `spread`s; `waiting_share` of the time of a training; `start_s`, the first batch of
        the first epoch, with the start of the workers.
    """
    loader = module.train_dataloader()
    n_batches = len(loader.dataset) / module.batch_size  # type: ignore[arg-type]
    begin = time.perf_counter()
    iterator = iter(loader)
    batch: Batch = dict(next(iterator))
    start_s = time.perf_counter() - begin
    for _ in iterator:
        pass
    alone = timed(lambda: sum(1 for _ in loader), repeats=repeats, warm_up=0)
    load = {k: v if k == "repeats" else v / n_batches for k, v in alone.items()}

    model = build("umss")
    optimizer = model.configure_optimizers()
    stepper(model, "umss", batch, optimizer)()
    waits: list[float] = []
    steps: list[float] = []
    while len(steps) < repeats:
        iterator = iter(loader)
        while len(steps) < repeats:
            begin = time.perf_counter()
            item = next(iterator, None)
            if item is None:
                break
            middle = time.perf_counter()
            if len(item["mixture"]) == module.batch_size:  # the last batch may be smaller
                stepper(model, "umss", dict(item), optimizer)()
                waits.append(middle - begin)
                steps.append(time.perf_counter() - middle)
    wait, step = spread(waits), spread(steps)
    share = sum(waits) / (sum(waits) + sum(steps))
    found: Case = {"load": load, "step": step, "wait": wait, "start_s": start_s}
    return found | {"waiting_share": share}


def spectra(signal: Tensor, n_fft: int) -> Tensor:
    """Spectra of one signal as the loss needs them: Hann windows with 75 % overlap."""
    padded = torch.nn.functional.pad(signal, (n_fft, n_fft))
    return torch.fft.rfft(padded.unfold(-1, n_fft, n_fft // 4) * torch.hann_window(n_fft))


def target_share(*, batch: int, excerpt_s: float, repeats: int) -> Case:
    """Seconds of the loss with its backward pass, of the target's transforms, and their share."""
    target = random_batch(batch, 1, excerpt_s)["mixture"]
    estimate = random_batch(batch, 1, excerpt_s, seed=1)["mixture"].requires_grad_()

    def transforms() -> None:
        for n_fft in FFT_SIZES:
            for row in target:  # one by one, so that they stay in the cache
                spectra(row, n_fft)

    loss = timed(lambda: multi_scale_spectral_loss(estimate, target).backward(), repeats=repeats)
    alone = timed(transforms, repeats=repeats)
    share = alone["median_s"] / loss["median_s"]
    return {"loss": loss, "target": alone, "share": share}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--singers", type=int, default=4)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--excerpt_s", type=float, default=4.0)
    parser.add_argument("--song_s", type=float, default=40.0, help="of a song, to be prepared")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--output", type=Path, default=HERE / "data.json")
    options = parser.parse_args()
    size = {"batch": options.batch, "excerpt_s": options.excerpt_s}
    with tempfile.TemporaryDirectory() as folder:
        common = {
            **size,
            "song_s": options.song_s,
            "n_singers": options.singers,
            "folder": folder,
        }
        todo: list[Case] = [{"kind": "prepare", "workers": 0, "repeats": 1, **common}]
        todo += [
            {"kind": "loading", "workers": w, "repeats": options.repeats, **common}
            for w in options.workers
        ]
        todo.append({"kind": "target", "repeats": options.repeats, **size})
        cases = run_cases("experiments.bench.data", [(c, options.threads) for c in todo], describe)
    for case in cases:
        case.pop("folder", None)
    write_results(options.output, cases)


if __name__ == "__main__":
    main()
