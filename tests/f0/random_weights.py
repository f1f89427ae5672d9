"""Random weights with the names and shapes of the published networks."""

from __future__ import annotations

from pathlib import Path

import numpy as np

Arrays = dict[str, np.ndarray]


def _conv(rng: np.random.Generator, shape: tuple[int, ...]) -> Arrays:
    scale = np.sqrt(2 / np.prod(shape[:3]))
    kernel = scale * rng.standard_normal(shape)
    return {"kernel": kernel, "bias": 0.1 * rng.standard_normal(shape[3])}


def _norm(rng: np.random.Generator, channels: int) -> Arrays:
    return {
        "gamma": rng.uniform(0.5, 1.5, channels),
        "beta": 0.3 * rng.standard_normal(channels),
        "moving_mean": 0.3 * rng.standard_normal(channels),
        "moving_variance": rng.uniform(0.5, 2, channels),
    }


def _flat(layers: dict[str, Arrays], joint: str, suffix: str = "") -> Arrays:
    return {
        f"{layer}{joint}{name}{suffix}": values.astype(np.float32)
        for layer, arrays in layers.items()
        for name, values in arrays.items()
    }


def late_deep(seed: int = 0) -> Arrays:
    rng = np.random.default_rng(seed)
    layers: dict[str, Arrays] = {}
    for branch in ("magnitude", "phase_differential"):
        widths = (5, 16, 32, 32, 32, 32, 32)
        for index, width in enumerate(widths):
            layers[f"{branch}.bn{index}"] = _norm(rng, width)
        for index in range(1, 5):
            layers[f"{branch}.conv{index}"] = _conv(rng, (5, 5, *widths[index - 1 : index + 1]))
        for index in (1, 2):
            layers[f"{branch}.harm{index}"] = _conv(rng, (70, 3, 32, 32))
    for index in (7, 8):
        layers[f"conv{index}"] = _conv(rng, (3, 3, 64, 64))
        layers[f"bn{index}"] = _norm(rng, 64)
    layers["distribution"] = _conv(rng, (360, 1, 64, 8))
    layers["bn9"] = _norm(rng, 8)
    layers["squishy"] = _conv(rng, (1, 1, 8, 1))
    return _flat(layers, ".")


def voas(seed: int = 0) -> Arrays:
    rng = np.random.default_rng(seed)
    layers = {
        "conv1": _conv(rng, (3, 3, 1, 32)),
        "conv2": _conv(rng, (3, 3, 32, 32)),
        "conv_harm_1": _conv(rng, (70, 3, 32, 16)),
        "conv_harm_2": _conv(rng, (70, 3, 16, 16)),
    }
    for index, voice in enumerate(("soprano", "alto", "tenor", "bass"), start=1):
        layers[f"conv{index}a"] = _conv(rng, (3, 3, 16, 16))
        layers[f"conv{index}b"] = _conv(rng, (3, 3, 16, 16))
        layers[f"conv_{voice}"] = _conv(rng, (1, 1, 16, 1))
    for index, width in enumerate((1, 32, 32, 16, 16, 16, 16, 16, 16)):
        layers["batch_normalization" + (f"_{index}" if index else "")] = _norm(rng, width)
    return _flat(layers, "/", ":0")


def save(path: Path, arrays: Arrays) -> Path:
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return path
