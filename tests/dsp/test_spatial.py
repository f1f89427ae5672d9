"""Sources told apart by their places, and where partials are heard."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from src.dsp.spatial import PlaceSettings, compare_places, measure_place, separate_by_place
from src.errors import UmssError

RATE, SAMPLES = 16_000, 24_000
SETTINGS = PlaceSettings(n_fft=1024, hop=256)


def sing(seed: int, *f0: float) -> Tensor:
    """Vibrato tones [J, T] with eight partials."""
    generator = torch.Generator().manual_seed(seed)
    time = torch.arange(SAMPLES) / RATE
    voices = []
    for hertz in f0:
        rate, start = 4 + 2 * torch.rand(2, generator=generator)
        phase = 2 * math.pi * hertz * time + 3 * torch.sin(2 * math.pi * rate * time + start)
        voices.append(sum(torch.sin(h * phase) / h for h in range(1, 9)))
    return torch.stack(voices)


def pan(voices: Tensor, *gains: tuple[float, ...]) -> Tensor:
    """Images [J, C, T] of voices [J, T]."""
    return voices.unsqueeze(1) * torch.tensor(gains).unsqueeze(-1)


def blur(images: Tensor, leak: float) -> Tensor:
    """Stems [J, C, T] that have exchanged a share of their energy, and still sum to the same."""
    others = images.sum(dim=0) - images
    return (1 - leak) * images + leak / (len(images) - 1) * others


def measure_error(images: Tensor, stems: Tensor) -> float:
    return float(10 * torch.log10((images - stems).square().sum() / images.square().sum()))


def test_places_undo_what_was_exchanged() -> None:
    images = pan(sing(0, 220.0, 277.0), (1.0, 0.4), (0.5, 1.0))
    stems = blur(images, 0.25)
    found = separate_by_place(images.sum(dim=0), stems, SETTINGS)
    assert measure_error(images, found) < measure_error(images, stems) - 6.0
    assert measure_error(images.sum(dim=0), found.sum(dim=0)) < -55.0


def test_delays_are_places_too() -> None:
    voices = sing(1, 196.0, 294.0)
    later = torch.stack([voices[0].roll(9), voices[1].roll(-6)])
    images = torch.stack([voices, later], dim=1)
    stems = blur(images, 0.25)
    found = separate_by_place(images.sum(dim=0), stems, SETTINGS)
    assert measure_error(images, found) < measure_error(images, stems) - 4.0


def test_three_channels() -> None:
    images = pan(sing(2, 220.0, 277.0, 330.0), (1.0, 0.3, 0.1), (0.4, 1.0, 0.4), (0.1, 0.3, 1.0))
    stems = blur(images, 0.3)
    found = separate_by_place(images.sum(dim=0), stems, SETTINGS)
    assert measure_error(images, found) < measure_error(images, stems) - 6.0


@pytest.mark.parametrize("gains", [(1.0, 1.0), (1.0, 0.3), (1.0, 0.0), (1.0, -0.5)])
def test_mono_on_two_channels_stays_what_it_is(gains: tuple[float, float]) -> None:
    images = pan(sing(3, 220.0, 277.0), gains, gains)
    stems = blur(images, 0.25)
    assert torch.equal(separate_by_place(images.sum(dim=0), stems, SETTINGS), stems)


def test_one_place_with_noise_stays_what_it_is() -> None:
    images = pan(sing(4, 220.0, 277.0), (1.0, 1.0), (1.0, 1.0))
    noise = torch.randn(images[0].shape, generator=torch.Generator().manual_seed(0))
    images = images + 0.05 * noise  # shared out
    stems = blur(images, 0.25)
    assert torch.equal(separate_by_place(images.sum(dim=0), stems, SETTINGS), stems)


def test_places_that_are_nearly_alike_change_half() -> None:
    images = pan(sing(5, 220.0, 277.0), (1.0, 0.6), (0.8, 1.0))
    stems = blur(images, 0.25)
    whole = separate_by_place(images.sum(dim=0), stems, SETTINGS)
    apart = PlaceSettings(n_fft=1024, hop=256, alike=0.0, unlike=1e6)
    assert torch.allclose(separate_by_place(images.sum(dim=0), stems, apart), stems, atol=1e-3)
    assert not torch.allclose(whole, stems, atol=1e-2)


def test_a_silent_source_stays_silent() -> None:
    images = pan(sing(6, 220.0, 277.0), (1.0, 0.4), (0.5, 1.0))
    stems = torch.cat([blur(images, 0.25), torch.zeros_like(images[:1])])
    found = separate_by_place(images.sum(dim=0), stems, SETTINGS)
    assert found[2].abs().max() < 1e-4


def test_silence_and_a_single_source() -> None:
    silent = torch.zeros(2, 2, 4000)
    assert torch.equal(separate_by_place(silent[0], silent, SETTINGS), silent)
    one = pan(sing(7, 220.0), (1.0, 0.5))
    assert torch.equal(separate_by_place(one[0], one, SETTINGS), one)


def test_distance_of_places() -> None:
    def spread(angle: float, wide: float) -> Tensor:
        way = torch.tensor([math.cos(angle), math.sin(angle)])
        return (torch.outer(way, way) + wide * torch.eye(2)).to(torch.complex64)

    def compare(first: Tensor, second: Tensor) -> float:
        return compare_places(torch.stack([first, second])[None], torch.ones(1, 2))

    assert compare(spread(0.7, 0.1), spread(0.7, 0.1)) == pytest.approx(0.0, abs=1e-5)
    near, far = (compare(spread(0.7, 0.1), spread(0.7 + x, 0.1)) for x in (0.1, 0.6))
    assert 0 < near < far
    assert compare(spread(0.7, 0.3), spread(1.3, 0.3)) < far


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"iterations": 0}, "places.iterations"),
        ({"trust": 1.5}, "places.trust"),
        ({"alike": 0.6}, "places.alike"),
        ({"hop": 3000}, "places.hop"),
    ],
)
def test_settings_out_of_range(change: dict[str, float], name: str) -> None:
    with pytest.raises(UmssError, match=name):
        PlaceSettings(**change)  # type: ignore[arg-type]


def test_levels_and_phases_of_partials() -> None:
    time = torch.arange(SAMPLES) / RATE
    delay = 4  # samples
    tone = sum(torch.sin(2 * math.pi * 250 * h * time) for h in (1, 2, 3))
    channels = torch.stack([tone, 0.5 * tone.roll(delay)])
    f0 = torch.full((-(-SAMPLES // 256),), 250.0)
    f0[-20:] = 0
    place = measure_place(channels, f0, rate=RATE, hop=256, n_partials=3)
    middle = slice(8, -30)
    expected = -2 * math.pi * 250 * torch.arange(1, 4) * delay / RATE
    assert torch.allclose(place.level[0, middle], torch.tensor(-6.02), atol=0.05)
    assert torch.allclose(place.phase[0, middle], expected.expand(place.phase[0, middle].shape),
                          atol=0.02)  # fmt: skip
    assert place.coherence[0, middle].min() > 0.999
    assert (place.power[middle] > 0).all()
    for values in (place.level, place.phase, place.coherence, place.power):
        assert (values[..., -20:, :] == 0).all()


def test_partials_above_the_highest_frequency_have_no_place() -> None:
    channels = torch.randn(3, 4096, generator=torch.Generator().manual_seed(0))
    place = measure_place(channels, torch.full((16,), 3000.0), rate=RATE, hop=256, n_partials=4)
    assert place.level.shape == (2, 16, 4)
    assert (place.power[:, 2:] == 0).all()
    assert (place.power[:, :2] > 0).all()
