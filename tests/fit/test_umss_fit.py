"""A network's voices as the beginning of a fit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from src.dsp.stft import stft
from src.fit.spectra import FitSettings
from src.fit.umss import UmssFitSeparator
from src.metrics.frames import si_sdr
from src.models.loading import CheckpointError
from src.models.umss import UmssSeparator
from tests.fit.test_fit import voices
from tests.tiny_training import tiny_checkpoint


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return tiny_checkpoint(tmp_path)


def test_harmonics_are_the_voices_without_noise(checkpoint: Path) -> None:
    """Between the harmonics of a steady tone there is nothing left."""
    separator = UmssSeparator(checkpoint)
    mixture = torch.sin(0.2 * torch.arange(16_000)).unsqueeze(0)
    f0 = torch.full((1, 1, 63), 500.0)
    level = [
        stft(x)[0, 0, :, 20:40].abs().mean(dim=-1)
        for x in (
            separator.synthesise_harmonics(mixture, [f0])[0][0],
            separator(mixture, f0).synthesised,
        )
        if x is not None
    ]
    between = torch.arange(96, 900, 64)  # halfway from harmonic to harmonic, 64 bins apart
    assert level[0][between].max() < 1e-2 * level[0].max()
    assert (level[0][between] < 0.2 * level[1][between]).all()
    quiet, loud = (
        separator.synthesise_harmonics(mixture, [f0])[0][0],
        separator.synthesise_harmonics(10.0 * mixture, [f0])[0][0],
    )
    assert (loud - 10.0 * quiet).norm() < 0.05 * loud.norm()


def test_the_same_voices_sing_along_other_tracks(checkpoint: Path) -> None:
    separator = UmssSeparator(checkpoint)
    mixture = torch.sin(0.2 * torch.arange(16_000)).unsqueeze(0)
    low, high = (torch.full((1, 1, 63), hertz) for hertz in (250.0, 500.0))
    (first, second), found, peak = separator.synthesise_harmonics(mixture, [low, high])
    (alone,), controls, _ = separator.synthesise_harmonics(mixture, [low])
    torch.testing.assert_close(first, alone)
    assert found.keys() == controls.keys()
    for name, value in controls.items():
        torch.testing.assert_close(found[name], value)
    # What these parameters sing along the other track.
    silent = controls | {"noise_gain": torch.zeros_like(controls["noise_gain"])}
    with torch.inference_mode():
        sung = separator.model.voice(high, silent, torch.zeros(1, dtype=torch.int64), 16_000)
    torch.testing.assert_close(second, sung * peak.unsqueeze(1))


def test_the_fit_improves_on_the_untrained_network(checkpoint: Path) -> None:
    sources, f0 = voices()
    mixture = sources.sum(dim=1)
    network = si_sdr(UmssSeparator(checkpoint, mask="power")(mixture, f0).sources, sources)
    fitted = si_sdr(UmssFitSeparator(checkpoint, opinions=None)(mixture, f0).sources, sources)
    assert fitted.mean() > network.mean() + 1.0


@pytest.mark.parametrize("case", ["silent mixture", "silent voice", "nobody sings"])
def test_edge_cases(checkpoint: Path, case: str) -> None:
    sources, f0 = voices(8000)
    mixture = sources.sum(dim=1) * (case != "silent mixture")
    f0[:, 1 if case == "silent voice" else slice(None)] *= float(case == "silent mixture")
    result = UmssFitSeparator(checkpoint, opinions=None, spectra=FitSettings(max_iterations=5))(
        mixture, f0
    )
    assert torch.isfinite(result.sources).all()
    torch.testing.assert_close(result.sources.sum(dim=1), mixture, atol=1e-5, rtol=1e-4)


def test_foreign_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        UmssFitSeparator(tmp_path / "none.ckpt", opinions=None)
