"""What every part of one training step costs, forward and backward, each measured alone.

Inputs of a part are what the parts before it gave, detached, so that nothing else is computed.
Parts do not sum to the step exactly: alone, they find their inputs in other states of the caches.
Run by `experiments.bench.training_step`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor, nn

from experiments.bench.cases import timed
from experiments.bench.inputs import random_batch
from experiments.bench.training_step import build, stepper
from src.dsp.control import upsample
from src.dsp.harmonic import harmonic_source
from src.dsp.noise import fir_filter, frequency_sampled_fir, uniform_noise
from src.models import estimator
from src.models.estimator import compute_log_spectrogram
from src.models.lit import Batch, UnsupervisedTraining

Part = Callable[[], Sequence[Tensor]]


class _Reached(Exception):  # noqa: N818 - no error: it carries what was found on the way
    def __init__(self, value: Tensor) -> None:
        super().__init__()
        self.value = value


class _Stop(nn.Module):
    """Ends a forward pass where it stands, with what it was given."""

    def forward(self, value: Tensor, *_: Tensor) -> Tensor:
        raise _Reached(value)


class _Found(nn.Module):
    """Stands for a module whose output is known already."""

    def __init__(self, value: Tensor) -> None:
        super().__init__()
        self.value = value

    def forward(self, _: Tensor) -> Tensor:
        return _leaf(self.value)


def _leaf(value: Tensor) -> Tensor:
    return value.detach().requires_grad_()


def build_parts(model: UnsupervisedTraining, batch: Batch) -> dict[str, Part]:
    """The parts of a step in their order, by name; each gives its outputs with their graph."""
    network, voice = model.estimator, model.voice
    mixture, f0, seed = batch["mixture"], batch["f0"], batch["seed"]
    n_samples = mixture.shape[-1]
    frames = {"hop": voice.hop, "n_samples": n_samples}

    # The network's own forward pass is cut in two, so that whatever is done between its modules
    # (order of dimensions, copies) is measured too.
    def encode() -> list[Tensor]:
        with mock.patch.object(network, "decoder", _Stop()):
            try:
                network(mixture, f0)
            except _Reached as reached:
                return [reached.value]
        raise AssertionError("the network does not call its decoder")

    with torch.no_grad():
        latent = encode()[0]
        spectrogram = compute_log_spectrogram(mixture, n_fft=network.n_fft, hop=network.hop)
        controls = network(mixture, f0)
        excitation = voice.build_excitation(f0, controls, seed, n_samples)
        sources = voice.filter(excitation, controls)

    def decode() -> list[Tensor]:
        with (
            mock.patch.object(network, "encoder", _Found(latent)),
            mock.patch.object(estimator, "compute_log_spectrogram", return_value=spectrogram),
        ):
            return list(network(mixture, f0).values())

    def harmonics() -> list[Tensor]:
        amplitude = _leaf(controls["harmonic_amplitude"]).squeeze(-1)
        source = harmonic_source(
            f0,
            amplitude,
            **frames,
            rate=voice.rate,
            max_harmonics=voice.max_harmonics,
            edges=voice.f0_edges,
        )
        return [fir_filter(source, voice.rolloff)]

    def noise() -> list[Tensor]:
        taps = frequency_sampled_fir(_leaf(controls["noise_magnitudes"]))
        white = uniform_noise(seed, f0.shape[1], n_samples).to(taps.dtype)
        gain = upsample(_leaf(controls["noise_gain"]).squeeze(-1), **frames)
        return [gain * fir_filter(white, taps)]

    def resonances() -> list[Tensor]:
        leaves = {name: _leaf(value) for name, value in controls.items()}
        return [voice.filter(_leaf(excitation), leaves)]

    def loss() -> list[Tensor]:
        return [model.loss(_leaf(sources), batch)]

    return {
        "spectrogram and encoder": encode,
        "decoder and heads": decode,
        "harmonic source": harmonics,
        "noise": noise,
        "all-pole filter": resonances,
        "loss": loss,
    }


def forward_backward(model: nn.Module, part: Part, *, repeats: int) -> tuple[float, float]:
    """Median seconds of the forward and of the backward pass, after one of each."""
    forward, backward = [], []
    for _ in range(repeats + 1):
        model.zero_grad()
        begin = time.perf_counter()
        outputs = part()
        middle = time.perf_counter()
        slopes = [torch.full_like(output, 0.01) for output in outputs]
        after = time.perf_counter()
        torch.autograd.backward(outputs, slopes)
        backward.append(time.perf_counter() - after)
        forward.append(middle - begin)
    return float(np.median(forward[1:])), float(np.median(backward[1:]))


def measure(n_singers: int, batch: int, excerpt_s: float, repeats: int) -> dict[str, Any]:
    """`step_s`, and by part `forward_s`, `backward_s` and `share` of the step; `rest_share`."""
    model = build("umss")
    optimizer = model.configure_optimizers()
    data = random_batch(batch, n_singers, excerpt_s)
    step = stepper(model, "umss", data, optimizer)
    step_s = timed(step, repeats=repeats)["median_s"]
    # It meets the gradients of the last step.
    optimiser_s = timed(optimizer.step, repeats=repeats)["median_s"]
    found: dict[str, dict[str, float]] = {}
    for name, part in build_parts(model, data).items():
        forward, backward = forward_backward(model, part, repeats=repeats)
        found[name] = {"forward_s": forward, "backward_s": backward}
    found["optimiser"] = {"forward_s": optimiser_s, "backward_s": 0.0}
    for entry in found.values():
        entry["share"] = (entry["forward_s"] + entry["backward_s"]) / step_s
    rest = 1.0 - sum(entry["share"] for entry in found.values())
    return {"step_s": step_s, "parts": found, "rest_share": rest}
