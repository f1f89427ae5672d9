"""Small songs on disk and in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from tests.data.songs import SATB, FakeSong, WriteStem, tone


@pytest.fixture
def paper_songs() -> list[FakeSong]:
    """The three songs of the Choral Singing Dataset with the lengths that the paper uses."""
    return [
        FakeSong("el_rossinyol", 134, "1234"),
        FakeSong("locus_iste", 190, "1234"),
        FakeSong("nino_dios", 103, "1234"),
    ]


@pytest.fixture
def write_stem() -> WriteStem:
    """write_stem(path, seconds=6, rate=16000, audio=None) writes a tone of the part in the name."""

    def write(
        path: Path, seconds: float = 6.0, rate: int = 16_000, audio: np.ndarray | None = None
    ) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        part, _, singer = path.stem.partition("_")
        if audio is None:
            audio = tone(part.lower(), seconds, rate, int(singer) if singer.isdigit() else 0)
        sf.write(path, audio, rate)
        return path

    return write


@pytest.fixture
def csd_root(tmp_path: Path, write_stem: WriteStem) -> Path:
    """A flat folder as a checker might have it: singer 4 only, 103.x s, cached F0."""
    root = tmp_path / "some singers"
    for i, part in enumerate(SATB):
        rng = np.random.default_rng(i)
        seconds = 103.4 + 0.3 * i
        audio = (0.1 * rng.standard_normal(round(seconds * 16_000))).astype(np.float32)
        write_stem(root / "audio" / f"{part}_4.flac", audio=audio)
    (root / "f0_mixtures").mkdir()
    four = "soprano_4+alto_4+tenor_4+bass_4"
    frames = np.arange(6437)[:, None]
    np.savez(
        root / "f0_mixtures" / "cuesta_assigned_4_singers.npz",
        allow_pickle=False,
        **{four: (100 * np.arange(4, 0, -1) + frames / 1e4).astype(np.float32)},
    )
    pairs = {}
    for i, high in enumerate(SATB):
        for low in SATB[i + 1 :]:
            # Keys in alphabetical order, columns from the higher to the lower part all the same.
            key = "+".join(sorted((f"{high}_4", f"{low}_4")))
            columns = [400 - 100 * SATB.index(part) for part in (high, low)]
            pairs[key] = (np.array(columns) + frames / 1e4).astype(np.float32)
    np.savez(root / "f0_mixtures" / "cuesta_assigned_2_singers.npz", allow_pickle=False, **pairs)
    return root
