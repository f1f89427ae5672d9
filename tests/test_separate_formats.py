"""`umss separate format=...`: levels, tags, and what other commands make of the files."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from tinytag import TinyTag

from src.api import separate
from src.baselines.masks import CombSeparator
from src.edit_file import edit_file
from src.errors import UmssError
from src.f0.contours import F0Contours
from src.separate_file import separate_file
from src.writing.tags import Tags
from src.writing.writer import Format, write_audio
from tests.listening.reading import decode, read_page

RATE = 16_000
TAGS = Tags("Grüße", "Chör", "Für alle", "1999", b"\x89PNG\r\n\x1a\n" + bytes(99), "image/png")


@pytest.fixture
def contours() -> F0Contours:
    f0 = np.repeat([[440.0, 165.0]], 126, axis=0).astype(np.float32)
    return F0Contours.on_grid(f0, ("Söprano", "bass"))


def record(path: Path, level: float) -> np.ndarray:
    t = np.arange(2 * RATE) / RATE
    wave = level * (np.sin(2 * np.pi * 440 * t) + np.sin(2 * np.pi * 165 * t))
    samples = wave.astype(np.float32)[None]
    form = Format("wav32f" if path.suffix == ".wav" else "flac")
    write_audio(path, [samples], form, RATE, 1, samples.shape[1], TAGS)
    return samples[0]


def run(path: Path, contours: F0Contours, folder: Path, kind: str) -> dict[str, Path]:
    return separate_file(
        path, contours, CombSeparator(), folder, progress=False, form=Format(kind, 192)
    )


@pytest.mark.parametrize("kind", ["wav16", "wav24", "wav32f", "flac", "mp3"])
def test_stems_sum_to_the_recording_and_keep_its_tags(
    kind: str, contours: F0Contours, tmp_path: Path
) -> None:
    path = tmp_path / "choir.flac"
    recorded = record(path, 0.2)
    paths = run(path, contours, tmp_path / "out", kind)
    ending = kind[:3] if kind.startswith("wav") else kind
    assert {p.suffix for name, p in paths.items() if name != "parameters"} == {f".{ending}"}
    assert sorted((tmp_path / "out").iterdir()) == sorted(paths.values())
    signals = [sf.read(str(paths[name]))[0] for name in ("Söprano", "bass", "residual")]
    tolerance = {"mp3": 0.03, "wav16": 1.4e-4}.get(kind, 1e-6)
    assert np.abs(sum(signals) - recorded).max() < tolerance
    read = TinyTag.get(paths["Söprano"], image=True)
    assert (read.title, read.artist) == ("Grüße (Söprano)", "Chör")
    if ending != "wav":
        assert read.images.front_cover.data == TAGS.cover


def test_clipping_is_said_and_the_balance_kept(
    contours: F0Contours, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "loud.wav"
    recorded = record(path, 1.4)
    with caplog.at_level(logging.WARNING):
        paths = run(path, contours, tmp_path / "out", "wav24")
    found = [sf.read(str(paths[name]))[0] for name in ("Söprano", "bass", "residual")]
    factor = 1 / max(
        np.abs(sf.read(str(p))[0]).max()
        for name, p in run(path, contours, tmp_path / "float", "wav32f").items()
        if name != "parameters"
    )
    assert factor < 0.8
    np.testing.assert_allclose(sum(found), factor * recorded, atol=1e-5)
    assert max(np.abs(signal).max() for signal in found) == pytest.approx(1, abs=1e-6)
    decibels = -20 * np.log10(factor)
    assert f"all files are lowered by {decibels:.1f} dB" in caplog.text
    caplog.clear()
    run(path, contours, tmp_path / "again", "wav32f")
    assert "lowered" not in caplog.text


def test_results_in_memory_are_saved_alike(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    t = np.arange(RATE) / RATE
    audio = 1.5 * np.sin(2 * np.pi * 440 * t) + 0.1 * np.sin(2 * np.pi * 165 * t)
    result = separate(audio, RATE, f0=np.repeat([[440.0], [165.0]], 63, axis=1), method="comb")
    paths = result.save(tmp_path, format="flac")
    assert "lowered by" in caplog.text
    total = sum(sf.read(str(paths[name]))[0] for name in ("singer1", "singer2", "residual"))
    gain = (total @ audio) / (audio @ audio)
    np.testing.assert_allclose(total, gain * audio, atol=1e-5)
    assert 0.5 < gain < 0.8
    assert TinyTag.get(paths["singer1"]).title == "recording (singer1)"
    # Another format with overwrite leaves nothing of the first.
    result.save(tmp_path, format="wav16", overwrite=True)
    assert not list(tmp_path.glob("*.flac")) and len(list(tmp_path.glob("*.wav"))) == 3


def test_a_file_separated_in_memory_keeps_its_tags(contours: F0Contours, tmp_path: Path) -> None:
    path = tmp_path / "choir.flac"
    record(path, 0.2)
    result = separate(path, f0=contours, method="comb")
    paths = result.save(tmp_path / "out", format="mp3")
    read = TinyTag.get(paths["bass"], image=True)
    assert (read.title, read.album) == ("Grüße (bass)", "Für alle")
    assert read.images.front_cover.data == TAGS.cover


def test_stems_in_flac_can_be_edited(contours: F0Contours, tmp_path: Path) -> None:
    path = tmp_path / "choir.wav"
    record(path, 0.2)
    paths = run(path, contours, tmp_path / "out", "flac")
    edited = edit_file(
        paths["parameters"], {"bass": {"gain": -6.0}}, tmp_path / "edited", progress=False
    )
    before, after = (sf.read(str(p["bass"]))[0] for p in (paths, edited))
    inner = slice(2000, -2000)
    assert np.std(after[inner]) / np.std(before[inner]) == pytest.approx(0.5, abs=0.03)
    np.testing.assert_allclose(
        sf.read(str(edited["Söprano"]))[0], sf.read(str(paths["Söprano"]))[0], atol=1e-7
    )
    titles = {name: TinyTag.get(edited[name]).title for name in ("Söprano", "bass", "mix")}
    assert titles == {name: f"Grüße ({name})" for name in titles}


@pytest.mark.parametrize(
    ("was", "becomes", "level", "copied"),
    [
        (Format("mp3", 128), Format("mp3", 128), 0.2, True),
        (Format("mp3", 128), Format("mp3", 192), 0.2, False),
        (Format("mp3", 128), Format("mp3", 128), 0.9, False),  # the mix must be lowered
        (Format("wav16"), Format("wav16"), 0.2, True),
        (Format("wav24"), Format("wav16"), 0.2, False),
        (Format("flac"), Format("flac"), 0.2, True),
    ],
)
def test_what_is_not_edited_is_not_encoded_twice(
    was: Format, becomes: Format, level: float, copied: bool, contours: F0Contours, tmp_path: Path
) -> None:
    record(tmp_path / "choir.wav", level)
    given = separate_file(
        tmp_path / "choir.wav", contours, CombSeparator(), tmp_path / "out",
        progress=False, form=was,
    )  # fmt: skip
    edits = {"bass": {"gain": 20 * np.log10(3.0)}}
    edited = edit_file(
        given["parameters"], edits, tmp_path / "edited",
        progress=False, format=becomes.name, bitrate=becomes.bitrate,
    )  # fmt: skip
    for name in ("Söprano", "residual"):
        assert (edited[name].read_bytes() == given[name].read_bytes()) is copied
    assert edited["bass"].read_bytes() != given["bass"].read_bytes()


@pytest.mark.parametrize("kind", ["wav16", "flac", "mp3"])
def test_a_page_plays_the_written_files_beside_the_recording(
    kind: str, contours: F0Contours, tmp_path: Path
) -> None:
    path = tmp_path / "loud.wav"
    recorded = record(path, 1.4)
    paths = separate_file(
        path, contours, CombSeparator(), tmp_path / "out",
        progress=False, form=Format(kind), page=True,
    )  # fmt: skip
    _, content, pieces = read_page(paths["page"])
    (recording,) = content["recordings"]
    mixture, *stems = (decode(sound, RATE) for sound in pieces["0-0"]["sound"])
    written = sf.read(str(paths["bass"]))[0]
    tolerance = 1e-3 if kind == "mp3" else 1e-4
    np.testing.assert_allclose(stems[1], written * recording["gain"], atol=tolerance)
    # The recording is heard lowered as the stems are, so they sum to it.
    assert np.corrcoef(mixture, recorded)[0, 1] > 0.999
    np.testing.assert_allclose(sum(stems), mixture, atol=0.06 if kind == "mp3" else 3e-4)


def test_another_separation_removes_formats_and_page(contours: F0Contours, tmp_path: Path) -> None:
    path, out = tmp_path / "choir.wav", tmp_path / "out"
    record(path, 0.2)
    result = separate(path, f0=contours, method="comb")
    first = result.save(out, f0_formats=["tony", "jams"], page=True)
    assert first["page"].is_file() and first["tony/bass"].is_file()
    result.save(out, format="flac", f0_formats=["jams"], overwrite=True)
    assert {p.name for p in out.iterdir()} == {
        "choir_söprano.flac", "choir_bass.flac", "choir_residual.flac",
        "choir_f0.csv", "choir_f0.jams", "choir_parameters.npz",
    }  # fmt: skip


def test_what_does_not_fit_is_refused_before_the_work(contours: F0Contours, tmp_path: Path) -> None:
    samples = np.zeros((1, 9600), np.float32)
    write_audio(tmp_path / "fast.wav", [samples], Format(), 96_000, 1, 9600)
    with pytest.raises(UmssError, match="MP3 cannot hold"):
        run(tmp_path / "fast.wav", contours, tmp_path / "out", "mp3")
    assert not (tmp_path / "out").exists()
