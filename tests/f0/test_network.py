"""The salience network and its use on whole recordings."""

import numpy as np
import pytest
import torch

from src.f0 import network
from src.f0.network import SalienceNetwork, VoiceSalience, shift_bins, start_from


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(0)
    net = SalienceNetwork()
    # Away from the initial state, where every output is nearly the same.
    for p in net.parameters():
        torch.nn.init.normal_(p, 0.0, 0.2)
    path = tmp_path / "weights.pt"
    torch.save(
        {k: v.half() if v.is_floating_point() else v for k, v in net.state_dict().items()}, path
    )
    return path


@pytest.mark.parametrize("bins", [-7, -1, 0, 2, 9])
def test_shift_reads_higher_bins(bins):
    x = torch.arange(12.0).reshape(1, 1, 12, 1) + 1
    out = shift_bins(x, bins)[0, 0, :, 0]
    for f in range(12):
        assert out[f] == (f + bins + 1 if 0 <= f + bins < 12 else 0)


def test_chunks_do_not_show(weights, monkeypatch):
    audio = np.random.default_rng(0).normal(0, 0.1, 16_000 * 9).astype(np.float32)
    audio[: 16_000 * 3] *= 0.01
    model = VoiceSalience(weights)
    whole = model(audio)
    monkeypatch.setattr(network, "CHUNK_SECONDS", 1.3)
    pieces = model(audio)
    np.testing.assert_allclose(pieces.values, whole.values, atol=2e-4)
    assert whole.values.std() > 1e-3


@pytest.mark.parametrize("n_samples", [1, 255, 256, 257, 5000])
def test_frames_of_short_recordings(weights, n_samples):
    salience = VoiceSalience(weights)(np.ones(n_samples, np.float32))
    assert salience.values.shape == (164, -(-n_samples // 256))
    assert np.isfinite(salience.values).all()


def test_a_network_that_grows_begins_where_the_smaller_one_was(weights, tmp_path):
    small = VoiceSalience(weights)
    grown = SalienceNetwork(n_blocks=5)
    start_from(grown, small.network.state_dict())
    path = tmp_path / "grown.pt"
    torch.save(grown.state_dict(), path)
    audio = np.random.default_rng(1).normal(0, 0.1, 16_000).astype(np.float32)
    large = VoiceSalience(path)
    assert len(large.network.blocks) == 5
    np.testing.assert_allclose(large(audio).values, small(audio).values, atol=1e-6)
    loss = grown.train()(torch.randn(1, 16, 164, 9)).square().sum()
    loss.backward()
    assert grown.blocks[4].norm2.weight.grad.abs().max() > 0  # and can leave it


def test_chunks_do_not_show_in_a_network_with_five_blocks(tmp_path, monkeypatch):
    torch.manual_seed(1)
    net = SalienceNetwork(n_blocks=5)
    for p in net.parameters():
        torch.nn.init.normal_(p, 0.0, 0.2)
    torch.save(net.state_dict(), tmp_path / "five.pt")
    audio = np.random.default_rng(0).normal(0, 0.1, 16_000 * 4).astype(np.float32)
    model = VoiceSalience(tmp_path / "five.pt")
    whole = model(audio)
    monkeypatch.setattr(network, "CHUNK_SECONDS", 1.3)
    np.testing.assert_allclose(model(audio).values, whole.values, atol=2e-4)


def test_missing_and_foreign_weights(tmp_path):
    with pytest.raises(ValueError, match=r"nothing\.pt.*train-f0"):
        VoiceSalience(tmp_path / "nothing.pt")
    (tmp_path / "text.pt").write_text("hello")
    with pytest.raises(ValueError, match=r"text\.pt"):
        VoiceSalience(tmp_path / "text.pt")
    torch.save({"weight": torch.zeros(3)}, tmp_path / "other.pt")
    with pytest.raises(ValueError, match=r"other\.pt"):
        VoiceSalience(tmp_path / "other.pt")


def chord(pitches, seconds=2.0):
    """Sung-like tones: twelve falling harmonics with vibrato and a vowel."""
    time = np.arange(round(seconds * 16_000)) / 16_000
    mix = np.zeros_like(time)
    for k, f0 in enumerate(pitches):
        phase = (
            2 * np.pi * np.cumsum(f0 * (1 + 0.004 * np.sin(2 * np.pi * 5.3 * time + k))) / 16_000
        )
        for h in range(1, 13):
            formants = sum(
                np.exp(-(((f0 * h - c) / w) ** 2))
                for c, w in ((600, 250), (1100, 300), (2700, 500))
            )
            mix += (0.05 + formants) / h**0.5 * np.sin(h * phase) * (f0 * h < 7_500)
    return (0.05 * mix).astype(np.float32)


@pytest.mark.parametrize("pitches", [(220.0,), (392.0, 262.0), (523.0, 392.0, 330.0, 131.0)])
def test_the_shipped_network_hears_a_chord(pitches):
    salience = VoiceSalience()(chord(pitches))
    middle = salience.values[:, 40:-40].mean(axis=1)
    for f0 in pitches:
        near = np.abs(1200 * np.log2(salience.frequencies / f0)) < 50
        assert middle[near].max() > 0.5, f0
    elsewhere = (
        np.min([np.abs(1200 * np.log2(salience.frequencies / f0)) for f0 in pitches], axis=0) > 80
    )
    assert middle[elsewhere].max() < 0.3


def test_the_shipped_weights_are_small():
    assert network.WEIGHTS.stat().st_size < 3_000_000
