"""`umss separate`: files in, files out, nothing lost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from hydra.utils import instantiate

from src.audio import AudioError, load_audio
from src.baselines.masks import CombSeparator
from src.cli import entry_point
from src.f0.contour_files import read_contours, read_f0, write_f0
from src.f0.contours import ContourError, F0Contours
from src.outputs import name_outputs
from src.separate_file import main, separate_file
from src.wav_writing import write_wav_atomic
from tests.processes import ROOT, Done, assert_same_sound, run_python
from tests.tiny_training import compose_config

CONF = ROOT / "tests" / "f0" / "conf"
FAKE = (f"hydra.searchpath=[file://{CONF}]", "multif0=tones")


@pytest.fixture
def choir(tmp_path: Path) -> Path:
    """A stereo recording of 3 s at 44.1 kHz with its F0 file."""
    t = np.arange(3 * 44_100) / 44_100
    high, low = np.sin(2 * np.pi * 440 * t), np.sin(2 * np.pi * 165 * t)
    stereo = 0.3 * np.stack([high + 0.5 * low, 0.5 * high + low], axis=1)
    sf.write(tmp_path / "choir.wav", stereo, 44_100, subtype="FLOAT")
    f0 = np.repeat([[440.0, 165.0]], 190, axis=0).astype(np.float32)
    write_f0(tmp_path / "choir.csv", F0Contours.on_grid(f0, ("soprano", "bass")))
    return tmp_path / "choir.wav"


def run(*overrides: str) -> Done:
    return run_python("-m", "src.separate", *overrides)


def test_command_writes_one_file_per_singer(choir: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = (
        f"input={choir}", f"f0={choir.with_suffix('.csv')}", "n_singers=2", "separator=comb",
        f"output={out}",
    )  # fmt: skip
    done = run(*arguments)
    assert done.returncode == 0, done.stderr
    expected = ["bass.wav", "parameters.npz", "residual.wav", "soprano.wav"]
    assert sorted(p.name for p in out.iterdir()) == [f"choir_{name}" for name in expected]
    total = sum(load_audio(p)[0] for p in out.glob("*.wav"))
    original, rate = load_audio(choir)
    assert np.abs(total - original).max() < 1e-4
    assert load_audio(out / "choir_bass.wav")[1] == rate == 44_100
    with np.load(out / "choir_parameters.npz", allow_pickle=False) as stored:
        assert list(stored["names"]) == ["soprano", "bass"]
        assert stored["f0"].shape == stored["harmonic_amplitude"].shape[:2]

    before = (out / "choir_bass.wav").read_bytes()
    again = run(*arguments)
    assert again.returncode == 1
    assert "overwrite=true" in again.stderr
    assert "Traceback" not in again.stderr
    assert (out / "choir_bass.wav").read_bytes() == before


@pytest.mark.slow
def test_mistakes_of_the_user_end_in_one_message(choir: Path, tmp_path: Path) -> None:
    f0 = f"f0={choir.with_suffix('.csv')}"
    out = f"output={tmp_path / 'out'}"
    for overrides, message in (
        ((f"input={tmp_path}/none.wav", f0, "n_singers=2", "separator=comb"), "no such audio file"),
        ((f"input={choir}", f0, "n_singers=4", "separator=comb"), "n_singers=2"),
        ((f"input={choir}", f0, "n_singers=2", "separator=oracle"), "oracle"),
        (
            (f"input={choir}", f0, "n_singers=2", "separator=umss", "separator.checkpoint=no.ckpt"),
            "no such checkpoint",
        ),
    ):
        done = run(*overrides, out)
        assert done.returncode == 1
        assert message in done.stderr
        assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def test_without_f0_it_is_estimated_and_written_beside_the_stems(
    choir: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "out"
    arguments = (f"input={choir}", "n_singers=2", "separator=comb", f"output={out}", *FAKE)
    done = run(*arguments, "names=[soprano,bass]")
    assert done.returncode == 0, done.stderr
    stems = ["choir_bass.wav", "choir_f0.csv", "choir_parameters.npz", "choir_residual.wav"]
    assert sorted(p.name for p in out.iterdir()) == [*stems, "choir_soprano.wav"]
    contours = read_f0(out / "choir_f0.csv")
    assert contours.names == ("soprano", "bass")
    np.testing.assert_allclose(np.median(contours.f0, axis=0), [440, 165], rtol=0.01)
    # The file gives the same stems when it is handed back.
    given = [*arguments[:3], f"f0={out / 'choir_f0.csv'}", f"output={tmp_path / 'given'}"]
    main(compose_config("separate", given))
    for name in ("choir_bass.wav", "choir_soprano.wav"):
        assert_same_sound(load_audio(out / name)[0], load_audio(tmp_path / "given" / name)[0])
    assert not (tmp_path / "given" / "choir_f0.csv").exists()

    (out / "choir_bass.wav").unlink()
    for path in (*out.glob("*.wav"), *out.glob("*.npz")):
        path.unlink()
    caplog.clear()
    caplog.set_level("INFO")
    with pytest.raises(SystemExit, match=r"choir_f0\.csv: exists.*overwrite=true"):
        entry_point(main)(compose_config("separate", [*arguments, "names=[soprano,bass]"]))
    assert "estimating" not in caplog.text  # said before the long part


def test_silence_and_missing_voices_are_warnings(
    choir: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    silence = tmp_path / "silence.wav"
    sf.write(silence, np.zeros(8_000), 16_000)
    for path, message in (
        (silence, "the recording is silent"),
        (choir, "hardly a note was found for singer3"),
    ):
        caplog.clear()
        changes = [f"input={path}", "n_singers=3", "separator=comb", f"output={tmp_path / 'out'}"]
        main(compose_config("separate", [*changes, *FAKE]))
        assert f"warning: {message}" in caplog.text
        audio = load_audio(tmp_path / "out" / f"{path.stem}_singer1.wav")[0]
        assert np.isfinite(audio).all()


def test_files_do_not_depend_on_the_chunks(choir: Path, tmp_path: Path) -> None:
    contours = read_f0(choir.with_suffix(".csv"))
    written = {}
    for chunk_seconds in (1.0, 7.0):
        folder = tmp_path / f"{chunk_seconds:g}"
        overrides = [
            f"input={choir}", f"f0={choir.with_suffix('.csv')}", "n_singers=2", "separator=comb",
            f"output={folder}", "window_seconds=2.2", "overlap_seconds=0.2",
            f"chunk_seconds={chunk_seconds}",
        ]  # fmt: skip
        main(compose_config("separate", overrides))
        written[chunk_seconds] = name_outputs(folder, choir.stem, contours.names)
    for name, path in written[1.0].items():
        if path.suffix == ".npz":
            with np.load(path) as first, np.load(written[7.0][name]) as second:
                assert set(first) == set(second)
                assert first["f0"].shape[1] == 188
                for key in first:
                    np.testing.assert_array_equal(first[key], second[key])
        else:
            stem, other = load_audio(path)[0], load_audio(written[7.0][name])[0]
            assert stem.shape == (2, 3 * 44_100)
            assert ((stem - other) ** 2).sum() <= 1e-9 * (stem**2).sum()


def test_unusable_chunks_are_one_message(choir: Path, tmp_path: Path) -> None:
    contours = read_f0(choir.with_suffix(".csv"))
    for settings, message in (
        ({"chunk_seconds": 0.0}, "chunk_seconds=0"),
        ({"window_seconds": 1.0}, "window_seconds=1.0 must exceed overlap_seconds=1.0"),
    ):
        with pytest.raises(ValueError, match=message):
            separate_file(choir, contours, CombSeparator(), tmp_path / "out", **settings)
    assert not (tmp_path / "out").exists()


def test_unnamed_columns_are_ordered_from_high_to_low(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("0.0,110,440\n0.016,111,441\n")
    contours = read_contours(tmp_path / "x.csv", 2)
    assert contours.names == ("singer1", "singer2")
    np.testing.assert_allclose(contours.f0[0], [440, 110])


def test_f0_file_must_fit(tmp_path: Path, choir: Path) -> None:
    (tmp_path / "silent.csv").write_text("time,a\n0.0,0\n1.0,\n")
    with pytest.raises(ContourError, match="silent throughout"):
        read_contours(tmp_path / "silent.csv", 1)
    late = F0Contours(np.array([100.0, 101.0]), np.full((2, 2), 200.0), ("a", "b"))
    with pytest.raises(ContourError, match="after the end"):
        separate_file(choir, late, CombSeparator(), tmp_path / "out")


def test_file_names_are_safe_and_different() -> None:
    paths = name_outputs(Path("out"), "x", ("Alto 1/2", "../Tenor"))
    assert [p.name for p in paths.values()] == [
        "x_alto_1_2.wav", "x_tenor.wav", "x_residual.wav", "x_parameters.npz",
    ]  # fmt: skip
    for names in (("alto", "Alto"), ("residual", "alto")):
        with pytest.raises(ContourError, match="different file names"):
            name_outputs(Path("out"), "x", names)
    assert "f0" in name_outputs(Path("out"), "x", ("f0",))
    with pytest.raises(ContourError, match="different file names"):
        name_outputs(Path("out"), "x", ("f0",), with_f0=True)


def test_garbage_input_leaves_nothing_behind(tmp_path: Path) -> None:
    contours = F0Contours.on_grid(np.full((10, 1), 200.0, np.float32), ("a",))
    (tmp_path / "garbage.wav").write_bytes(b"\x00\x01garbage" * 100)
    sf.write(tmp_path / "empty.wav", np.zeros((0, 1)), 16_000)
    broken = np.zeros(32_000)
    broken[20_000] = np.nan
    sf.write(tmp_path / "nan.wav", broken, 16_000, subtype="FLOAT")
    for name, message in (("garbage", "not readable"), ("empty", "empty"), ("nan", "NaN")):
        with pytest.raises((AudioError, ValueError), match=message):
            separate_file(
                tmp_path / f"{name}.wav", contours, CombSeparator(), tmp_path / "out",
                progress=False,
            )  # fmt: skip
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


@pytest.mark.slow
def test_memory_does_not_grow_with_length(tmp_path: Path) -> None:
    """Ten minutes need no more memory than one."""
    script = (
        "import sys, numpy as np\n"
        "from pathlib import Path\n"
        "from experiments.bench.cases import peak_gb\n"
        "from src.baselines.masks import CombSeparator\n"
        "from src.f0.contours import F0Contours\n"
        "from src.separate_file import separate_file\n"
        "p = Path(sys.argv[1]); n = int(sys.argv[2])\n"
        "f0 = np.full((n, 4), 200.0, np.float32) * np.array([4, 3, 2, 1], np.float32)\n"
        "c = F0Contours.on_grid(f0, ('s', 'a', 't', 'b'))\n"
        "separate_file(p, c, CombSeparator(), p.parent / p.stem, progress=False)\n"
        "print(peak_gb())\n"
    )
    peak = {}
    for minutes in (1, 10):
        path = tmp_path / f"{minutes}.wav"
        rng = np.random.default_rng(0)
        sf.write(path, 0.1 * rng.normal(size=minutes * 60 * 16_000), 16_000)
        done = run_python("-c", script, str(path), str(minutes * 3750), check=True)
        peak[minutes] = float(done.stdout)
    assert peak[10] < 1.3 * peak[1], peak


@pytest.mark.slow
def test_two_runs_write_the_same_samples(choir: Path, tmp_path: Path) -> None:
    """Two processes, with the same number of threads."""
    for method in ("fit", "umss_fit"):
        for name in ("one", "two"):
            done = run(
                f"input={choir}", f"f0={choir.with_suffix('.csv')}", "n_singers=2",
                f"output={tmp_path / method / name}", f"separator={method}",
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
        files = sorted((tmp_path / method / "one").glob("**/*.wav"))
        assert files
        for path in files:
            twin = tmp_path / method / "two" / path.relative_to(tmp_path / method / "one")
            assert_same_sound(load_audio(path)[0], load_audio(twin)[0], str(path))


def test_overwriting_leaves_nothing_of_the_former_result(choir: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    three = F0Contours.on_grid(
        np.full((190, 3), (440, 330, 165), np.float32), ("soprano", "alto", "bass")
    )
    two = F0Contours.on_grid(np.full((190, 2), (440, 165), np.float32), ("high", "low"))
    first = separate_file(choir, three, CombSeparator(), out, with_f0=True, progress=False)
    (out / "choir_alto_my_mix.wav").write_text("mine")
    (out / "choir2_alto.wav").write_text("of another recording")
    second = separate_file(choir, two, CombSeparator(), out, overwrite=True, progress=False)
    kept = {"choir_alto_my_mix.wav", "choir2_alto.wav"}
    assert {p.name for p in out.iterdir()} == {p.name for p in second.values()} | kept
    total = sum(load_audio(p)[0] for p in second.values() if p.suffix == ".wav")
    np.testing.assert_allclose(total, load_audio(choir)[0], atol=1e-6)
    assert first["f0"].name == "choir_f0.csv"


def test_the_f0_file_that_was_given_is_never_removed(choir: Path, tmp_path: Path) -> None:
    """Users correct the table that lies beside the stems and separate again with it."""
    out = tmp_path / "out"
    contours = read_f0(choir.with_suffix(".csv"))
    table = separate_file(choir, contours, CombSeparator(), out, with_f0=True, progress=False)["f0"]
    before = table.read_bytes()
    separate_file(
        choir, read_f0(table), CombSeparator(), out, overwrite=True, progress=False, keep=[table]
    )
    assert table.read_bytes() == before


@pytest.mark.parametrize("method", ["comb", "umss", "umss_fit", "nmf1"])
def test_singers_are_silent_where_f0_is_missing(
    choir: Path, tmp_path: Path, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    separator = instantiate(compose_config("separate", [f"separator={method}"]).separator)
    f0 = np.full((60, 2), (440, 165), np.float32)
    times = 1.1 + np.arange(60) * 0.008  # from 1.1 to 1.57 s of 3 s
    with caplog.at_level("WARNING"):
        files = separate_file(
            choir, F0Contours(times, f0, ("high", "low")), separator, tmp_path / "out",
            progress=False,
        )  # fmt: skip
    assert "F0 from 1.1 to 1.6 s only, choir.wav lasts 3.0 s" in caplog.text
    for name in ("high", "low"):
        stem, rate = load_audio(files[name])
        assert not stem[:, : round(0.98 * rate)].any() and not stem[:, round(1.7 * rate) :].any()
        assert np.abs(stem[:, round(1.2 * rate) : round(1.5 * rate)]).max() > 0.01
    total = sum(load_audio(files[name])[0] for name in ("high", "low", "residual"))
    np.testing.assert_allclose(total, load_audio(choir)[0], atol=1e-6)


def test_equal_samples_are_equal_bytes(choir: Path, tmp_path: Path) -> None:
    """libsndfile writes the time of day into float files."""
    contours = read_f0(choir.with_suffix(".csv"))
    written = []
    for name in ("one", "two"):
        files = separate_file(choir, contours, CombSeparator(), tmp_path / name, progress=False)
        written.append([path.read_bytes() for path in files.values()])
        content = files["residual"].read_bytes()
        place = content.find(b"PEAK")
        assert place > 0 and content[place + 12 : place + 16] == bytes(4)
    assert written[0] == written[1]


def test_large_files_are_rf64(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("src.wav_writing.LARGEST_WAV", 100_000)
    audio = np.random.default_rng(0).normal(size=(2, 20_000)).astype(np.float32)
    write_wav_atomic(tmp_path / "x.wav", audio, 44_100)
    assert (tmp_path / "x.wav").read_bytes().startswith(b"RF64")
    np.testing.assert_array_equal(load_audio(tmp_path / "x.wav")[0], audio)


@pytest.mark.slow
def test_several_recordings_and_one_that_is_missing(choir: Path, tmp_path: Path) -> None:
    """The others are separated, the exit status tells, and nothing else is written."""
    (tmp_path / "b (2).wav").write_bytes(choir.read_bytes())
    done = run_python(
        "-m", "umss", "separate", "choir.wav", "missing.wav", "b (2).wav", "f0=choir.csv",
        "n_singers=2", "separator=comb", "output=o", cwd=tmp_path, COLUMNS="200",
    )  # fmt: skip
    assert done.returncode == 1 and "missing.wav: no such audio file" in done.stdout
    assert (tmp_path / "o" / "b (2)_bass.wav").is_file()
    assert {p.name for p in tmp_path.iterdir()} == {"choir.wav", "choir.csv", "b (2).wav", "o"}
