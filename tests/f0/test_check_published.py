"""The published front end against the tracks that its authors computed with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from experiments.f0.check_published import choose, compare, mixture, published_tracks
from src.f0.published.cuesta import CuestaLateDeep


def test_comparison_counts_pitches_and_silence() -> None:
    published = np.array([[100.0, 30.0], [100.0, 0.0], [100.0, 0.0], [200.0, 0.0]], np.float32)
    ours = np.array([[101.0, 0.0], [110.0, 0.0], [0.0, 0.0], [200.0, 70.0]], np.float32)
    found = compare(ours, published)
    assert found["within_50_cents"] == pytest.approx(2 / 3)
    assert found["voicing_agreement"] == pytest.approx(5 / 7)  # the glide at 30 Hz is left out
    assert found["left_out"] == pytest.approx(1 / 8)


def test_choice_is_spread() -> None:
    assert choose([str(i) for i in range(81)], 3) == ["0", "27", "54"]
    assert choose(["a", "b"], 12) == ["a", "b"]


@pytest.mark.slow
@pytest.mark.parametrize("key", ["soprano_2+alto_3+tenor_1+bass_3", "soprano_1+tenor_2"])
def test_published_tracks_are_reproduced(shared_dir: Path, key: str) -> None:
    weights = shared_dir / "models/cuesta2020_late_deep/late_deep.npz"
    folder = shared_dir / "data/csd_nino_dios"
    n_singers = len(key.split("+"))
    tracks = folder / f"f0_mixtures/cuesta_assigned_{n_singers}_singers.npz"
    for path in (weights, tracks):
        if not path.is_file():
            pytest.skip(f"missing: no {path}")
    with np.load(tracks) as file:
        published = file[key]
    ours = published_tracks(
        mixture(folder / "audio", key), CuestaLateDeep(weights), n_singers, len(published)
    )
    found = compare(ours, published)
    assert found["within_50_cents"] > 0.95
    assert found["voicing_agreement"] > 0.95
