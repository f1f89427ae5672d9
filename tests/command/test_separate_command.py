"""`umss separate [OPTIONS] RECORDING...`: every option, and names of files as they come."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from tinytag import TinyTag

from src.arguments import prepare_arguments
from src.cli import main as umss
from src.command.run import plan
from src.command.separation import compose
from src.command.settings import Options, show, speak_of_options
from src.configuration import FOLDER, compose_config
from src.edit_file import edit_file
from src.settings import find_kinds
from src.writing.tags import Tags
from src.writing.writer import Format, write_audio
from tests.processes import run_python

RATE = 16_000
TAGS = Tags("Grüße", "Chör", "Für alle", "1999", b"\x89PNG\r\n\x1a\n" + bytes(99), "image/png")
NAMES = [
    "Grüße aus Köln.wav",
    "My choir, take 2 (live).wav",
    "'a' \"b\" [c] {track}.wav",
    "-intro.wav",
    "n_singers=3.wav",
    "two\nlines\t#1.wav",
    "🎶 chór.wav",
    "100% %d ${oc.env:HOME}.wav",
    "dots....wav",
    "x" * 220 + ".wav",
    "...wav",
]


def record(path: Path, level: float = 0.2) -> np.ndarray:
    """A second of two tones, with tags."""
    t = np.arange(RATE) / RATE
    wave = level * (np.sin(2 * np.pi * 440 * t) + np.sin(2 * np.pi * 165 * t))
    samples = wave.astype(np.float32)[None]
    form = Format("wav32f" if path.suffix == ".wav" else "flac")
    write_audio(path, [samples], form, RATE, 1, samples.shape[1], TAGS)
    return samples[0]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with pitches for its recordings."""
    monkeypatch.chdir(tmp_path)
    rows = [f"{0.1 * k:.1f},440,165" for k in range(11)]
    Path("f0.csv").write_text("\n".join(["time,soprano,bass", *rows]) + "\n")
    return tmp_path


def separate(*arguments: str) -> None:
    umss(["separate", "--method", "comb", "--f0", "f0.csv", *arguments])


def names_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_options_are_the_settings_of_the_other_form() -> None:
    options = Options(
        singers="3", out="o${x} y", names="Sopran, Alt,Baß", score="a, b.mid", only=("Alt,Baß",),
        format="mp3", bitrate=128, filename="{track}/{voice}.{ext}", method="fit", fast=True,
        overwrite=True, page=True, quiet=True,
    )  # fmt: skip
    typed = [
        "n_singers=3", "output=o\\${x} y", "names=[Sopran,Alt,Baß]", "f0=a, b.mid",
        "only=[Alt,Baß]", "format=mp3", "bitrate=128", "filename={track}/{voice}.{ext}",
        "separator=fit", "separator.opinions=null", "overwrite=true", "page=true", "progress=false",
    ]  # fmt: skip
    prepared = prepare_arguments(typed, find_kinds(FOLDER, "separate"))
    assert compose(options.list_settings()) == compose_config("separate", overrides=prepared)
    # Nothing said: nothing but the counting of singers differs from the configuration.
    assert compose(Options().list_settings()) == compose_config(
        "separate", overrides=["n_singers=auto"]
    )
    more = Options(two_stems="Alt", device="cuda:1")
    cfg = compose(more.list_settings())
    assert (cfg.two_stems, cfg.separator.device) == ("Alt", "cuda:1")
    assert show(['input="a \\"b\\".wav"', "n_singers=auto"]).endswith(
        "'input=a \"b\".wav' n_singers=auto"
    )


@pytest.mark.parametrize("name", NAMES)
def test_any_name_is_separated(name: str, place: Path) -> None:
    recorded = record(Path(name))
    separate("-o", "o", "--quiet", "--", name)
    stem = Path(name).stem
    files = {
        f"{stem}_{end}" for end in ("soprano.wav", "bass.wav", "residual.wav", "parameters.npz")
    }
    assert names_in(place / "o") == files
    parts = [
        sf.read(place / "o" / f"{stem}_{end}.wav")[0] for end in ("soprano", "bass", "residual")
    ]
    np.testing.assert_allclose(sum(parts), recorded, atol=1e-6)


def test_two_stems_in_mp3_with_tags(place: Path) -> None:
    recorded = record(Path("Gruß.flac"))
    separate(
        "--two-stems", "Bass", "--format", "mp3", "--bitrate", "256", "-o", "o",
        "--filename", "{track}/{voice}.{ext}", "Gruß.flac",
    )  # fmt: skip
    assert names_in(place / "o") == {
        "Gruß/bass.mp3", "Gruß/without_bass.mp3", "Gruß/parameters.npz",
    }  # fmt: skip
    total = sum(sf.read(place / "o" / "Gruß" / f"{n}bass.mp3")[0] for n in ("", "without_"))
    assert np.abs(total - recorded).max() < 0.03
    for file, voice in (("bass", "bass"), ("without_bass", "without bass")):
        read = TinyTag.get(place / "o" / "Gruß" / f"{file}.mp3", image=True)
        assert (read.title, read.artist, read.album) == (f"Grüße ({voice})", "Chör", "Für alle")
        assert read.images.front_cover.data == TAGS.cover
    # Nothing of it is left by another separation.
    separate(
        "--only", "soprano", "--format", "flac", "-o", "o", "--overwrite", "Gruß.flac",
        "--filename", "{track}/{voice}.{ext}",
    )  # fmt: skip
    assert names_in(place / "o") == {"Gruß/soprano.flac", "Gruß/parameters.npz"}


def test_a_quartet_has_its_names(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record(Path("choir.wav"))
    umss(["separate", "--dry-run", "--only", "alto,Tenor", "-o", "o", "choir.wav"])
    said = capsys.readouterr().out
    assert "umss separate input=choir.wav n_singers=auto" in said
    assert {line.strip() for line in said.splitlines() if "would write" in line} == {
        f"would write o/choir_{end}"
        for end in ("alto.wav", "tenor.wav", "f0.csv", "parameters.npz")
    }
    assert not Path("o").exists()


def test_page_and_practice_tracks(place: Path) -> None:
    record(Path("choir.wav"))
    separate("--page", "--practice", "-o", "o", "choir.wav")
    written = names_in(place / "o")
    assert {"choir_listen.html", "choir_practice.zip", "choir_practice/bass_without.mp3"} <= written


def test_other_commands_find_files_by_another_pattern(place: Path) -> None:
    record(Path("choir.wav"))
    separate("-o", "o", "--filename", "{voice}/{track}.{ext}", "choir.wav")
    paths = edit_file(
        Path("o/parameters/choir.npz"), {"bass": {"gain": -6.0}}, Path("e"),
        progress=False, format="flac",
    )  # fmt: skip
    assert names_in(place / "e") == {
        f"{voice}/choir.{ending}"
        for voice, ending in [
            ("soprano", "flac"), ("bass", "flac"), ("residual", "flac"), ("mix", "flac"),
            ("parameters", "npz"), ("f0", "csv"),
        ]
    }  # fmt: skip
    mix = sum(sf.read(paths[name])[0] for name in ("soprano", "bass", "residual"))
    np.testing.assert_allclose(sf.read(paths["mix"])[0], mix, atol=1e-6)
    assert TinyTag.get(paths["mix"]).title == "Grüße (mix)"
    Path("o/parameters/choir.npz").rename("o/renamed_parameters.npz")
    with pytest.raises(Exception, match="missing: renamed_soprano"):
        edit_file(Path("o/renamed_parameters.npz"), {"bass": {"gain": -6.0}}, Path("e2"))


def test_a_folder_with_a_broken_recording(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = place / "all"
    for name in ("a.wav", "a.flac", "monday/b.wav", "tuesday/b.wav", ".hidden.wav"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        record(folder / name)
    (folder / "c.wav").write_bytes(b"no sound")
    (folder / "notes.txt").write_text("no sound, and not said to be")
    arguments = ["separate", "--method", "mixture", "-n", "1", "-o", "all/out", "all"]
    with pytest.raises(SystemExit) as left:
        umss(arguments)
    message = str(left.value)
    assert message.startswith("4 of 5 recordings are done; not these:\n  all/c.wav: not readable")
    assert message.count("\n") == 1
    found = {name for name in names_in(folder / "out") if name.endswith("singer1.wav")}
    assert found == {
        f"{track}_singer1.wav" for track in ("flac/a", "wav/a", "monday/b", "tuesday/b")
    }
    assert "[1/5]" in capsys.readouterr().out
    # What was written is not taken for recordings, even beside them.
    umss([*arguments[:-3], "-o", "all/monday", "--overwrite", "all/monday"])
    capsys.readouterr()
    umss(["separate", "-n", "1", "-o", "all/monday", "--overwrite", "--dry-run", "all/monday"])
    assert capsys.readouterr().out.count("umss separate input=") == 1


def test_files_of_one_name_from_several_folders(place: Path) -> None:
    for name in ("x/choir.wav", "y/choir.wav"):
        Path(name).parent.mkdir()
        record(Path(name))
    arguments = ["separate", "--method", "mixture", "-n", "1", "-o", "o", "x/choir.wav"]
    umss([*arguments, "y/choir.wav", "y/../x/choir.wav", "-q"])
    found = {name for name in names_in(place / "o") if name.endswith("singer1.wav")}
    assert found == {"x/choir_singer1.wav", "y/choir_singer1.wav"}


@pytest.mark.slow
def test_several_at_a_time(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a.wav", "b.wav"):
        record(Path(name))
    arguments = ["separate", "--method", "mixture", "-n", "1", "-o", "o", "-j", "2"]
    with pytest.raises(SystemExit, match=r"2 of 3 recordings are done(?s:.*)c\.wav: no such"):
        umss([*arguments, "a.wav", "b.wav", "c.wav"])
    assert "o/a_singer1.wav" in capsys.readouterr().out
    assert len(names_in(place / "o")) == 8


def test_what_is_there_stays_unless_said(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record(Path("choir.wav"))
    separate("-o", "o", "-q", "choir.wav")
    assert capsys.readouterr() == ("", "")
    for more in ([], ["--dry-run"]):
        with pytest.raises(SystemExit, match="exists; add --overwrite or choose another output"):
            separate("-o", "o", *more, "choir.wav")
    separate("-o", "o", "--overwrite", "choir.wav")


def test_a_recording_is_never_replaced(place: Path) -> None:
    recorded = record(Path("bass.wav"))
    with pytest.raises(SystemExit, match="a stem would replace the recording"):
        separate("-o", ".", "--overwrite", "--filename", "{voice}.{ext}", "bass.wav")
    np.testing.assert_array_equal(sf.read("bass.wav", dtype="float32")[0], recorded)


@pytest.mark.parametrize("more", [[], ["--dry-run"]])
def test_no_other_recording_is_replaced(more: list[str], place: Path) -> None:
    record(Path("a.wav"))
    recorded = record(Path("a_singer1.wav"))
    with pytest.raises(SystemExit, match="1 of 2 recordings are done") as left:
        umss(["separate", "--method", "mixture", "-n", "1", "-o", ".", "--overwrite", *more,
              "a.wav", "a_singer1.wav"])  # fmt: skip
    assert "a_singer1.wav: is read as well, and a file of a.wav would replace it" in str(left.value)
    np.testing.assert_array_equal(sf.read("a_singer1.wav", dtype="float32")[0], recorded)


def test_several_at_a_time_know_of_each_other(place: Path) -> None:
    for name in ("a.wav", "a_singer1.wav"):
        record(Path(name))
    options = Options(singers="1", out=".", overwrite=True, method="mixture", jobs=2)
    sent = [pickle.loads(pickle.dumps(job)) for job in plan(["."], options)]
    reasons = [job.attempt() for job in sent]
    assert "a_singer1.wav: is read as well" in str(reasons[0]) and reasons[1] is None


def test_no_other_recording_is_removed(place: Path) -> None:
    record(Path("a.wav"))
    arguments = ["separate", "--method", "mixture", "-n", "1", "-o", ".", "--overwrite"]
    umss([*arguments, "a.wav"])
    umss([*arguments, "--names", "alto", "a.wav", "a_singer1.wav"])
    assert {"a_alto.wav", "a_singer1.wav", "a_singer1_alto.wav"} <= names_in(place)


@pytest.mark.parametrize("kind", ["csv", "musicxml"])
def test_f0_and_scores_are_never_replaced(kind: str, place: Path) -> None:
    record(Path("a.wav"))
    umss(["separate", "input=a.wav", "f0=f0.csv", "n_singers=2", "separator=comb", "output=.",
          "f0_formats=[csv,musicxml]"])  # fmt: skip
    given = {"csv": "a_f0.csv", "musicxml": "a_notes.musicxml"}[kind]
    before = Path(given).read_bytes()
    with pytest.raises(SystemExit, match=f"{given}: is read as well, and a file of a.wav would"):
        umss(["separate", "input=a.wav", f"f0={given}", "n_singers=2", "separator=comb",
              "output=.", f"f0_formats=[{kind}]", "overwrite=true"])  # fmt: skip
    assert Path(given).read_bytes() == before


def test_levels_beyond_full_scale_are_said(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record(Path("loud.wav"), level=1.5)
    separate("-o", "o", "--format", "wav16", "loud.wav")
    said = capsys.readouterr().err
    assert "lowered by" in said and "--format wav32f keeps their level" in said


def test_interrupted_nothing_is_left(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    record(Path("choir.wav"))
    monkeypatch.setattr("src.separated_files.write_parameters", interrupt)
    with pytest.raises(SystemExit) as left:
        separate("-o", "o", "choir.wav")
    assert left.value.code == 130 and not Path("o").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--score", "s.mid", "a.wav"], "--f0 and --score: give one"),
        (["b.wav", "a.wav"], "--f0 belongs to one recording, and there are 2"),
        (["--bitrate", "128", "a.wav"], "add --format mp3"),
        (["--format", "ogg", "a.wav"], "--format ogg: choose one of wav16"),
        (["--fast", "a.wav"], "--fast: this method has no faster variant"),
        (["--device", "cuda", "a.wav"], "--device: this method computes on the CPU only"),
        (["--practice", "--only", "bass", "a.wav"], "--practice needs the files of all"),
        (["--only", "bass", "--two-stems", "bass", "a.wav"], "--only bass and --two-stems"),
        (["--only", "alt", "a.wav"], "--only alt: there is no singer of this name"),
        (["--filename", "{track}.{ext}", "a.wav"], "must have {voice} once"),
        (["--filename", "../{voice}.{ext}", "a.wav"], "below the output folder"),
        (["--filename", "{stem}.{ext}", "a.wav"], "in braces there may be"),
        (["--names", "a,,b", "a.wav"], "give names with commas"),
        (["--singers", "33", "a.wav"], "--singers 33: give a number from 1 to 32"),
        (["--singers", "many", "a.wav"], "--singers many: give a whole number"),
        (["empty"], "empty: there is no recording in this folder"),
        (["a.wav", "n_singers=4"], "n_singers=4 is a setting and --method an option"),
        (["none.wav"], "none.wav: no such audio file"),
    ],
)
def test_mistakes_are_one_sentence(arguments: list[str], message: str, place: Path) -> None:
    (place / "empty").mkdir()
    record(Path("a.wav"))
    with pytest.raises(SystemExit) as left:
        separate("-o", "o", *arguments)
    text = str(left.value)
    assert text.startswith("error: ") and message in text and "\n" not in text
    assert not Path("o").exists()


def test_a_score_is_no_table(place: Path) -> None:
    record(Path("a.wav"))
    with pytest.raises(SystemExit, match="give F0 tracks as --f0"):
        umss(["separate", "--score", "f0.csv", "a.wav"])
    with pytest.raises(SystemExit, match="this is a score; give it as --score"):
        umss(["separate", "--f0", "a.mid", "a.wav"])


def test_what_only_ffmpeg_reads(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("film.m4a").write_bytes(b"\0\0\0\x20ftypM4A " + bytes(99))
    monkeypatch.setenv("PATH", str(place))
    with pytest.raises(SystemExit, match=r"film\.m4a: not readable(.*)install ffmpeg, which reads"):
        separate("film.m4a")


def test_settings_mean_the_other_form(place: Path) -> None:
    record(Path("a.wav"))
    umss(["separate", "a.wav", "f0=f0.csv", "n_singers=2", "separator=comb", "output=o"])
    assert (place / "o" / "a_bass.wav").is_file()


def test_messages_speak_of_options() -> None:
    said = speak_of_options("set n_singers=3, names=['a', b] or overwrite=true", "x")
    assert said == "set --singers 3, --names a,b or --overwrite"
    assert speak_of_options("only=1.wav: set only=[b]", "only=1.wav") == "only=1.wav: set --only b"


def test_help_is_quick() -> None:
    code = (
        "import json, sys\nfrom umss.cli import main\ntry: main(['separate', '--help'])\n"
        "except SystemExit: pass\nprint(json.dumps(sorted(sys.modules)))"
    )
    done = run_python("-c", code, check=True)
    *text, modules = done.stdout.splitlines()
    assert not {"torch", "numpy", "scipy"} & set(json.loads(modules))
    assert any("umss separate choir.mp3" in line for line in text)
