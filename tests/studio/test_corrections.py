"""Corrections of tracks: what they do, what they leave, what they refuse, and taking them back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from src.studio.journal import Journal, JournalError
from src.studio.operation_error import OperationError
from src.studio.operations import Means, apply, find_changes
from src.studio.suspicions import find_suspicions
from tests.studio.singing import STEP, make_ridges

NAMES = ("high", "middle", "low")
TRUTH = np.repeat([[440.0, 330.0, 165.0]], 500, axis=0)


@pytest.fixture
def f0() -> NDArray[np.float32]:
    return TRUTH.astype(np.float32)


def do(f0: NDArray[np.float32], locks: Any = None, ridges: Any = None, **operation: Any) -> Any:
    if "from_" in operation:
        operation["from"] = operation.pop("from_")
    held = np.zeros(f0.shape, bool) if locks is None else locks
    return apply(operation, f0, held, Means(NAMES, ridges or make_ridges(TRUTH)))


def cents(one: Any, other: Any) -> float:
    return float(np.abs(1200 * np.log2(np.asarray(one) / np.asarray(other))).max())


def test_an_octave_moves_the_stretch_and_nothing_else(f0: NDArray[np.float32]) -> None:
    found = do(f0, kind="octave", singer=1, from_=1.6, to=3.2, direction=-1).f0
    assert np.array_equal(found[100:201, 1], f0[100:201, 1] / 2)
    found[100:201, 1] = f0[100:201, 1]
    assert np.array_equal(found, f0)


def test_candidates_are_the_ridges_of_the_salience(f0: NDArray[np.float32]) -> None:
    up = do(f0, kind="candidate", singer=2, from_=1.6, to=3.2, direction=1).f0
    assert cents(up[100:201, 2], 330.0) < 3
    further = do(up, kind="candidate", singer=2, from_=1.6, to=3.2, direction=1).f0
    assert cents(further[100:201, 2], 440.0) < 3
    with pytest.raises(OperationError, match="no candidate above"):
        do(further, kind="candidate", singer=2, from_=1.6, to=3.2, direction=1)


def test_singers_exchange_and_give_stretches(f0: NDArray[np.float32]) -> None:
    swapped = do(f0, kind="swap", singer=0, other=2, from_=1.6, to=3.2).f0
    assert np.array_equal(swapped[100:201], f0[100:201][:, [2, 1, 0]])
    back = do(swapped, kind="swap", singer=0, other=2, from_=1.6, to=3.2).f0
    assert np.array_equal(back, f0)
    given = do(f0, kind="give", singer=0, other=1, from_=1.6, to=3.2).f0
    assert (given[100:201, 0] == 0).all() and (given[100:201, 1] == 440).all()
    both = do(f0, kind="give", singer=0, other=1, from_=1.6, to=3.2, keep=True).f0
    assert (both[100:201, :2] == 440).all()


def test_gaps_are_made_bridged_and_filled(f0: NDArray[np.float32]) -> None:
    silent = do(f0, kind="silence", singer=0, from_=1.6, to=3.2).f0
    assert (silent[100:201, 0] == 0).all() and silent[99, 0] == 440
    for kind in ("join", "extend"):
        filled = do(silent, kind=kind, singer=0, from_=1.0 if kind == "join" else 1.6, to=3.3).f0
        assert cents(filled[:, 0], 440) < 3
    parted = do(f0, kind="cut", singer=0, at=4.0).f0
    assert np.flatnonzero(parted[:, 0] == 0).tolist() == [249, 250, 251]


def test_a_line_snaps_to_the_ridge_beside_it(f0: NDArray[np.float32]) -> None:
    points = [[1.6, 340.0], [3.2, 322.0]]
    drawn = do(f0, kind="draw", singer=0, points=points, snap=True).f0
    assert cents(drawn[100:201, 0], 330.0) < 3
    free = do(f0, kind="draw", singer=0, points=points, snap=False).f0
    assert free[100, 0] == pytest.approx(340.0) and free[200, 0] == pytest.approx(322.0)


def test_a_box_is_tracked_along_its_hint(f0: NDArray[np.float32]) -> None:
    wrong = do(f0, kind="octave", singer=0, from_=1.6, to=3.2, direction=1).f0
    box = {"kind": "retrack", "singer": 0, "from_": 1.6, "to": 3.2, "low": 100.0, "high": 900.0}
    free = do(wrong, **box).f0
    assert cents(free[100:201, 0], 440.0) < 3, "the pitches of others are avoided"
    hinted = do(wrong, **box, hint=165.0).f0
    assert cents(hinted[100:201, 0], 165.0) < 3
    with pytest.raises(OperationError, match="nothing to track"):
        do(wrong, **{**box, "low": 30.0, "high": 40.0})


def test_locked_frames_stay(f0: NDArray[np.float32]) -> None:
    locked = do(f0, kind="lock", singer=0, from_=2.0, to=2.4)
    found = do(f0, locked.locks, kind="octave", singer=0, from_=1.6, to=3.2, direction=1).f0
    assert (found[125:151, 0] == 440).all() and (found[100:125, 0] == 880).all()
    swapped = do(f0, locked.locks, kind="swap", singer=1, other=0, from_=1.6, to=3.2).f0
    assert (swapped[125:151] == f0[125:151]).all(), "an exchange is locked for both"
    with pytest.raises(OperationError, match="locked"):
        do(f0, locked.locks, kind="silence", singer=0, from_=2.1, to=2.2)
    opened = do(f0, locked.locks, kind="unlock", singer=None, from_=0.0, to=9.0)
    assert not opened.locks.any()


@pytest.mark.parametrize(
    ("operation", "sentence"),
    [
        (None, "has a kind"),
        ({"kind": "explode"}, "no operation of the kind"),
        ({"kind": "octave", "singer": 3, "from": 0, "to": 1, "direction": 1}, "from 0 to 2"),
        ({"kind": "octave", "singer": True, "from": 0, "to": 1, "direction": 1}, "from 0 to 2"),
        ({"kind": "octave", "singer": 0, "from": 0, "to": 1, "direction": 2}, "1 .up. or -1"),
        ({"kind": "octave", "singer": 0, "from": "0", "to": 1, "direction": 1}, "a number"),
        ({"kind": "octave", "singer": 0, "from": 99, "to": 100, "direction": 1}, "outside"),
        ({"kind": "octave", "singer": 0, "from": 0, "to": 1, "at": 1, "direction": 1}, "no field"),
        ({"kind": "shift", "singer": 0, "from": 0, "to": 1, "cents": 1e9}, "from -4800 to 4800"),
        ({"kind": "swap", "singer": 0, "other": 0, "from": 0, "to": 1}, "two different"),
        ({"kind": "draw", "singer": 0, "points": [[1, 440], [0, 440]]}, "order of time"),
        ({"kind": "draw", "singer": 0, "points": [[0, 9], [1, 440]]}, "from 20 to"),
        ({"kind": "join", "singer": 0, "from": 0, "to": 1}, "no gap"),
        ({"kind": "extend", "singer": 0, "from": 0, "to": 1}, "nothing to extend"),
        ({"kind": "cut", "singer": 0, "at": 1e9}, "after the end"),
        ({"kind": "shift", "singer": 0, "from": 0, "to": 1, "cents": 0}, "changes nothing"),
        ({"kind": "tune", "singer": None, "from": 0, "to": 1}, "no sound"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_refused_in_a_sentence(
    f0: NDArray[np.float32], operation: Any, sentence: str
) -> None:
    before = f0.copy()
    with pytest.raises(OperationError, match=sentence):
        apply(operation, f0, np.zeros(f0.shape, bool), Means(NAMES, make_ridges(TRUTH)))
    assert np.array_equal(f0, before)


def test_changes_restore_both_sides_exactly(f0: NDArray[np.float32]) -> None:
    moved = do(f0, kind="shift", singer=1, from_=1.6, to=3.2, cents=33.3).f0
    (change,) = find_changes(f0, moved)
    part = slice(change["first"], change["first"] + len(change["after"]))
    assert np.array_equal(np.float32(change["before"]), f0[part, 1])
    assert np.array_equal(np.float32(change["after"]), moved[part, 1])


def test_planted_mistakes_are_found_first_with_their_remedy(f0: NDArray[np.float32]) -> None:
    wrong = f0.copy()
    wrong[100:160, 0] /= 2
    wrong[300:380, [0, 2]] = wrong[300:380, [2, 0]]
    nothing = np.zeros(f0.shape, bool)
    ridges = make_ridges(TRUTH)
    found = find_suspicions(wrong, nothing, NAMES, ridges, None)
    kinds = [place.kind for place in found]
    assert {*kinds[:2]} == {"exchange", "octave"}
    mended = wrong
    for kind in ("exchange", "octave"):
        place = next(place for place in found if place.kind == kind)
        mended = apply(place.remedy, mended, nothing, Means(NAMES, ridges)).f0
    assert np.array_equal(mended, f0)
    assert find_suspicions(f0, nothing, NAMES, ridges, None) == []


def test_a_pitch_that_nobody_sings_is_offered_to_who_is_silent(f0: NDArray[np.float32]) -> None:
    wrong = f0.copy()
    wrong[200:260, 1] = 0
    locks = np.zeros(f0.shape, bool)
    ridges = make_ridges(TRUTH)
    (place,) = find_suspicions(wrong, locks, NAMES, ridges, None)
    assert place.kind == "unexplained" and abs(place.begin - 200 * STEP) < 0.02
    mended = apply(place.remedy, wrong, locks, Means(NAMES, ridges)).f0
    assert cents(mended[201:259, 1], 330) < 3


def test_a_journal_survives_a_torn_line_and_names_a_damaged_one(tmp_path: Any) -> None:
    path = tmp_path / "journal.jsonl"
    journal = Journal(path)
    for k in range(3):
        journal.append("edits", {"said": str(k), "before": {}, "after": {}})
    journal.append("undo", {})
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"revision": 5, "kind": "re')
    again = Journal(path)
    assert again.revision == 4 and [e["said"] for e in again.done] == ["0", "1"]
    assert [e["said"] for e in again.undone] == ["2"]
    again.append("redo", {})
    assert [e["said"] for e in Journal(path).done] == ["0", "1", "2"]
    path.write_bytes(whole.replace(b'"revision":2', b'"revision":7'))
    with pytest.raises(JournalError, match="line 2"):
        Journal(path)
