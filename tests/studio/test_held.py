"""What a person locked or corrected is kept by the fit, whatever its other opinions are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from src.audio import examine_audio
from src.baselines.masks import CombSeparator
from src.fit.hypotheses import F0Opinions
from src.fit.separator import FitSeparator
from src.separator import Separation
from src.studio.held import HeldOpinions, cut_held, hold
from src.studio.operations import list_locks
from src.studio.project import Project
from src.studio.separating import separate_project
from src.studio.stale import Settings, describe_stale, find_former
from tests.studio.singing import sing_file
from tests.studio.test_separating import NAMES, make_contours


class Asking(FitSeparator):
    """Asks for opinions as the fit does, and separates by halves."""

    def separate(
        self, mixture: Tensor, f0: Tensor, seed: Tensor, sources: Any, channels: Tensor
    ) -> Separation:
        assert self.opinions is not None
        self.asked = self.opinions(mixture, f0)
        halves = torch.stack([channels / 2, channels / 2], dim=1)
        return Separation(halves, torch.zeros(1, 2, 1, 1))

    def describe_voice(self) -> None:
        return None


@pytest.fixture
def contrary(monkeypatch: pytest.MonkeyPatch) -> None:
    """Opinions that every pitch is another one."""
    monkeypatch.setattr(F0Opinions, "__call__", lambda self, mixture, f0: f0[None] + 100.0)


def test_opinions_agree_where_the_tracks_are_held(contrary: None) -> None:
    opinions = hold(FitSeparator())
    assert isinstance(opinions, HeldOpinions) and hold(CombSeparator()) is None
    assert hold(FitSeparator(opinions=None)) is None
    f0 = torch.full((1, 2, 5), 200.0)
    assert (opinions(torch.zeros(1, 10), f0) == 300).all()
    held = np.zeros((9, 2), bool)
    held[3:5, 1] = True
    opinions.held = cut_held(held, 2, 5)
    found = opinions(torch.zeros(1, 10), f0)[0, 0]
    assert (found[0] == 300).all() and found[1].tolist() == [300, 200, 200, 300, 300]
    assert not cut_held(held, 8, 5).any() and cut_held(held, 8, 5).shape == (2, 5)


def test_every_window_keeps_its_own_frames(contrary: None, tmp_path: Path) -> None:
    contours = make_contours()
    recording = sing_file(tmp_path / "song.wav", contours.f0.astype(np.float64))
    found, separator = examine_audio(recording), Asking()
    settings = Settings("fit", 0, 3.0, 1.0)

    def run(held: Any) -> int:
        folder = tmp_path / "out"
        return separate_project(
            recording, found, "song", contours, separator, settings, folder, "d", held=held
        )

    held = np.zeros(contours.f0.shape, bool)
    assert run(None) == 5
    held[450:460, 1] = True  # 7.2 s: in the window from 6 to 9 s alone
    former = find_former(tmp_path / "out", "song")
    notes = settings.note(NAMES, "d")
    told = describe_stale(former, contours, notes, 9.3, held)
    assert told is not None and told["windows"] == {"stale": 1, "all": 5}
    assert run(held) == 1 and run(held) == 0
    kept = (separator.asked[0, 0] == torch.from_numpy(contours.f0[375:563].T)).numpy()
    assert kept[1, 75:85].all() and kept.sum() == 10


def test_what_was_corrected_or_locked_is_held(root: Path) -> None:
    project = Project(root / "song")
    held = project.state.find_held()
    assert held is not None and not held.any()
    project.correct(1, {"kind": "octave", "singer": 0, "from": 1, "to": 2, "direction": 1}, None)
    project.correct(2, {"kind": "lock", "singer": 1, "from": 3, "to": 3.2}, None)
    held = project.state.find_held()
    assert held is not None and list_locks(held) == [[[63, 126]], [[188, 201]]]
    project.undo(3)
    project.undo(4)
    held = project.state.find_held()
    assert held is not None and not held.any()
    project.close()
