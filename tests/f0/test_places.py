"""Places of singers: levels along their tracks, in any file, rate and blocks; what they give."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from numpy.typing import NDArray

from src.audio import Examination, resample
from src.f0.estimate import F0Estimator, estimate_file
from src.f0.identity import SingerIdentity
from src.f0.places import Channels, hold_channels, measure_places, open_channels
from src.f0.salience import Assigner, Salience
from src.hearing import Mix
from tests.f0.fakes import ToneSalience
from tests.f0.test_identity import agree, cross, sing

Array = NDArray[np.float32]
GAINS = np.array([[0.9, 0.4], [0.4, 0.9]], np.float32)  # of singers in channels
APART = 20 * np.log10(0.9 / 0.4)  # dB between the channels


def pan(f0: Array) -> Array:
    """Two voices that sound the same, left and right."""
    voices = np.stack([sing(f0[:, j], 1000.0) for j in range(2)])
    return np.asarray(GAINS.T @ voices, dtype=np.float32)


@pytest.mark.parametrize("rate", [8000, 16_000, 44_100, 48_000])
def test_levels_are_those_of_the_gains(rate: int) -> None:
    f0 = cross()
    channels = hold_channels(resample(pan(f0), 16_000, rate), rate, Mix())
    assert channels is not None
    places = measure_places(channels, f0)
    assert places is not None and places.shape == (-(-len(f0) // 2), 2, 3)
    # Frames that see nothing but one pitch of each.
    inside = (np.arange(len(f0)) % 50 > 6) & (np.arange(len(f0)) % 50 < 24)
    levels = places[inside[::2]]
    assert np.nanmedian(np.abs(levels[:, 0] - APART / 2)) < 0.6
    assert np.nanmedian(np.abs(levels[:, 1] + APART / 2)) < 0.6
    assert np.isnan(places[15]).all()  # nobody sings


def test_blocks_of_any_size_give_the_same() -> None:
    f0 = cross()
    audio = pan(f0)
    used = np.ones(2, dtype=np.bool_)
    whole = measure_places(Channels(lambda: [audio], 16_000, used), f0)
    for size in (100, 7777):
        blocks = [audio[:, i : i + size] for i in range(0, audio.shape[1], size)]
        # A default that is bound now, not when it is read.
        cut = Channels(lambda blocks=blocks: blocks, 16_000, used)  # type: ignore[misc]
        found = measure_places(cut, f0)
        assert found is not None and whole is not None
        np.testing.assert_allclose(found, whole, rtol=0, atol=1e-3)


def test_a_recording_that_is_shorter_than_its_tracks_ends_in_silence() -> None:
    f0 = cross()
    channels = hold_channels(pan(f0)[:, :50_000], 16_000, Mix())
    assert channels is not None
    places = measure_places(channels, f0)
    assert places is not None and np.isnan(places[110:]).all()


@pytest.mark.parametrize("gains", [(1.0, 1.0), (1.0, 0.5), (1.0, 1.0, 0.2)])
def test_one_signal_on_several_channels_has_no_places(gains: tuple[float, ...]) -> None:
    f0 = cross()
    mono = sing(f0[:, 0], 600.0) + sing(f0[:, 1], 1500.0, 1)
    stored = np.round(np.array(gains)[:, None] * mono * 32_768) / 32_768
    channels = hold_channels(stored.astype(np.float32), 16_000, Mix())
    assert channels is not None and measure_places(channels, f0) is None


def test_channels_that_are_not_listened_to_say_nothing(tmp_path: Path) -> None:
    f0 = cross()
    noise = 0.3 * np.random.default_rng(0).normal(size=(1, len(f0) * 256))
    audio = np.concatenate([pan(f0), noise]).astype(np.float32)
    mix = Mix(np.array([0.5, 0.5, 0.0], np.float32))
    path = tmp_path / "three.wav"
    sf.write(path, audio.T, 16_000, subtype="FLOAT")
    found = Examination(audio.shape[1], 16_000, 3, mix)
    for channels in (hold_channels(audio, 16_000, mix), open_channels(path, found)):
        assert channels is not None
        two = hold_channels(audio[:2], 16_000, Mix())
        assert two is not None
        np.testing.assert_array_equal(measure_places(channels, f0), measure_places(two, f0))
    one = Mix(np.array([0.0, 1.0, 0.0], np.float32))
    assert hold_channels(audio, 16_000, one) is None
    assert open_channels(path, replace(found, mix=one)) is None


class Tracks(Assigner):
    """Tracks that are known, by height."""

    def __init__(self, f0: Array) -> None:
        self.f0 = -np.sort(-f0, axis=1)

    def __call__(self, salience: Salience, n_singers: int, **_: object) -> Array:
        return self.f0[: len(salience.times)]


def build_estimator(f0: Array, *, places: bool) -> F0Estimator:
    identity = SingerIdentity(unisons=False, places=places)
    return F0Estimator(ToneSalience(), Tracks(f0), retune=False, identity=identity)


def test_a_file_of_two_channels_tells_equal_voices_apart(tmp_path: Path) -> None:
    f0 = cross()
    path = tmp_path / "duet.wav"
    sf.write(path, pan(f0).T, 16_000, subtype="FLOAT")
    right = estimate_file(path, build_estimator(f0, places=True), 2).contours.f0
    assert agree(right, f0) > 0.95
    deaf = estimate_file(path, build_estimator(f0, places=False), 2).contours.f0
    assert agree(deaf, f0) < 0.9


def test_mono_on_two_channels_is_mono(tmp_path: Path) -> None:
    f0 = cross()
    mono = sing(f0[:, 0], 600.0) + sing(f0[:, 1], 1500.0, 1)
    estimator = build_estimator(f0, places=True)
    found = []
    for name, audio in (("mono", mono), ("both", np.stack([mono, mono], axis=1))):
        sf.write(tmp_path / f"{name}.wav", audio, 16_000, subtype="FLOAT")
        found.append(estimate_file(tmp_path / f"{name}.wav", estimator, 2).contours)
    np.testing.assert_array_equal(found[0].f0, found[1].f0)
    assert found[0].confidence is not None and found[1].confidence is not None
    np.testing.assert_array_equal(found[0].confidence, found[1].confidence)
