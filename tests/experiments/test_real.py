"""Recordings as users have them: rows, rooms, made-up sounds, scores, and the program."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from experiments.real import parts, rooms, run, scores, sounds, who
from experiments.real.build import Mixture, Voices, build_row, take_median, turn
from experiments.real.plan import GROUPS, PLAN, Beside, Room, Row, Singer, read_plan, select
from experiments.real.where import is_wanted
from src.dsp.tracks import RATE
from src.editing.pitch import hertz_to_pitch
from src.errors import UmssError
from src.f0.stems import StemF0
from tests.docs.documents import ROOT

HERTZ = {"soprano_1": 440.0, "soprano_2": 446.0, "alto_1": 330.0, "tenor_1": 196.0}


class Tones(Voices):
    """Singers that hold one note each."""

    def read(self, voice: str) -> np.ndarray:
        if voice not in self._read:
            f0 = HERTZ[voice.split("/")[1]]
            turns = 2 * np.pi * f0 * np.arange(4 * RATE) / RATE
            partials = sum(np.sin(k * turns) / k for k in range(1, 8))
            self._read[voice] = (0.1 * partials).astype(np.float32)
        return self._read[voice]


def make_row(*parts: str | tuple[str, ...], **fields: object) -> Row:
    singers = tuple(
        tuple(Singer(f"csd/{v}") for v in ((part,) if isinstance(part, str) else part))
        for part in parts
    )
    values = {"start": 0.5, "seconds": 2.048, **fields}
    return Row("row", "plain", "development", singers, **values)  # type: ignore[arg-type]


def test_the_plan_keeps_development_and_test_apart() -> None:
    plan = read_plan()
    text = (ROOT / "conf/data/choralsynth.yaml").read_text(encoding="utf-8")
    split = yaml.safe_load(text)["split"]["full"]
    for row in plan.rows:
        for singer in row.singers:
            kind, name, *_ = singer.voice.split("/")
            if kind == "choralsynth":
                assert (name in split["test"]) == (row.use == "test"), row.name
                assert name not in split["val"], row.name
            if kind == "csd" and row.use == "development":
                assert name.endswith(("_1", "_2")), row.name
        if row.use == "test" and row.roots == {"csd"}:
            assert any(s.voice.endswith("_3") for s in row.singers), row.name
    for use in ("development", "test"):
        of_use = [row for row in plan.rows if row.use == use]
        assert {row.group for row in of_use} == set(GROUPS)
    assert sum(r.seconds for r in plan.rows if r.use == "development") <= 360
    chosen = select(plan.rows, ["unison", "noise-*"], "--rows")
    assert {r.group for r in chosen} == {"unison", "room"} and chosen[0] in plan.rows
    with pytest.raises(UmssError, match="nothing is called wrong; there are"):
        select(plan.rows, ["wrong"], "--rows")


def test_places_are_tried_on_dry_soloists_alone() -> None:
    wanted = {row.name for row in read_plan(PLAN).rows if is_wanted(row)}
    assert {"quartet-1212", "unison-soprano", "three"} <= wanted
    assert not wanted & {"sections-2", "noise-room", "stereo-panned", "organ", "eight"}


def test_rows_are_moved_with_their_singers() -> None:
    rows = [row for row in read_plan(PLAN).rows if who.is_wanted(row)]
    assert not {"organ", "stereo-panned"} & {row.name for row in rows}
    row = next(row for row in rows if row.name == "times-soprano")
    moved = who.move(row, 11.0)
    assert moved.start == row.start + 11
    assert [s.start for s in moved.singers] == [s.start + 11 for s in row.singers]
    plain = who.move(make_row("tenor_1"), 11.0)
    assert plain.start == 11.5 and plain.singers[0].start is None


def test_vibrato_is_measured_where_notes_last() -> None:
    time = np.arange(250) * 256 / RATE
    vibrato = 440 * 2 ** (50 / 1200 * np.sin(2 * np.pi * 5.5 * time))
    held = np.full(250, 220.0)
    short = np.where(np.arange(250) % 12 < 6, 330.0, 0.0)
    found = who.measure_vibrato(np.stack([vibrato, held, short], axis=1).astype(np.float32))
    assert found.shape == (125, 3, 2) and np.isnan(found[:, 2]).all()
    # A sine of 50 cents is 35 in the mean square; its average over 1.5 periods, -0.21, goes off.
    assert np.exp(found[20:100, 0, 0]) - who.LEAST == pytest.approx(35.4 * 1.21, abs=2)
    assert np.exp(found[:, 1]) == pytest.approx(who.LEAST, abs=0.01)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"grup": "plain"}, "unknown field 'grup'"),
        ({"group": "duets"}, "group='duets': choose from plain"),
        ({"room": {"kind": "hall", "decay": 1, "direct": 0}}, "room.kind='hall'"),
        ({"room": {"kind": "image"}}, "lacks a field"),
        ({"before": {"kind": "organ"}}, "before.kind='organ'"),
        ({"parts": []}, "parts is empty"),
        ({"name": "a b"}, "not made of letters"),
    ],
)
def test_mistakes_in_a_plan_are_named(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    row = {"name": "one", "group": "plain", "use": "test", "parts": ["csd/alto_1"], **change}
    path = tmp_path / "rows.yaml"
    path.write_text(yaml.safe_dump({"rows": [row], "methods": []}))
    with pytest.raises(UmssError, match=message):
        read_plan(path)


def test_images_decay_as_asked_and_are_as_loud_as_asked() -> None:
    rng = np.random.default_rng(0)
    size = rooms.SIZES[0.8]
    places, middle = rooms.place_singers(rooms.spread_angles(2), size, rng)
    microphones, looks = rooms.place_microphones(middle, None)
    responses = rooms.compute_images(
        places, microphones, looks, rng, size=size, decay=0.8, direct_db=6.0
    )
    assert responses.shape[:2] == (2, 1)
    for response in responses[:, 0]:
        direct = response[:33]  # pulse and its flanks; the floor reflects later
        late = float(np.square(response[33:]).sum())
        assert 10 * math.log10(float(np.square(direct).sum()) / late) == pytest.approx(6.0, abs=1)
        assert rooms.measure_decay(response[33:]) == pytest.approx(0.8, rel=0.1)


def test_decay_is_that_of_an_exponential() -> None:
    time = np.arange(RATE) / RATE
    noise = np.random.default_rng(0).standard_normal(RATE)
    assert rooms.measure_decay(noise * 10 ** (-3 * time / 0.5)) == pytest.approx(0.5, rel=0.05)


def test_pairs_of_microphones_tell_left_from_right() -> None:
    rng = np.random.default_rng(0)
    places, middle = rooms.place_singers(np.array([-50.0, 0.0, 50.0]), (9.0, 7.0, 3.5), rng)
    for pair, delay, level in (("spaced", 30, 0.0), ("coincident", 5, 2.0)):
        found = rooms.compute_images(places, *rooms.place_microphones(middle, pair), rng)
        peak = np.argmax(found, axis=-1)
        loud = 10 * np.log10(np.square(found).sum(axis=-1))
        assert peak[0, 1] - peak[0, 0] > delay and peak[2, 0] - peak[2, 1] > delay
        assert abs(peak[1, 0] - peak[1, 1]) < delay
        assert loud[0, 0] - loud[0, 1] > level and loud[2, 1] - loud[2, 0] > level
        assert np.square(found).sum(axis=-1).mean(axis=-1) == pytest.approx([1, 1, 1], rel=0.02)
    gains = rooms.pan(rooms.spread_angles(3))
    assert np.square(gains).sum(axis=1) == pytest.approx([1, 1, 1])
    assert gains[0, 0] > 2 * gains[0, 1] and gains[1, 0] == pytest.approx(gains[1, 1])


def test_instruments_play_the_notes_of_the_singers() -> None:
    f0 = np.zeros((2, 125), np.float32)
    f0[0, 10:110] = 440.0 * 2 ** (20 / 1200)  # all singers are 20 cents high
    f0[1, 10:60] = 220.0 * 2 ** (20 / 1200)
    f0[1, 60:110] = 246.94 * 2 ** (25 / 1200)
    keys = sounds.read_keys(f0)
    expected = [440.0, 220.0, 246.94]
    cents = [1200 * math.log2(k.hertz / h) for k, h in zip(keys, expected, strict=True)]
    assert cents == pytest.approx([20, 20, 20], abs=1)
    rng = np.random.default_rng(0)
    organ, piano = (
        play(keys[:1], 2 * RATE, rng) for play in (sounds.play_organ, sounds.play_piano)
    )
    for sound in (organ, piano):
        assert not sound[: round(0.15 * RATE)].any()
        spectrum = np.abs(np.fft.rfft(sound[RATE // 2 : RATE * 3 // 2]))
        assert abs(int(np.argmax(spectrum)) - 445) <= 1
    parts = [np.square(s[RATE // 5 :][: RATE // 10]).sum() for s in (organ, piano)]
    later = [np.square(s[RATE * 3 // 2 :][: RATE // 10]).sum() for s in (organ, piano)]
    assert later[0] > 0.5 * parts[0] and later[1] < 0.2 * parts[1]  # strings die away


def test_speech_falls_and_applause_has_no_pitch() -> None:
    spoken = sounds.speak(2.5, np.random.default_rng(1))
    assert len(spoken) == 40_000
    pitch = hertz_to_pitch(StemF0()(spoken.astype(np.float32) / np.abs(spoken).max()))
    voiced = np.flatnonzero(~np.isnan(pitch))
    assert 0.3 < len(voiced) / len(pitch) < 0.95
    assert np.polyfit(voiced[voiced < 90], pitch[voiced[voiced < 90]], 1)[0] < 0
    claps = sounds.applaud(2.0, np.random.default_rng(0))
    assert (StemF0()(claps.astype(np.float32) / np.abs(claps).max()) > 0).mean() < 0.1
    assert np.square(claps[: RATE // 2]).sum() < np.square(claps[-RATE // 2 :]).sum()


def test_lines_are_turned_and_sections_have_a_middle() -> None:
    f0 = np.array([0, 200, 220, 200, 250, 0], np.float32)
    assert turn(f0, Singer("v", transpose=12)) == pytest.approx(2 * f0)
    turned = turn(f0, Singer("v", mirror=True))
    assert turned == pytest.approx([0, 210**2 / 200, 210**2 / 220, 210**2 / 200, 210**2 / 250, 0])
    tracks = np.array([[100, 100, 0], [110, 0, 0], [121, 121, 121]], np.float32)
    assert take_median(tracks) == pytest.approx([110, 110, 0])


def test_a_row_is_the_sum_of_what_it_says() -> None:
    row = make_row("tenor_1", ("soprano_1", "soprano_2"), room=Room("noise", 0.3, 6.0))
    row = replace(row, beside=Beside("organ", -4.0), after=Beside("applause", 0.0, 1.0))
    built = build_row(row, Tones({}))
    again = build_row(row, Tones({}))
    assert np.array_equal(built.audio, again.audio)
    assert built.stems.shape[:2] == (2, 1) and built.names == ("soprano_1", "tenor_1")
    assert built.stems.sum(axis=0) + built.beside == pytest.approx(built.audio, abs=1e-6)
    assert np.abs(built.audio).max() == pytest.approx(0.7, abs=1e-5)
    music = round(2.048 * RATE)
    assert built.audio.shape[-1] == music + RATE // 256 * 256
    assert built.f0.shape == (2, -(-built.audio.shape[-1] // 256))
    assert not built.stems[..., music:].any() and not built.f0[:, music // 256 :].any()
    sung = built.f0[:, 10:100]
    assert sung == pytest.approx(np.array([[443.0], [196.0]]) * np.ones(90), rel=0.005)
    organ, voices = (
        np.square(x[..., :music]).mean() for x in (built.beside, built.stems.sum(axis=0))
    )
    assert 10 * math.log10(organ / voices) == pytest.approx(-4.0, abs=0.1)
    other = replace(row, beside=Beside("organ", -4.0, lines=("csd/alto_1",)), after=None, room=None)
    played = build_row(other, Tones({})).beside[0]
    first = np.argmax(np.abs(np.fft.rfft(played[RATE // 2 :][:RATE])))
    assert first == pytest.approx(330, abs=2)
    dry = build_row(replace(make_row("tenor_1", "alto_1"), stereo="panned"), Tones({}))
    assert dry.audio.shape[0] == 2
    # The first singer of the row stands on the left, whoever is higher.
    left = np.square(dry.stems).sum(axis=-1)
    assert left[1, 0] > 2 * left[1, 1] and left[0, 1] > 2 * left[0, 0]


def test_singers_sing_at_the_pitch_that_is_asked_for() -> None:
    low = Singer("csd/soprano_1", transpose=-5)
    high = Singer("csd/tenor_1", speed=12)
    for singer, expected in ((low, 440 * 2 ** (-5 / 12)), (high, 392.0)):
        audio, f0 = Tones({}).sing(singer, 0.2, 1.5)
        found = StemF0()(audio)
        inside = slice(10, 80)
        assert np.median(found[inside]) == pytest.approx(expected, rel=0.01)
        assert np.median(f0[inside]) == pytest.approx(expected, rel=0.01)
    with pytest.raises(UmssError, match="csd/tenor_1 ends 0.5 s too early"):
        Tones({}).sing(Singer("csd/tenor_1"), 3.0, 1.5)
    with pytest.raises(UmssError, match="--csd DIR is needed"):
        Voices({}).read("csd/tenor_1")
    with pytest.raises(UmssError, match="is no voice"):
        Voices({}).read("tenor_1")


@pytest.fixture
def duet() -> Mixture:
    """Two tones of four seconds; in the last second nobody sings, but something sounds."""
    time = np.arange(4 * RATE) / RATE
    sung = time < 3
    stems = np.stack([np.sin(2 * np.pi * f * time) * sung for f in (400, 300)])[:, None]
    beside = 0.1 * np.sin(2 * np.pi * 1000 * time)[None] * ~sung
    frames = -(-len(time) // 256)
    f0 = np.array([[400.0], [300.0]]) * (np.arange(frames) * 256 < 3 * RATE)
    stems, beside = stems.astype(np.float32), beside.astype(np.float32)
    return Mixture(stems.sum(axis=0) + beside, stems, f0.astype(np.float32), beside, ("a", "b"))


def test_stems_are_matched_once_and_anew(duet: Mixture) -> None:
    noise = np.random.default_rng(0).normal(0, 0.01, duet.stems.shape).astype(np.float32)
    swapped = (duet.stems + noise)[::-1].copy()
    found, table = scores.score_row(swapped, duet.f0[::-1].copy(), duet)
    assert found["mean"] == pytest.approx(10 * math.log10(0.5 / 1e-4), abs=0.1)
    assert found["anew"] == pytest.approx(found["mean"])
    assert found["f0_right"] == 1.0 and found["f0_other"] == found["f0_false"] == 0.0
    assert found["n_frames"] == 6 == table["kept"].sum()
    # In one second of three, the singers change places.
    mixed = duet.stems + noise
    mixed[..., RATE : 2 * RATE] = mixed[::-1, :, RATE : 2 * RATE].copy()
    tracks = duet.f0.copy()
    tracks[:, 63:125] = tracks[::-1, 63:125].copy()
    worse, _ = scores.score_row(mixed, tracks, duet)
    assert worse["anew"] == pytest.approx(found["anew"], abs=0.1)
    assert worse["mean"] < 20 and worse["worst"] <= worse["mean"]
    assert worse["f0_other"] == pytest.approx(62 / 188) == 1 - worse["f0_right"]


def test_pitches_are_right_of_another_or_missed() -> None:
    wanted = np.array([[400, 400, 400, 400, 0], [300, 300, 300, 0, 0]], np.float32)
    tracks = np.array([[404, 300, 0, 0, 100], [0, 0, 310, 400, 0]], np.float32)
    found = scores.score_pitches(tracks, wanted)
    # Right: 404. Another's: 300 in the second frame, 400 in the fourth. Missed: the other four
    # (310 is 57 cents off). False: 400 for the second singer, 100 for the first; of three.
    assert found == pytest.approx(
        {"f0_right": 1 / 7, "f0_other": 2 / 7, "f0_missed": 4 / 7, "f0_false": 2 / 3}
    )
    close = np.array([[400, 400, 400, 0], [300, 390, 0, 300]], np.float32)
    assert scores.measure_closeness(close) == 0.5


def test_what_stems_have_where_nobody_sings(duet: Mixture) -> None:
    half = duet.stems + 0.25 * duet.beside
    found, _ = scores.score_row(half, duet.f0, duet)
    assert found["leak"] == pytest.approx(20 * math.log10(0.5), abs=0.01)


def test_the_program_writes_rows_once_and_a_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "Voices", Tones)
    content = {
        "rows": [
            {"name": "pair", "group": "number", "use": "development", "start": 0.5,
             "seconds": 2.048, "stereo": "panned", "parts": ["csd/soprano_1", "csd/tenor_1"]},
            {"name": "later", "group": "plain", "use": "test", "parts": ["csd/alto_1"]},
        ],
        "methods": [
            {"name": "mixture", "separator": "mixture", "f0": "stems"},
            {"name": "umss_fit", "separator": "comb"},
            {"name": "oracle", "separator": "oracle", "settings": {"separator": {"mask": "power"}}},
        ],
    }  # fmt: skip
    plan = tmp_path / "plan.yaml"
    plan.write_text(yaml.safe_dump(content))
    common = ["--plan", str(plan), "--output", str(tmp_path), "--frames", str(tmp_path / "frames")]
    run.main([*common, "--state", "before"])
    table = pd.read_csv(tmp_path / "results.csv").set_index("method")
    assert list(table.index) == ["mixture", "umss_fit", "oracle"]
    assert set(table["row"]) == {"pair"} and (table["runs"] == 1).all()
    assert table["mean"]["mixture"] < 1 < 8 < table["mean"]["umss_fit"]
    assert table["mean"]["oracle"] > 15 and table["f0_right"]["umss_fit"] > 0.9
    run.main([*common, "--state", "before"])
    run.main([*common, "--methods", "umss_fit"])
    run.main([*common, "--methods", "umss_fit", "--again"])
    run.main([*common, "--table"])
    runs = pd.read_csv(tmp_path / "results.csv").set_index(["method", "state"])["runs"]
    assert runs["umss_fit", "before"] == 1 and runs["umss_fit", "now"] == 2
    text = (tmp_path / "RESULTS.md").read_text()
    assert "| number (1) |" in text and "umss_fit, before | umss_fit, now" in text
    assert "### umss_fit: now minus before" in text and "| pair | +0.00" in text


def test_parts_are_compared_with_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "Voices", Tones)
    rows = [
        {"name": f"pair{k}", "group": "plain", "use": "development", "start": 0.5,
         "seconds": 2.048, "stereo": stereo, "parts": ["csd/soprano_1", "csd/tenor_1"]}
        for k, stereo in enumerate(("panned", None))
    ]  # fmt: skip
    alone = {"opinions": None, "tuning": None}
    default = {"name": "umss_fit", "separator": "fit", "settings": {"separator": alone}}
    without = {"separator": {**alone, "places": None}}
    content = {
        "rows": rows,
        "methods": [
            default,
            {**default, "name": "no-places", "without": "places", "settings": without},
        ],
    }
    plan = tmp_path / "plan.yaml"
    plan.write_text(yaml.safe_dump(content))
    common = ["--plan", str(plan), "--output", str(tmp_path), "--frames", str(tmp_path / "frames")]
    run.main(common)
    table = pd.read_csv(tmp_path / "results.csv")
    assert set(table["method"]) == {"umss_fit"}
    run.main([*common, "--methods", "no-*"])
    means = pd.read_csv(tmp_path / "results.csv").pivot(
        index="row", columns="method", values="mean"
    )
    gains = means["umss_fit"] - means["no-places"]
    assert abs(gains["pair0"]) > 0.1 and gains["pair1"] == 0.0
    run.main([*common, "--table"])
    text = (tmp_path / "RESULTS.md").read_text()
    changed = int((gains.abs() >= parts.CHANGED).sum())
    line = next(x for x in text.splitlines() if x.startswith("| places (`no-places`)"))
    cells = [x.strip() for x in line.strip("|").split("|")]
    assert cells[1] == f"{changed} of 2" and cells[3].startswith(f"{gains.mean():+.2f} [")
    assert "no-places" not in next(x for x in text.splitlines() if x.startswith("|  |"))
    # Words about a method do not make it another one.
    methods = read_plan(plan).methods
    renamed = replace(methods[1], without="where they are")
    assert run.compute_digest(read_plan(plan).rows[0], renamed) == run.compute_digest(
        read_plan(plan).rows[0], methods[1]
    )


def test_means_of_differences_have_students_interval() -> None:
    assert parts.describe_mean([]) == "-" and parts.describe_mean([1.0]) == "+1.00"
    # Student's t with one degree of freedom is 12.706 at 97.5 %.
    assert parts.describe_mean([1.0, 3.0]) == "+2.00 [-10.71, +14.71]"
    assert parts.describe_mean([1.0, 3.0], interval=False) == "+2.00"


def test_rows_of_real_singers_can_be_built(shared_dir: Path) -> None:
    roots = {k: str(shared_dir / "data" / k) for k in ("csd_nino_dios", "choralsynth")}
    voices = Voices({"csd": roots["csd_nino_dios"], "choralsynth": roots["choralsynth"]})
    row = next(r for r in read_plan().rows if r.name == "unison-soprano")
    built = build_row(replace(row, seconds=3.0), voices)
    assert (built.f0 > 0).mean() > 0.6 and scores.measure_closeness(built.f0) > 0.7
    with pytest.raises(UmssError, match="there is no csd/mezzo_1"):
        voices.read("csd/mezzo_1")
