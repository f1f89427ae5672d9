"""The kinds of recordings on which weights of the salience network are scored."""

import sys

import numpy as np
import pandas as pd
import pytest
import torch

from experiments.f0 import broader
from src.f0.estimate import F0Estimator
from src.f0.network import VoiceSalience
from src.f0.tracker import VoiceTracker

RATE = 16_000


PITCHES = {"soprano": 523.0, "alto": 392.0, "tenor": 262.0, "bass": 131.0}


class FakeSong:
    """Two singers a part: sines at the pitches of a chord, the second 30 cents above the first."""

    f0_kinds = ("stems",)

    def pitch(self, key):
        return PITCHES[key[0]] * 2 ** ((int(key[1]) - 1) * 30 / 1200)

    def audio(self, key):
        phase = 2 * np.pi * self.pitch(key) * np.arange(70 * RATE) / RATE
        return (0.1 * sum(np.sin(h * phase) / h for h in (1, 2, 3))).astype(np.float32)

    def f0(self, keys, kind, start, stop):
        assert kind == "stems"
        tracks = np.tile(np.array([self.pitch(key) for key in keys], np.float32), (stop - start, 1))
        tracks[: (stop - start) // 2, 0] = 0  # the first singer rests
        return tracks


@pytest.fixture
def short(monkeypatch):
    monkeypatch.setattr(broader, "SECONDS", 1.0)


@pytest.mark.parametrize("kind", ["nino-quartet", "nino-church", "choralsynth-noise"])
def test_mixtures_are_the_same_every_time_and_rooms_and_noise_are_heard(kind, short):
    excerpt = broader.list_excerpts(kind)[0]
    made, again = (broader.build(kind, excerpt, FakeSong()) for _ in range(2))
    dry = broader.build("nino-quartet", excerpt, FakeSong())
    assert made["audio"].shape == (62 * 256,) and made["f0"].shape == (62, 4)
    assert np.array_equal(made["audio"], again["audio"])
    assert np.array_equal(made["f0"], dry["f0"])
    assert np.array_equal(made["audio"], dry["audio"]) == (kind == "nino-quartet")
    assert np.abs(made["audio"]).max() == pytest.approx(1)


def test_a_section_is_sung_by_half_of_its_singers_at_the_median(short):
    made = broader.build("nino-sections", broader.list_excerpts("nino-sections")[0], FakeSong())
    high, low = 523 * 2 ** (30 / 1200), 523 * 2 ** (15 / 1200)
    assert made["f0"][0, 0] == pytest.approx(high, rel=1e-4)
    assert made["f0"][-1, 0] == pytest.approx(low, rel=1e-4)


def test_every_kind_has_excerpts_that_are_not_held_out():
    held_out = {"HempCW_JustJudge", "I_am_the_bread"}
    for kind in broader.KINDS:
        for song, voices, _ in broader.list_excerpts(kind):
            assert song not in held_out
            assert all(singer in "12" for singers in voices for _, singer in singers)


def test_scores_go_to_the_table_and_repeated_ones_replace_the_old(short, tmp_path, monkeypatch):
    monkeypatch.setattr(broader, "open_songs", lambda options: lambda name: FakeSong())
    table = tmp_path / "broader.csv"
    for run in ("one", "two", "one"):
        monkeypatch.setattr(sys, "argv", [
            "broader", "src/f0/voice_salience.pt", "--csd", "x", "--choralsynth", "x", "--work",
            str(tmp_path), "--run", run, "--step", "5", "--kinds", "nino-duet", "--output",
            str(table),
        ])  # fmt: skip
        broader.main()
    rows = pd.read_csv(table)
    assert sorted(rows["run"]) == ["one", "two"] and set(rows["kind"]) == {"nino-duet"}
    scores = ["precision", "recall", "f_measure", "overall_accuracy"]
    assert rows[scores].to_numpy().max() <= 1 and len(list((tmp_path / "mixtures").iterdir())) == 2


def test_peaks_and_tracks_are_scored():
    t = np.arange(RATE) / RATE
    audio = sum(0.1 * np.sin(2 * np.pi * 262 * h * t) / h for h in range(1, 9))
    mixture = {"audio": audio.astype(np.float32), "f0": np.full((63, 1), 262, np.float32)}
    found = broader.score(mixture, F0Estimator(VoiceSalience(), VoiceTracker()))
    assert found["recall"] > 0.9 and found["overall_accuracy"] > 0.9
    octave = mixture | {"f0": 2 * mixture["f0"]}
    wrong = broader.score(octave, F0Estimator(VoiceSalience(), VoiceTracker()))
    assert wrong["recall"] < 0.1


def test_a_training_that_is_not_finished_tells_its_steps(tmp_path):
    state = {f"network.{k}": v for k, v in VoiceSalience().network.state_dict().items()}
    torch.save({"state_dict": state, "global_step": 40}, tmp_path / "last.ckpt")
    model, step = broader.load(tmp_path / "last.ckpt", tmp_path)
    assert step == 40
    assert torch.equal(model.network.head.weight, VoiceSalience().network.head.weight)
