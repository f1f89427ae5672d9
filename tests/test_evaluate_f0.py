"""Evaluation of F0: known errors give known scores, and the command writes what it says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from src.data.datamodule import MixtureDataModule
from src.data.estimated import StoredTracks
from src.data.mixtures import Mixture
from src.data.readers.base import DataError
from src.evaluate_f0 import (
    HeldOut,
    cut_excerpts,
    find,
    find_held_out,
    score_comb,
    score_mixture,
    score_voices,
    summarise_comb,
    summarise_scores,
)
from tests import fake_f0
from tests.data.songs import PITCH, SATB, FakeSong, tone
from tests.processes import Done, run_python
from tests.tiny_training import write_choir


class ToneSong(FakeSong):
    """Tones with exact F0."""

    def __init__(self) -> None:
        super().__init__("tones", 9, "1")

    def audio(self, key: tuple[str, str]) -> np.ndarray:
        return tone(key[0], 9)

    def f0(self, keys: Any, kind: str, start: int = 0, stop: int | None = None) -> np.ndarray:
        n_frames = (self.n_frames if stop is None else stop) - start
        return np.tile(np.float32([PITCH[part] for part, _ in keys]), (n_frames, 1))


def quartet(seconds: int = 9) -> HeldOut:
    song = ToneSong()
    n_samples = 16_000 * seconds
    mixture = Mixture("tones", song.keys)
    return HeldOut(song, mixture, n_samples, song.f0(song.keys, "stems", 0, -(-n_samples // 256)))


def scores(**errors: Any) -> tuple[dict[str, Any], dict[str, dict[str, float]]]:
    test = quartet()
    found = find(fake_f0.ByName(**errors), test)  # type: ignore[arg-type]
    return score_mixture(test, found), {row["voice"]: row for row in score_voices(test, found)}


def test_exact_tracks_score_one() -> None:
    whole, voices = scores()
    assert whole["f_measure"] == whole["precision"] == whole["recall"] == 1
    assert whole["real_time_factor"] > 0
    assert whole["real_time_factor"] == pytest.approx(whole["run_seconds"] / 9)
    assert list(voices) == list(SATB)
    for row in voices.values():
        assert row["raw_pitch_accuracy"] == row["overall_accuracy"] == 1
        assert row["median_deviation_cents"] == 0


def test_octave_errors_are_right_in_chroma_only() -> None:
    # Three octaves, so that no wrong pitch is another voice's.
    whole, voices = scores(factor=8.0)
    assert whole["f_measure"] == 0
    for row in voices.values():
        assert (row["raw_pitch_accuracy"], row["raw_chroma_accuracy"]) == (0, 1)


def test_swapped_voices_are_right_in_multipitch_only() -> None:
    whole, voices = scores(swap=0.5)
    assert whole["f_measure"] == 1
    for part, accuracy in zip(SATB, (0.5, 0.5, 1, 1), strict=True):
        assert voices[part]["raw_pitch_accuracy"] == pytest.approx(accuracy, abs=0.002)


def test_voices_in_another_order_are_right() -> None:
    whole, voices = scores(swap=1.0)
    assert whole["f_measure"] == 1
    assert all(row["raw_pitch_accuracy"] == 1 for row in voices.values())


def test_only_the_beginning_is_estimated() -> None:
    fake_f0.CALLS.clear()
    test = quartet(3)
    find(fake_f0.ByName(), test)  # type: ignore[arg-type]
    [call] = fake_f0.CALLS
    assert len(call["audio"]) == 48_000
    assert call["names"] == list(SATB)
    assert np.abs(call["audio"]).max() == pytest.approx(1, abs=0.01)


def data_module(root: Path, cache: Path, n_singers: int = 4) -> MixtureDataModule:
    return MixtureDataModule("folder", n_singers, cache, root=root, f0="stems", progress=False)


def test_choice_of_mixtures(tmp_path: Path) -> None:
    data = data_module(write_choir(tmp_path / "songs", 4), tmp_path / "cache", 2)
    oracle: Any = fake_f0.ByName()
    everything = find_held_out(data, oracle)
    assert [(m.song.name, len(m.reference), m.n_samples) for m in everything] == [
        (song, 250, 64_000) for song in ("one", "two") for _ in range(6)
    ]
    some = find_held_out(data, oracle, max_mixtures=4, max_seconds=1.0)
    assert [m.mixture for m in some] == [everything[i].mixture for i in (0, 3, 6, 9)]
    assert all(m.n_samples == 16_000 and m.reference.shape == (63, 2) for m in some)
    np.testing.assert_array_equal(some[1].reference, everything[3].reference[:63])
    assert len(find_held_out(data, oracle, max_mixtures=99)) == 12
    for limits in ({"max_mixtures": 0}, {"max_seconds": -1.0}):
        with pytest.raises(DataError, match=r"max_\w+=-?[\d.]+: give a positive number"):
            find_held_out(data, oracle, **limits)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="n_singers=5: the songs have at most 4 parts"):
        find_held_out(data_module(tmp_path / "songs", tmp_path / "cache", 5), oracle)
    with pytest.raises(DataError, match="nowhere: no such folder"):
        find_held_out(data_module(tmp_path / "nowhere", tmp_path / "cache"), oracle)
    with pytest.raises(DataError, match="come without F0"):
        find_held_out(data, StoredTracks("cached"))
    stems = StoredTracks("stems")
    for test in find_held_out(data, stems, max_mixtures=1):
        found = find(stems, test)
        np.testing.assert_array_equal(found.f0, test.reference)
        assert np.isnan(found.seconds)


def test_the_comb_shows_what_f0_is_worth(tmp_path: Path) -> None:
    data = data_module(tmp_path, tmp_path)
    test = quartet()
    items = list(cut_excerpts(test, test.reference, data))
    assert [(item["start"], item["excerpt"]) for item in items] == [(0, 0), (64_000, 1)]
    assert items[0]["f0"].shape == (4, 250)
    right = score_comb(items)
    wrong = score_comb(cut_excerpts(test, test.reference * np.float32(1.08), data))
    assert len(right) == 2 * 4 * 4
    summary = summarise_comb({"estimated": [wrong], "reference": [right]})
    assert summary is not None
    assert summary["reference"]["mean"] > summary["estimated"]["mean"] + 5
    assert summary["frames"]["total"] == 32
    short = score_comb(cut_excerpts(quartet(3), test.reference, data))
    assert summarise_comb({"estimated": [short], "reference": [short]}) is None


def test_excerpts_follow_the_protocol_of_the_data_set(tmp_path: Path) -> None:
    data = MixtureDataModule(
        "folder", 4, tmp_path, f0="stems", test_first_excerpt=1, test_start_offset=-256
    )
    test = quartet()
    ramp = np.arange(563 * 4, dtype=np.float32).reshape(563, 4)
    [item] = cut_excerpts(test, ramp, data)
    assert item["start"] == 64_000 - 256
    np.testing.assert_array_equal(item["f0"].numpy(), ramp[249 : 249 + 250].T)


def test_undefined_scores_are_left_out_of_means() -> None:
    test = quartet()
    found = find(fake_f0.ByName(), test)  # type: ignore[arg-type]
    voices = pd.DataFrame(score_voices(test, found))
    voices["raw_pitch_accuracy"] = [1.0, 0.5, np.nan, np.nan]
    summary = summarise_scores(voices, pd.DataFrame([score_mixture(test, found)]))
    assert summary["overall"]["raw_pitch_accuracy"] == 0.75
    assert summary["voices"]["tenor"]["raw_pitch_accuracy"] is None
    # The tones never pause.
    assert summary["overall"]["voicing_false_alarm"] is None
    json.dumps(summary, allow_nan=False)


def run(module: str, *overrides: str) -> Done:
    return run_python("-m", module, *overrides)


FAKE = (
    "multif0=stems", "~multif0.kind", "multif0._target_=tests.fake_f0.ByName",
    "+multif0.warnings=[hoarse]",
)  # fmt: skip


@pytest.mark.slow
def test_command(tmp_path: Path) -> None:
    choir = write_choir(tmp_path / "songs", 5)
    out = tmp_path / "out"
    arguments = (
        "data=folder", f"data.root={choir}", "n_singers=2", "max_mixtures=3",
        f"output={out}", f"paths.cache_dir={tmp_path / 'cache'}", *FAKE,
    )  # fmt: skip
    done = run("src.evaluate_f0", *arguments)
    assert done.returncode == 0, done.stderr
    assert "hoarse" in done.stdout
    voices, mixtures = (pd.read_csv(out / name) for name in ("voices.csv", "mixtures.csv"))
    summary = json.loads((out / "summary.json").read_text())
    assert (len(voices), len(mixtures), summary["mixtures"]) == (6, 3, 3)
    assert set(voices["song"]) == {"one", "two"}
    assert summary["reference"] == "stems"
    mean = voices["raw_pitch_accuracy"].mean()
    assert summary["overall"]["raw_pitch_accuracy"] == pytest.approx(mean)
    assert summary["multipitch"]["f_measure"] == pytest.approx(mixtures["f_measure"].mean())
    assert 0 < mean < 1
    assert summary["comb"]["reference"]["mean"] > summary["comb"]["estimated"]["mean"]
    assert [w["warning"] for w in summary["warnings"]] == ["hoarse"] * 3
    assert summary["multif0"]["_target_"] == "tests.fake_f0.ByName"
    again = run("src.evaluate_f0", *arguments)
    assert again.returncode == 1
    assert "overwrite=true" in again.stderr


@pytest.mark.slow
def test_separators_are_evaluated_with_estimated_tracks(tmp_path: Path) -> None:
    choir = write_choir(tmp_path / "songs", 5)
    done = run(
        "src.evaluate", "f0=estimated", "data=folder", f"data.root={choir}", "n_singers=2",
        f"output={tmp_path / 'out'}", f"paths.cache_dir={tmp_path / 'cache'}", *FAKE,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["f0"] == "estimated"
    assert summary["protocol"]["multif0"]["_target_"] == "tests.fake_f0.ByName"
    assert len(list((tmp_path / "cache").rglob("f0_estimated_*.npy"))) == 12


@pytest.mark.slow
def test_published_tracks_of_real_singers(shared_dir: Path, tmp_path: Path) -> None:
    """Scores of the tracks that lie with the data, and the comb as `src.evaluate` has it."""
    arguments = (
        "data=csd", f"data.root={shared_dir}/data/csd_nino_dios", "data.singers=[3]",
        f"paths.cache_dir={tmp_path / 'cache'}",
    )  # fmt: skip
    out = tmp_path / "out"
    done = run("src.evaluate_f0", "multif0=cached", f"output={out}", *arguments)
    assert done.returncode == 0, done.stderr
    summary = json.loads((out / "summary.json").read_text())
    assert summary["comb"]["estimated"]["mean"] == pytest.approx(5.05, abs=0.05)
    assert summary["comb"]["frames"] == {"total": 384, "kept": 370}
    assert summary["comb"]["reference"]["mean"] > summary["comb"]["estimated"]["mean"] + 0.5
    assert 0.8 < summary["overall"]["overall_accuracy"] < 0.95
    assert summary["multipitch"]["f_measure"] > 0.88
    assert summary["real_time_factor"] is None

    done = run("src.evaluate_f0", "multif0=cached", "n_singers=3", f"output={out}3", *arguments)
    assert done.returncode == 1
    assert "n_singers=[2, 4]" in done.stderr
    assert "Traceback" not in done.stderr
