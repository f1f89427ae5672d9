"""Reverberation: heard where it is, and taken off the recording."""

import numpy as np
import pytest
import torch

from src.data.room import draw_impulse_responses
from src.dsp.harmonic import harmonic_source
from src.dsp.reverberation import (
    ReverberationSuppressor,
    measure_dryness,
    suppress_reverberation,
)
from src.dsp.tracks import HOP, RATE
from src.errors import UmssError

ROOM = {"seconds": 1.8, "direct": 0.0, "least": 0.1, "rate": RATE}


@pytest.fixture(scope="module")
def notes() -> torch.Tensor:
    """Two lines of notes of half a second, a semitone or more apart, [T]."""
    steps = torch.tensor(
        [[0, 4, 2, 5, 7, 3, 8, 2, 6, 0, 9, 4], [5, 2, 7, 0, 3, 8, 2, 6, 1, 4, 0, 7]]
    )
    f0 = torch.tensor([[220.0], [330.0]]) * 2.0 ** (steps / 12.0)
    f0 = f0.repeat_interleave(31, dim=1)[None]
    source = harmonic_source(
        f0, torch.ones_like(f0), n_samples=f0.shape[-1] * HOP, hop=HOP, rate=RATE
    )
    return source.sum(dim=1)[0]


def _put_into(notes: torch.Tensor, seconds: float, direct: float) -> torch.Tensor:
    response = draw_impulse_responses(1, seconds, direct, np.random.default_rng(0))[0]
    n = len(notes) + len(response) - 1
    spectrum = torch.fft.rfft(notes, n) * torch.fft.rfft(torch.from_numpy(response), n)
    return torch.fft.irfft(spectrum, n)[: len(notes)]


def test_churches_are_told_from_dry_rooms(notes: torch.Tensor) -> None:
    dry = measure_dryness(notes, rate=RATE)
    church = measure_dryness(_put_into(notes, 1.8, 0.0), rate=RATE)
    dome = measure_dryness(_put_into(notes, 3.0, -3.0), rate=RATE)
    assert dry > 0.15
    assert dome < church < 0.08


def test_dryness_does_not_depend_on_level(notes: torch.Tensor) -> None:
    loud, quiet = (measure_dryness(g * notes, rate=RATE) for g in (1.0, 1e-3))
    assert loud == pytest.approx(quiet, rel=1e-3)


def test_silence_tells_nothing() -> None:
    assert measure_dryness(torch.zeros(5 * RATE), rate=RATE) == 1.0
    assert not suppress_reverberation(torch.zeros(5 * RATE), **ROOM).any()


def test_nothing_subtracted_is_the_same_signal() -> None:
    # More frames than one block holds, and a length that is no multiple of the hop.
    signal = torch.randn(4200 * HOP + 77, generator=torch.Generator().manual_seed(0))
    same = suppress_reverberation(signal, **{**ROOM, "least": 1.0})
    assert torch.allclose(same, signal, atol=1e-5)


def test_what_a_room_adds_is_weaker_afterwards(notes: torch.Tensor) -> None:
    wet = _put_into(notes, 1.8, 0.0)
    fewer = suppress_reverberation(wet, **ROOM)
    # A note of the first line ends, and another begins: how much of the first is still there?
    window = torch.hann_window(RATE // 4)

    def level(signal: torch.Tensor, hertz: float, second: float) -> float:
        piece = signal[round(second * RATE) :][: len(window)] * window
        carrier = torch.exp(-2j * torch.pi * hertz * torch.arange(len(piece)) / RATE)
        return 20.0 * float((piece * carrier).sum().abs().log10())

    ended, goes_on = 220.0, 330.0 * 2 ** (2 / 12)
    lost = [level(x, ended, 0.65) - level(x, goes_on, 0.65) for x in (wet, fewer)]
    assert lost[1] < lost[0] - 2.0


def test_dry_and_short_recordings_stay(notes: torch.Tensor) -> None:
    suppress = ReverberationSuppressor()
    dry, church = notes.numpy(), _put_into(notes, 1.8, 0.0).numpy()
    assert suppress(dry) is dry
    short = church[: 3 * RATE]
    assert suppress(short) is short
    assert not np.array_equal(suppress(church), church)
    assert suppress(church).shape == church.shape


@pytest.mark.parametrize("settings", [{"seconds": 0.0}, {"least": 1.5}])
def test_unusable_settings(settings: dict[str, float]) -> None:
    with pytest.raises(UmssError, match=next(iter(settings))):
        ReverberationSuppressor(**settings)
