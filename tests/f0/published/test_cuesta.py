from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from src.f0.published.cuesta import CuestaLateDeep, LateDeep
from src.f0.published.hcqt import bin_frequencies
from tests.f0 import keras_reference as keras
from tests.f0 import random_weights


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "late_deep.npz"
    return random_weights.save(path, random_weights.late_deep())


def published_network(arrays: dict[str, np.ndarray], inputs: dict[str, Tensor]) -> Tensor:
    """The network as its authors describe it, layer by layer."""
    branches = []
    for branch, x in inputs.items():
        x = keras.norm(x, arrays, f"{branch}.bn0.")
        for index, layer in enumerate(("conv1", "conv2", "conv3", "conv4", "harm1", "harm2"), 1):
            x = keras.conv(x, arrays, f"{branch}.{layer}.").relu()
            x = keras.norm(x, arrays, f"{branch}.bn{index}.")
        branches.append(x)
    x = torch.cat(branches, dim=1)
    for layer, index in (("conv7", 7), ("conv8", 8), ("distribution", 9)):
        x = keras.norm(keras.conv(x, arrays, f"{layer}.").relu(), arrays, f"bn{index}.")
    return torch.sigmoid(keras.conv(x, arrays, "squishy."))[:, 0]


def test_network_is_the_published_one(weights: Path) -> None:
    torch.manual_seed(0)
    inputs = {
        "magnitude": -40 + 20 * torch.randn(2, 5, 360, 6),
        "phase_differential": torch.randn(2, 5, 360, 6),
    }
    with torch.inference_mode():
        expected = published_network(random_weights.late_deep(), inputs)
        found = LateDeep.load(weights)(*inputs.values())
    assert expected.std() > 0.1
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


def test_result_does_not_depend_on_the_chunks(weights: Path) -> None:
    audio = np.random.default_rng(0).standard_normal(16_000).astype(np.float32)
    whole = CuestaLateDeep(weights, chunk_frames=1000)(audio)
    assert whole.values.shape == (360, 1 + 22_050 // 256)
    np.testing.assert_array_equal(whole.frequencies, bin_frequencies())
    np.testing.assert_allclose(np.diff(whole.times), 256 / 22_050)
    parts = CuestaLateDeep(weights, chunk_frames=20)(audio)
    # Random weights exaggerate the rounding of phases at inaudible bins.
    difference = np.abs(parts.values - whole.values)
    assert np.quantile(difference, 0.99) < 1e-4 and difference.max() < 0.05


def test_bad_arguments_are_named(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="chunk_frames"):
        CuestaLateDeep(weights, chunk_frames=0)
    with pytest.raises(ValueError, match=r"absent.npz.*umss published-weights"):
        CuestaLateDeep(tmp_path / "absent.npz")


def test_a_sung_tone_is_found_by_the_published_weights(shared_dir: Path) -> None:
    path = shared_dir / "models/cuesta2020_late_deep/late_deep.npz"
    if not path.is_file():
        pytest.skip(f"published weights are missing: no {path}")
    time = np.arange(16_000) / 16_000
    phase = 2 * np.pi * 220.0 * time + 0.4 * np.sin(2 * np.pi * 5.5 * time)
    tone = sum(np.sin(i * phase) / i for i in range(1, 20)).astype(np.float32)
    model = CuestaLateDeep(path)
    salience = model(tone)
    top = salience.frequencies[salience.values[:, 10:-10].argmax(axis=0)]
    assert np.abs(1200 * np.log2(top / 220)).max() < 50
    assert np.median(salience.values.max(axis=0)) > 0.5
    assert model(np.zeros(8_000, np.float32)).values.max() < 0.5
