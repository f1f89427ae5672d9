"""F0 tracks as files of other programs: read back they are the same."""

from __future__ import annotations

from pathlib import Path

import mido
import mir_eval
import numpy as np
import pytest

from src.api import separate
from src.errors import OutputExistsError, UmssError
from src.f0.contour_files import read_f0
from src.f0.contours import ContourError, F0Contours
from src.f0.score.parts import Note
from src.f0.score.reading import read_score
from src.find_f0 import main
from src.formats.midi import SungPart, write_midi
from src.formats.notes import find_beats, find_sung_notes
from src.formats.write import FORMATS, write_f0_files
from tests.tiny_training import compose_config

STEP = 0.016
# MIDI numbers with decimals and their lengths in seconds; 0 is a rest.
SUNG = {
    "Söprano": [(0, 0.32), (69.2, 0.64), (71, 0.48), (0, 0.16), (72.9, 0.8)],
    "alto": [(0, 0.16), (64, 0.96), (65, 0.64), (0, 0.16), (64.3, 0.48)],
}


def sing(sung: dict[str, list[tuple[float, float]]] = SUNG) -> F0Contours:
    columns = []
    for notes in sung.values():
        lengths = [round(seconds / STEP) for _, seconds in notes]
        hertz = [440 * 2 ** ((pitch - 69) / 12) if pitch else 0.0 for pitch, _ in notes]
        columns.append(np.repeat(hertz, lengths))
    return F0Contours.on_grid(np.stack(columns, axis=1).astype(np.float32), tuple(sung))


def agree(found: F0Contours, expected: F0Contours) -> None:
    assert found.n_singers == expected.n_singers
    np.testing.assert_allclose(found.times, expected.times, atol=1e-6)
    assert np.array_equal(found.f0, expected.f0)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("formats")
    paths = write_f0_files(folder, sing(), name="choir")
    assert {kind for kind, _ in paths} == set(FORMATS)
    assert all(path.stat().st_size for path in paths.values())
    return folder


@pytest.mark.parametrize("name", ["choir_f0.csv", "choir_f0.jams"])
def test_files_of_all_singers_read_back(written: Path, name: str) -> None:
    found = read_f0(written / name)
    agree(found, sing())
    assert found.names == ("Söprano", "alto")


@pytest.mark.parametrize("kind", ["tony", "crepe"])
def test_a_folder_with_one_file_per_singer_reads_back(written: Path, kind: str) -> None:
    found = read_f0(written / f"choir_{kind}")
    agree(found, sing())
    assert found.names == ("söprano", "alto")  # names of files
    for j, singer in enumerate(found.names):
        table = np.genfromtxt(
            written / f"choir_{kind}" / f"{singer}.csv", delimiter=",", skip_header=kind == "crepe"
        )
        np.testing.assert_allclose(table[:, 1], sing().f0[:, j])
        assert table.shape[1] == (2 if kind == "tony" else 3)


def test_mir_eval_reads_the_multipitch(written: Path) -> None:
    path = written / "choir_multipitch.txt"
    times, pitches = mir_eval.io.load_ragged_time_series(str(path))
    expected = sing()
    np.testing.assert_allclose(times, expected.times, atol=1e-6)
    for found, row in zip(pitches, expected.f0, strict=True):
        np.testing.assert_allclose(found, row[row > 0])
    with pytest.raises(ContourError, match="varying numbers of pitches"):
        read_f0(path)


def test_jams_is_valid_for_its_own_package(written: Path) -> None:
    jams = pytest.importorskip("jams")
    read = jams.load(str(written / "choir_f0.jams"), validate=True, strict=True)
    tracks = read.search(namespace="pitch_contour")
    notes = read.search(namespace="note_midi")
    assert [track.sandbox.singer for track in tracks] == ["Söprano", "alto"]
    assert [round(o.value, 1) for o in notes[0].data] == [69.2, 71.0, 72.9]
    assert [round(o.time, 2) for o in notes[0].data] == [0.32, 0.96, 1.6]


def test_other_jams_are_read_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "given.jams"
    observation = '{"time": [0, 0.5, 1], "value": [{"frequency": 200, "voiced": true, "index": 0}, '
    observation += '{"frequency": -210, "voiced": false, "index": 0}, '
    observation += '{"frequency": 220, "voiced": true, "index": 0}]}'
    one = '{"namespace": "pitch_contour", "data": %s}'
    path.write_text('{"annotations": [%s, %s]}' % (one % observation, one % observation))  # noqa: UP031
    found = read_f0(path)
    assert found.names == ("singer1", "singer2")
    assert found.f0[:, 1].tolist() == [200, 0, 220]
    for text in (
        "{",
        "[]",
        '{"annotations": 3}',
        '{"annotations": []}',
        "[" * 100_000,
        '{"annotations": [{"namespace": "pitch_contour", "data": [{"time": 0}]}]}',
        '{"annotations": [%s]}' % (one % observation.replace("0.5", "NaN")),
    ):
        path.write_text(text)
        with pytest.raises(ContourError, match="given.jams"):
            read_f0(path)


@pytest.mark.parametrize("name", ["choir_notes.mid", "choir_midi/söprano.mid"])
def test_midi_reads_back(written: Path, name: str) -> None:
    found = read_score(written / name)
    expected = sing()
    for j, singer in enumerate(found.names):
        assert singer == expected.names[j]
        heard = find_sung_notes(found)[j]
        now, notes = 0.0, []
        for pitch, seconds in SUNG[singer]:
            notes += [(now, now + seconds, round(pitch))] if pitch else []
            now += seconds
        assert [round(note.pitch, 3) for note in heard] == [pitch for _, _, pitch in notes]
        for note, (start, end, _) in zip(heard, notes, strict=True):
            assert abs(note.start - start) < 0.001 and abs(note.end - end) < 0.001


def test_midi_onsets_lie_within_16_ms_at_odd_tempi(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    starts = np.cumsum(generator.uniform(0.2, 1.0, 200))
    notes = [Note(a, a + 0.15, 60 + k % 12) for k, a in enumerate(starts)]
    for tempo in (37.3, 120.0, 251.0):
        write_midi(tmp_path / "a.mid", [SungPart("a", notes)], tempo=tempo)
        now, onsets = 0.0, []
        for message in mido.MidiFile(tmp_path / "a.mid"):
            now += message.time
            if message.type == "note_on":
                onsets.append(now)
        assert np.abs(np.array(onsets) - starts).max() < 0.001


@pytest.mark.parametrize("bend", ["none", "note", "contour"])
def test_cents_are_bends_or_left_out(tmp_path: Path, bend: str) -> None:
    pitch = np.concatenate([np.full(20, 69.25), np.full(20, 69.35)])
    part = SungPart("a", [Note(0.0, 40 * STEP, 69.3)], pitch)
    write_midi(tmp_path / "a.mid", [part], bend=bend)
    wheel = [
        m.pitch / 8192 * 2 for m in mido.MidiFile(tmp_path / "a.mid") if m.type == "pitchwheel"
    ]
    expected = {"none": [], "note": [0.3], "contour": [*[0.25] * 20, *[0.35] * 20]}[bend]
    np.testing.assert_allclose(wheel, expected, atol=2e-3)


def test_many_singers_get_channels_without_drums(tmp_path: Path) -> None:
    parts = [SungPart(f"s{k}", [Note(0.0, 0.5, 60.4)]) for k in range(20)]
    write_midi(tmp_path / "a.mid", parts)
    messages = [m for m in mido.MidiFile(tmp_path / "a.mid") if m.type == "note_on"]
    assert len(messages) == 20 and 9 not in {m.channel for m in messages}
    assert not [m for m in mido.MidiFile(tmp_path / "a.mid") if m.type == "pitchwheel"]


def test_musicxml_is_a_score_of_the_notes(tmp_path: Path) -> None:
    quarter = 0.64
    melody = [(69, quarter), (71, quarter), (73, 2 * quarter), (0, quarter), (74, quarter / 2)]
    bass = [(45, 4 * quarter), (50, 1.5 * quarter)]
    contours = sing({"high": melody, "low": bass})
    kinds = ("musicxml",)
    one = write_f0_files(tmp_path / "a", contours, kinds, name="choir", tempo=60 / quarter)
    two = write_f0_files(tmp_path / "b", contours, kinds, name="choir", tempo=60 / quarter)
    path = one["musicxml", ""]
    assert path.read_bytes() == two["musicxml", ""].read_bytes()
    found = read_score(path)
    assert found.names == ("high", "low")
    heard = find_sung_notes(found)
    assert [round(n.pitch) for n in heard[0]] == [69, 71, 73, 74]
    assert [round(n.pitch) for n in heard[1]] == [45, 50]
    np.testing.assert_allclose(
        [n.start for n in heard[0]], [0, quarter, 2 * quarter, 5 * quarter], atol=0.03
    )
    assert "A major" in _key_of(path)


def _key_of(path: Path) -> str:
    from music21 import converter

    return str(next(iter(converter.parse(path).flatten().getElementsByClass("Key")), "")) or str(
        next(iter(converter.parse(path).flatten().keySignatures)).asKey()
    )


@pytest.mark.parametrize("tempo", [54.0, 76.0, 100.0, 126.0])
def test_beats_are_found(tempo: float) -> None:
    generator = np.random.default_rng(0)
    beat, parts = 60 / tempo, []
    for _ in range(4):
        lengths = generator.choice([1.0, 1.0, 1.0, 2.0], 40)  # beats
        starts = 1.3 + beat * np.cumsum([0, *lengths[:-1]])
        starts += generator.normal(scale=0.02, size=40)
        parts.append([Note(a, a + 0.8 * beat, 60) for a in starts])
    found = find_beats(parts)
    assert found.tempo == pytest.approx(tempo, rel=0.01)
    phase = (found.times - 1.3) / beat
    assert np.median(np.abs(phase - np.round(phase))) < 0.05
    assert found.count(found.times[7]) == pytest.approx(7)


def test_beats_are_taken_as_given_or_assumed() -> None:
    notes = [Note(1.0 + 0.6 * k, 1.5 + 0.6 * k, 60) for k in range(24)]
    given = find_beats([notes], tempo=90.0)
    assert given.tempo == 90 and given.count(1.0) == 0
    assert given.count(1.0 + 60 / 90) == pytest.approx(1)
    assert given.count(0.0) == pytest.approx(-1.5)
    assert find_beats([[], []]).tempo == 120


def test_errors_are_sentences(tmp_path: Path) -> None:
    contours = sing()
    with pytest.raises(UmssError, match="choose from csv, tony"):
        write_f0_files(tmp_path, contours, ["wav"])
    write_f0_files(tmp_path, contours, ["csv"])
    with pytest.raises(OutputExistsError):
        write_f0_files(tmp_path, contours, ["csv"])
    same = F0Contours(contours.times, contours.f0, ("A!", "A?"))
    with pytest.raises(ContourError, match="different file names"):
        write_f0_files(tmp_path, same, ["tony"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(ContourError, match="folder without F0 files"):
        read_f0(tmp_path / "empty")
    with pytest.raises(ContourError, match=r"recording_f0.csv: holds 2 singers"):
        read_f0(tmp_path)


def test_singers_with_other_times_are_joined_on_the_grid(tmp_path: Path) -> None:
    (tmp_path / "high.csv").write_text("0,400\n0.01,400\n0.02,400\n0.03,400\n")
    (tmp_path / "low.txt").write_text("0 100\n0.05 100\n0.1 -100\n")
    found = read_f0(tmp_path)
    assert found.names == ("high", "low")
    np.testing.assert_allclose(found.times, np.arange(7) * STEP)
    assert found.f0[:, 0].tolist() == [400, 400, 0, 0, 0, 0, 0]
    assert found.f0[:, 1].tolist() == [100, 100, 100, 100, 100, 0, 0]


def test_the_command_converts_without_a_recording(tmp_path: Path, written: Path) -> None:
    out = tmp_path / "out"
    settings = [f"output={out}", "formats=[crepe,midi]", "names=[high,low]"]
    main(compose_config("f0", [f"input={written / 'choir_tony'}", *settings]))
    assert sorted(str(p.relative_to(out)) for p in out.rglob("*.*") if p.is_file()) == [
        "choir_crepe/high.csv", "choir_crepe/low.csv",
        "choir_midi/high.mid", "choir_midi/low.mid", "choir_notes.mid",
    ]  # fmt: skip
    agree(read_f0(out / "choir_crepe"), sing())
    main(compose_config("f0", [f"input={out / 'choir_notes.mid'}", f"output={out}"]))
    assert read_f0(out / "choir_f0.csv").names == ("high", "low")
    with pytest.raises(UmssError, match="names= gives 1"):
        main(compose_config("f0", [f"input={written / 'choir_f0.csv'}", "names=[a]"]))


def test_a_separation_saves_formats(tmp_path: Path) -> None:
    t = np.arange(16_000) / 16_000
    audio = 0.1 * np.sin(2 * np.pi * 440 * t) + 0.1 * np.sin(2 * np.pi * 165 * t)
    result = separate(audio, 16_000, f0=np.repeat([[440.0], [165.0]], 63, axis=1), method="comb")
    paths = result.save(tmp_path, f0_formats=["csv", "tony", "midi"])
    assert {"f0", "midi", "midi/singer1", "tony/singer2"} <= paths.keys()
    agree(read_f0(tmp_path / "recording_tony"), result.f0)
