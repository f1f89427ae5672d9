from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from src.f0.published.hcqt import bin_frequencies, frame_times
from src.f0.published.voas import VoasAssigner, VoasCnn
from src.f0.salience import Salience
from tests.f0 import keras_reference as keras
from tests.f0 import random_weights


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "voas_cnn.npz"
    return random_weights.save(path, random_weights.voas())


def chord(pitches: list[float], n_frames: int) -> Salience:
    """Salience as the network was trained on: each pitch a bump two bins wide."""
    bins = 60 * np.log2(np.array(pitches) / 32.7)
    values = np.exp(-0.5 * (np.arange(360)[:, None] - bins) ** 2).max(axis=1)
    values = np.repeat(values[:, None], n_frames, axis=1).astype(np.float32)
    return Salience(values, bin_frequencies(), frame_times(n_frames))


def test_network_is_the_published_one(weights: Path) -> None:
    arrays = random_weights.voas()
    torch.manual_seed(0)
    salience = torch.rand(2, 360, 6)
    name = "batch_normalization"
    x = keras.norm(salience[:, None], arrays, f"{name}/", ":0")
    for index, layer in enumerate(("conv1", "conv2", "conv_harm_1", "conv_harm_2"), start=1):
        x = keras.conv(x, arrays, f"{layer}/", ":0").relu()
        x = keras.norm(x, arrays, f"{name}_{index}/", ":0")
    voices = []
    for index, voice in enumerate(("soprano", "alto", "tenor", "bass"), start=1):
        y = keras.conv(x, arrays, f"conv{index}a/", ":0").relu()
        y = keras.norm(y, arrays, f"{name}_{4 + index}/", ":0")
        y = keras.conv(y, arrays, f"conv{index}b/", ":0").relu()
        voices.append(torch.sigmoid(keras.conv(y, arrays, f"conv_{voice}/", ":0")))
    expected = torch.cat(voices, dim=1)
    assert expected.std() > 0.1
    found = VoasCnn.load(weights)(salience)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


def test_a_voice_sings_where_its_salience_is_highest(weights: Path) -> None:
    values = np.random.default_rng(0).random((360, 50)).astype(np.float32)
    salience = Salience(values, bin_frequencies(), frame_times(50))
    assigner = VoasAssigner(weights, thresholds=(0.0, 0.0, 0.0, 1.1))
    ((_, voices),) = assigner.split(salience)
    tracks = assigner(salience, 4)
    assert tracks.shape == (50, 4) and tracks.dtype == np.float32
    assert (tracks[:, 3] == 0).all()
    for voice in range(3):
        expected = bin_frequencies()[voices[voice].argmax(axis=0)]
        np.testing.assert_allclose(tracks[:, voice], expected, rtol=1e-6)
    parts = dict(VoasAssigner(weights, chunk_frames=9).split(salience))
    assert list(parts) == list(range(0, 50, 9))
    np.testing.assert_allclose(np.concatenate(list(parts.values()), axis=2), voices, atol=1e-4)


def test_what_the_method_cannot_do_is_said(weights: Path) -> None:
    assigner = VoasAssigner(weights)
    salience = chord([200.0], 5)
    with pytest.raises(ValueError, match=r"four singers.*n_singers=4"):
        assigner(salience, 3)
    with pytest.raises(ValueError, match="score"):
        assigner(salience, 4, prior=np.zeros((5, 4), np.float32))
    other = Salience(np.zeros((10, 5), np.float32), 55 * 2 ** (np.arange(10) / 36), salience.times)
    with pytest.raises(ValueError, match="CuestaLateDeep"):
        assigner(other, 4)
    with pytest.raises(ValueError, match="thresholds"):
        VoasAssigner(weights, thresholds=(0.1, 0.2))  # type: ignore[arg-type]


def test_published_weights_tell_the_voices_of_a_chord(shared_dir: Path) -> None:
    path = shared_dir / "models/voas_cnn/voas_cnn.npz"
    if not path.is_file():
        pytest.skip(f"published weights are missing: no {path}")
    pitches = [523.3, 329.6, 220.0, 110.0]
    tracks = VoasAssigner(path)(chord(pitches, 60), 4)[20:40]
    cents = 1200 * np.abs(np.log2(np.median(tracks, axis=0) / pitches))
    assert (cents < 50).all()
