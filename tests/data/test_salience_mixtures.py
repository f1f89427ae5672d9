"""Training mixtures of the salience network."""

import numpy as np
import pytest
import torch

from src.data.prepared import prepare
from src.data.readers import build_reader
from src.data.readers.base import DataError
from src.data.salience_mixtures import Pool, SalienceMixtures
from src.data.salience_variation import Variation
from src.f0.features import bin_frequencies
from src.f0.stems import estimate_stem_f0
from src.f0.training import build_targets

SONG = "bwv253_ach_bleib_bei_uns"


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    reader = build_reader("generated", None, seed=5, max_seconds=8.0, vary=True)
    prepared = prepare(reader, tmp_path_factory.mktemp("cache"), songs={SONG}, progress=False)
    return Pool((prepared.song(SONG),))


def test_the_same_item_is_always_the_same(pool):
    first = SalienceMixtures([pool], n_items=4, seconds=1.0, seed=3)
    second = SalienceMixtures([pool], n_items=4, seconds=1.0, seed=3)
    for a, b in zip(first[(2, 1)], second[(2, 1)], strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(first[(2, 1)][0], first[(3, 1)][0])
    assert not torch.equal(first[(2, 1)][0], first[(2, 2)][0])


# Nothing but the voices: every test switches on what it is about.
PLAIN = {
    "double": 0, "parallel": 0, "section": 0, "formant_share": 0, "band": 0, "overdrive": 0,
    "room": 0, "noise": 0, "accompaniment": 0, "empty": 0, "tilt": 0.5,
}  # fmt: skip


def test_the_pitch_follows_the_speed(pool):
    plain = Variation(n_singers=(1,), **PLAIN)
    items = SalienceMixtures([pool], n_items=12, seconds=2.0, variation=plain)
    errors = []
    for i in range(12):
        audio, f0 = items[(0, i)]
        truth = f0.max(dim=0).values.numpy()
        heard = estimate_stem_f0(audio.numpy())
        both = (truth > 0) & (heard > 0)
        errors += list(np.abs(1200 * np.log2(heard[both] / truth[both])))
    assert len(errors) > 300
    assert np.median(errors) < 15
    assert np.mean(np.array(errors) < 50) > 0.93


def test_the_number_of_singers(pool):
    alone = Variation(n_singers=(0, 0, 1), free=0, **PLAIN)
    items = SalienceMixtures([pool], n_items=5, seconds=2.0, variation=alone)
    counts = [(items[(0, i)][1] > 0).any(dim=1).sum() for i in range(5)]
    assert max(counts) <= 3 and np.mean(counts) > 2
    empty = SalienceMixtures([pool], n_items=3, seconds=1.0, variation=Variation(empty=1.0))
    audio, f0 = empty[(0, 0)]
    assert not f0.any() and torch.isfinite(audio).all() and audio.abs().max() > 0


@pytest.mark.parametrize(
    "one", ["parallel", "section", "formant_share", "band", "overdrive", "room", "noise",
            "accompaniment", "empty"],
)  # fmt: skip
def test_every_variation_changes_the_sound(pool, one):
    plain = SalienceMixtures([pool], n_items=2, seconds=1.0, variation=Variation(**PLAIN))
    varied = Variation(**(PLAIN | {one: 1.0}))
    other = SalienceMixtures([pool], n_items=2, seconds=1.0, variation=varied)
    for index in range(2):
        audio, f0 = other[(0, index)]
        assert audio.shape == (62 * 256,) and f0.shape == (17, 62)
        assert torch.isfinite(audio).all() and audio.abs().max() > 0
        assert not torch.equal(audio, plain[(0, index)][0])


def test_a_room_sounds_of_what_was_sung_before(pool):
    """Without voices inside the mixture, what is heard of them is reverberation."""
    vary = Variation(**(PLAIN | {"room": 1.0}), n_singers=(1,), decay=(3, 3), direct=(-3, -3))
    items = SalienceMixtures([pool], n_items=40, seconds=0.1, variation=vary)
    rests = [audio for audio, f0 in map(items.__getitem__, [(0, i) for i in range(40)])
             if not f0.any()]  # fmt: skip
    assert rests and any(audio.std() > 1e-3 for audio in rests)


def test_a_parallel_voice_keeps_its_interval(pool):
    vary = Variation(**(PLAIN | {"parallel": 1.0}), n_singers=(1,), intervals=(4,), speed=0)
    _, f0 = SalienceMixtures([pool], n_items=4, seconds=1.0, variation=vary)[(0, 1)]
    voiced = (f0 > 0).any(dim=1)
    assert voiced.sum() == 2
    start = f0[:2, :5]  # the two begin together, and come apart as one is faster
    both = (start > 0).all(dim=0)
    assert both.any()
    ratio = 12 * torch.log2(start[1, both] / start[0, both])
    assert (ratio - 4).abs().max() < 0.5


def test_settings_out_of_range_are_named():
    for bad, message in (
        ({"room": 1.5}, r"variation\.room=1\.5: must lie between"),
        ({"speed": -0.1}, r"variation\.speed=-0\.1: must not be negative"),
        ({"decay": (2.0, 1.0)}, r"variation\.decay=\[2\.0, 1\.0\]: expected \[lowest, highest\]"),
        ({"n_singers": (0, 0)}, r"variation\.n_singers=\[0, 0\]: give frequencies"),
    ):
        with pytest.raises(DataError, match=message):
            Variation(**bad)


def test_targets_peak_at_the_pitch():
    f0 = torch.tensor([[[220.0, 0.0], [331.0, 331.0]]])
    salience = build_targets(f0)[0].numpy()
    grid = bin_frequencies().numpy()
    assert salience.shape == (164, 2)
    for n, pitches in enumerate([(220.0, 331.0), (331.0,)]):
        peaks = (
            np.flatnonzero(
                (salience[1:-1, n] > 0.8)
                & (salience[1:-1, n] >= salience[2:, n])
                & (salience[1:-1, n] > salience[:-2, n])
            )
            + 1
        )
        assert len(peaks) == len(pitches)
        for f in pitches:
            assert np.abs(1200 * np.log2(grid[peaks] / f)).min() < 17
