"""Edits of real singers, judged by Praat, which shares no code with the editor."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import parselmouth
import pytest
import soundfile as sf
import umss

from src.arrays import separate_array
from src.baselines.masks import CombSeparator
from src.separated import SeparatedRecording

RATE = 16_000
CUT = slice(12 * RATE, 24 * RATE)
PARTS = ("soprano", "alto", "tenor", "bass")
# Hz in which Praat looks.
RANGES = {"soprano": (200, 1000), "alto": (150, 800), "tenor": (100, 600), "bass": (80, 420)}
ENOUGH = 0.95


def find_f0(signal: np.ndarray, part: str, ratio: float = 1.0) -> np.ndarray:
    """F0 every 16 ms, 0 = unvoiced, by autocorrelation."""
    low, high = RANGES[part]
    sound = parselmouth.Sound(signal.astype(np.float64), RATE)
    pitch = sound.to_pitch_ac(
        time_step=0.004, pitch_floor=low * min(1.0, ratio), pitch_ceiling=high * max(1.0, ratio)
    )
    frames = np.arange(len(signal) // 256)
    return np.nan_to_num([pitch.get_value_at_time(n * 0.016) for n in frames])


def find_level(signal: np.ndarray) -> np.ndarray:
    """Level of every frame, dB below the loudest."""
    power = np.square(signal[: len(signal) // 256 * 256]).reshape(-1, 256).mean(axis=1)
    level = 10 * np.log10(np.maximum(np.convolve(power, np.ones(5) / 5, "same"), 1e-12))
    return np.asarray(level - level.max())


def find_formants(signal: np.ndarray, part: str, where: np.ndarray) -> np.ndarray:
    """Medians of the first three formants in frames, Hz."""
    sound = parselmouth.Sound(signal.astype(np.float64), RATE)
    ceiling = 5500.0 if part in ("soprano", "alto") else 5000.0
    found = sound.to_formant_burg(time_step=0.016, maximum_formant=ceiling)
    times = np.flatnonzero(where) * 0.016
    values = [[found.get_value_at_time(k, t) for t in times] for k in (1, 2, 3)]
    return np.nanmedian(values, axis=1)


@pytest.fixture(scope="module", params=PARTS)
def solo(request: pytest.FixtureRequest, shared_dir: Path) -> tuple[str, SeparatedRecording]:
    """A real singer alone: with one singer, the stem is the recording."""
    part = request.param
    folder = shared_dir / "data" / "csd_nino_dios"
    audio = sf.read(folder / "audio" / f"{part}_3.flac", dtype="float32")[0][CUT]
    f0 = find_f0(audio, part).astype(np.float32)
    f0 = np.pad(f0, (0, -(-len(audio) // 256) - len(f0)))
    return part, separate_array(audio, RATE, f0[None], CombSeparator())


def measure_share(
    solo: tuple[str, SeparatedRecording], edited: SeparatedRecording, wanted: np.ndarray
) -> float:
    """Share of the audible frames with pitch within 20 cents of what was asked, [N] Hz."""
    part, result = solo
    before, after = result.stems["singer1"], edited.stems["singer1"]
    voiced = wanted > 0
    ratio = float(np.median(wanted[voiced] / result.f0.f0[: len(wanted), 0][voiced]))
    found = find_f0(after, part, ratio)
    both = (found > 0) & voiced & (find_level(before) > -30.0)
    assert both.sum() > 0.9 * (voiced & (find_level(before) > -30.0)).sum()
    cents = 1200 * np.log2(found[both] / wanted[both])
    return float(np.mean(np.abs(cents) < 20.0))


@pytest.mark.parametrize("semitones", [-2.0, 2.0, 4.0])
def test_transposed_singers(solo: tuple[str, SeparatedRecording], semitones: float) -> None:
    _, result = solo
    edited = umss.edit(result, singer1={"transpose": semitones})
    own = find_f0(result.stems["singer1"], solo[0])
    assert measure_share(solo, edited, own * 2 ** (semitones / 12)) >= ENOUGH


def test_straightened_and_tuned_singers(solo: tuple[str, SeparatedRecording]) -> None:
    _, result = solo
    edited = umss.edit(result, singer1={"intonation": "equal", "vibrato": 0.3})
    wanted = edited.f0.f0[:, 0][: len(result.stems["singer1"]) // 256].astype(np.float64)
    assert measure_share(solo, edited, wanted) >= ENOUGH


@pytest.mark.parametrize(
    ("edit", "ratio"),
    [({"transpose": 3.0}, 1.0), ({"formants": 2.0}, 2 ** (2 / 12)), ({"formants": -2.0}, 0.891)],
)
def test_formants_of_singers(
    solo: tuple[str, SeparatedRecording], edit: dict[str, float], ratio: float
) -> None:
    part, result = solo
    if part in ("soprano", "alto"):
        pytest.skip("partials so far apart do not show where formants are")
    before, after = result.stems["singer1"], umss.edit(result, singer1=edit).stems["singer1"]
    where = (find_f0(before, part) > 0) & (find_level(before) > -20.0)
    found = find_formants(after, part, where) / find_formants(before, part, where)
    assert abs(np.median(found) / ratio - 1.0) < 0.05
