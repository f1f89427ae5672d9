"""Edits of separated recordings, in memory and from file to file."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
import torch
import umss

from src.arrays import separate_array
from src.baselines.masks import CombSeparator
from src.cli import main as umss_command
from src.edit_file import edit_file
from src.editing.edits import Edit, EditError
from src.errors import OutputExistsError, UmssError
from src.f0.contour_files import write_f0
from src.f0.contours import F0Contours
from src.fit.separator import FitSeparator
from src.fit.spectra import FitSettings
from src.fit.umss import UmssFitSeparator
from src.models.umss import UmssSeparator
from src.resynthesis import ParametersError, read_voices, synthesise
from src.separated import SeparatedRecording
from src.separator import Separator
from tests.doors import assert_one_sentence
from tests.tiny_training import tiny_checkpoint

RATE = 16_000
SECONDS = 4.8
NAMES = ("soprano", "Alto 1", "bass")
METHODS = ("umss", "fit", "umss_fit")
QUICK: dict[str, Any] = {"opinions": None, "spectra": FitSettings(max_iterations=5)}


def sing_choir(rate: int = RATE, channels: int = 1) -> tuple[np.ndarray, F0Contours]:
    """Three voices with vibrato, of several notes with rests between, and their F0."""
    n_frames = round(SECONDS * 62.5)
    frames = np.arange(n_frames) / 62.5
    f0 = np.zeros((n_frames, 3), np.float32)
    for j, notes in enumerate(((67, 69, 71), (62, 64, 62), (50, 47, 43))):
        for k, note in enumerate(notes):
            here = (frames > 0.2 + 1.6 * k) & (frames < 1.5 + 1.6 * k)
            wave = note + 0.3 * np.sin(2 * np.pi * 5.5 * frames[here] + j)
            f0[here, j] = 440.0 * 2.0 ** ((wave - 69.0) / 12.0)
    t = np.arange(round(SECONDS * rate)) / rate
    rng = np.random.default_rng(0)
    voices = []
    for j in range(3):
        track = np.interp(t, frames, f0[:, j])
        sung = np.interp(t, frames, (f0[:, j] > 0).astype(float)) > 0.5
        level = np.convolve(sung, np.hanning(int(0.05 * rate)) / (0.025 * rate), "same")
        phase = 2 * np.pi * np.cumsum(np.where(sung, track, 0.0)) / rate
        tone = sum(np.sin(k * phase + k) / k**1.2 for k in range(1, 12))
        voices.append(0.1 * level * (tone + 0.01 * rng.standard_normal(len(t))))
    sides = np.array([[1.0, 0.6], [0.8, 0.8], [0.5, 1.0]])[:, :channels]
    audio = np.einsum("jt,jc->ct", np.array(voices), sides).astype(np.float32)
    return (audio if channels > 1 else audio[0]), F0Contours.on_grid(f0, NAMES)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_checkpoint(tmp_path_factory.mktemp("network"))


def build(method: str, checkpoint: Path) -> Separator:
    if method == "umss":
        return UmssSeparator(checkpoint)
    if method == "fit":
        return FitSeparator(**QUICK)
    if method == "umss_fit":
        return UmssFitSeparator(checkpoint, **QUICK)
    return CombSeparator()


def separate(method: str, checkpoint: Path, rate: int = RATE, channels: int = 1) -> Any:
    audio, f0 = sing_choir(rate, channels)
    return separate_array(
        audio, rate, f0, build(method, checkpoint), window_seconds=3.0, overlap_seconds=0.7, seed=3
    )


@pytest.fixture(scope="module")
def combed(checkpoint: Path) -> SeparatedRecording:
    result: SeparatedRecording = separate("comb", checkpoint, 22_050, 2)
    return result


@pytest.fixture(scope="module")
def fitted(checkpoint: Path) -> SeparatedRecording:
    audio, f0 = sing_choir()
    return separate_array(
        audio, RATE, f0, FitSeparator(opinions=None), window_seconds=3.0, overlap_seconds=0.7
    )


def count_cycles(signal: np.ndarray, f0: np.ndarray, rate: int) -> float:
    """Ratio of the F0 that a voice has to the one given, [N] Hz, by autocorrelation."""
    ratios = []
    for n in np.flatnonzero(f0 > 0)[5:-5:7]:
        middle = round(n * 0.016 * rate)
        frame = signal[middle - round(0.03 * rate) : middle + round(0.03 * rate)]
        if len(frame) < 0.06 * rate - 2 or frame.std() < 1e-3:
            continue
        spectrum = np.abs(np.fft.rfft(frame * np.hanning(len(frame)), 16 * len(frame))) ** 2
        lags = np.fft.irfft(spectrum)[: len(frame)]
        period = rate / f0[n]
        near = np.arange(int(0.75 * period), int(1.3 * period) + 1)
        near = near[near < len(lags) - 1]
        best = near[np.argmax(lags[near])]
        a, b, c = lags[best - 1 : best + 2]
        ratios.append(period / (best + 0.5 * (a - c) / (a - 2 * b + c)))
    return float(np.median(ratios))


# What is not named stays; what is asked for comes.


def test_voices_not_named_are_untouched_and_the_mix_is_their_sum(
    combed: SeparatedRecording,
) -> None:
    edited = umss.edit(combed, soprano={"transpose": 2})
    for name in NAMES[1:]:
        np.testing.assert_array_equal(edited.stems[name], combed.stems[name])
    assert edited.residual is combed.residual and edited.edited == ("soprano",)
    others = edited.mix - edited.stems["soprano"] - edited.residual
    np.testing.assert_allclose(others, combed.stems["Alto 1"] + combed.stems["bass"], atol=1e-6)
    np.testing.assert_array_equal(combed.f0.f0[:, 1:], edited.f0.f0[:, 1:])
    sung = combed.f0.f0[:, 0] > 0
    ratio = edited.f0.f0[sung, 0] / combed.f0.f0[sung, 0]
    # The track is first moved to what the stem sings, by less where the note is steady.
    np.testing.assert_allclose(ratio, 2 ** (2 / 12), rtol=0.03)
    assert np.median(np.abs(ratio / 2 ** (2 / 12) - 1)) < 1e-3


@pytest.mark.parametrize("semitones", [-4.0, 0.3, 3.0])
@pytest.mark.parametrize("singer", NAMES)
def test_stems_are_transposed(combed: SeparatedRecording, singer: str, semitones: float) -> None:
    edited = umss.edit(combed, {singer: {"transpose": semitones}})
    track = edited.f0.f0[:, NAMES.index(singer)]
    for channel in edited.stems[singer]:
        found = count_cycles(channel, track, combed.rate)
        assert abs(1200 * np.log2(found)) < 20.0
    change = edited.stems[singer].std() / combed.stems[singer].std()
    assert abs(20 * np.log10(change)) < 1.5


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_models_sing_what_is_asked(method: str, checkpoint: Path) -> None:
    result = separate(method, checkpoint)
    edited = umss.edit(result, soprano={"cents": 150}, rendering="synthesis")
    np.testing.assert_array_equal(edited.stems["soprano"], edited.synthesised["soprano"])
    again = umss.edit(edited, soprano={"cents": -150}, rendering="synthesis")
    np.testing.assert_allclose(again.f0.f0, result.f0.f0, rtol=0.02)  # tuned before
    if method != "umss":  # untrained networks make noise
        found = count_cycles(edited.stems["soprano"], edited.f0.f0[:, 0], RATE)
        assert abs(1200 * np.log2(found)) < 20.0


@pytest.mark.parametrize("method", METHODS)
def test_the_edit_that_changes_nothing_is_the_unedited_rendering(
    method: str, checkpoint: Path
) -> None:
    result = separate(method, checkpoint)
    nothing = {name: {"transpose": 0, "vibrato": 1} for name in result.stems}
    stems = umss.edit(result, nothing)
    sung = umss.edit(result, nothing, rendering="synthesis")
    for name in result.stems:
        np.testing.assert_array_equal(stems.stems[name], result.stems[name])
        np.testing.assert_allclose(sung.synthesised[name], result.synthesised[name], atol=1e-6)
    np.testing.assert_array_equal(stems.f0.f0, umss.edit(stems, nothing).f0.f0)


def test_gain_is_a_gain_in_every_rendering(fitted: SeparatedRecording) -> None:
    for rendering in ("stem", "synthesis"):
        edited = umss.edit(fitted, bass={"gain": -6.0}, rendering=rendering)
        expected = 10 ** (-6 / 20) * fitted.stems["bass"]
        np.testing.assert_allclose(edited.stems["bass"], expected, atol=1e-6)
    quieter = edited.synthesised["bass"].std() / fitted.synthesised["bass"].std()
    assert 20 * np.log10(quieter) == pytest.approx(-6.0, abs=0.01)


def find_centre(signal: np.ndarray, rate: int) -> float:
    """Centre of a power spectrum, Hz."""
    power = np.abs(np.fft.rfft(signal)) ** 2
    hertz = np.fft.rfftfreq(len(signal), 1 / rate)
    return float((power * hertz).sum() / power.sum())


@pytest.mark.parametrize("rendering", ["stem", "synthesis"])
def test_formants_move_without_the_pitch(fitted: SeparatedRecording, rendering: str) -> None:
    up, down = (
        umss.edit(fitted, bass={"formants": x}, rendering=rendering).stems["bass"] for x in (5, -5)
    )
    same = fitted.stems["bass"] if rendering == "stem" else fitted.synthesised["bass"]
    centres = [find_centre(x, RATE) for x in (down, same, up)]
    assert centres[0] < centres[1] < centres[2]
    track = fitted.f0.f0[:, 2]
    assert abs(1200 * np.log2(count_cycles(up, track, RATE))) < 20.0


@pytest.mark.parametrize("rendering", ["stem", "synthesis"])
def test_noise_and_harmonics_have_levels_of_their_own(
    fitted: SeparatedRecording, rendering: str
) -> None:
    breathy, pure = (
        umss.edit(fitted, soprano=x, rendering=rendering).stems["soprano"]
        for x in ({"harmonics": -60.0}, {"noise": -60.0})
    )
    same = fitted.stems if rendering == "stem" else fitted.synthesised
    assert breathy.std() < 0.3 * pure.std()
    inside = slice(RATE // 2, RATE)  # between notes there is nothing to tell apart
    both = (breathy + pure)[inside]
    np.testing.assert_allclose(both, same["soprano"][inside], atol=2e-3)


@pytest.mark.parametrize("rendering", ["stem", "synthesis"])
def test_a_voice_takes_the_colour_of_another(fitted: SeparatedRecording, rendering: str) -> None:
    same = fitted.stems if rendering == "stem" else fitted.synthesised
    edited = umss.edit(fitted, bass={"timbre": "soprano"}, rendering=rendering)
    assert np.abs(edited.stems["bass"] - same["bass"]).max() > 1e-3
    assert abs(20 * np.log10(edited.stems["bass"].std() / same["bass"].std())) < 6.0


@pytest.mark.parametrize("rendering", ["stem", "synthesis"])
def test_a_voice_is_added(fitted: SeparatedRecording, rendering: str) -> None:
    edited = umss.edit(
        fitted,
        {"descant": {"copy_of": "soprano", "degrees": 2, "scale": "G major"}, "bass": {"gain": -3}},
        rendering=rendering,
    )
    assert tuple(edited.stems) == (*NAMES, "descant") == edited.f0.names
    np.testing.assert_array_equal(edited.stems["soprano"], fitted.stems["soprano"])
    sung = fitted.f0.f0[:, 0] > 0
    steps = 12 * np.log2(edited.f0.f0[sung, 3] / fitted.f0.f0[sung, 0])
    assert set(np.unique(steps.round()).tolist()) <= {3.0, 4.0}
    assert abs(1200 * np.log2(count_cycles(edited.stems["descant"], edited.f0.f0[:, 3], RATE))) < 20
    # The models of the others sing as before.
    for name in NAMES[:2]:
        np.testing.assert_allclose(edited.synthesised.get(name), fitted.synthesised[name])


@pytest.mark.parametrize("rendering", ["stem", "synthesis"])
def test_no_clicks_at_the_edges_of_notes(fitted: SeparatedRecording, rendering: str) -> None:
    edited = umss.edit(fitted, soprano={"transpose": 3}, rendering=rendering).stems["soprano"]
    before = (fitted.stems if rendering == "stem" else fitted.synthesised)["soprano"]
    voiced = np.repeat(fitted.f0.f0[:, 0] > 0, 256)[: len(before)]
    edges = np.flatnonzero(np.diff(voiced.astype(int)))
    for edge in edges:
        near = slice(max(0, edge - 800), edge + 800)
        steps = [np.abs(np.diff(x[near])).max() for x in (before, edited)]
        assert steps[1] < 1.3 * steps[0] + 1e-3  # a higher pitch has steeper slopes


# Contours, scores and names.


def test_a_contour_is_sung(combed: SeparatedRecording, tmp_path: Path) -> None:
    wanted = combed.f0.f0[:, [0]].copy()
    wanted[wanted > 0] = 400.0
    path = tmp_path / "contour.csv"
    write_f0(path, F0Contours(combed.f0.times, wanted, ("anything",)))
    edited = umss.edit(combed, soprano={"contour": path})
    sung = combed.f0.f0[:, 0] > 0
    np.testing.assert_allclose(edited.f0.f0[sung, 0], 400.0, rtol=1e-5)
    found = count_cycles(edited.stems["soprano"][0], edited.f0.f0[:, 0], combed.rate)
    assert abs(1200 * np.log2(found)) < 20.0


def test_where_a_contour_is_silent_the_singer_stays(
    combed: SeparatedRecording, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wanted = 1.05 * combed.f0.f0
    wanted[combed.f0.times > 3.3] = 0.0
    path = tmp_path / "contour.csv"
    write_f0(path, F0Contours(combed.f0.times, wanted, NAMES))
    with caplog.at_level(logging.WARNING):
        edited = umss.edit(combed, {"Alto 1": {"contour": str(path)}})
    assert "there is no contour" in caplog.text
    ratio = edited.f0.f0[:, 1] / np.maximum(combed.f0.f0[:, 1], 1.0)
    early = (combed.f0.times < 3.0) & (combed.f0.f0[:, 1] > 0)
    late = (combed.f0.times > 3.8) & (combed.f0.f0[:, 1] > 0)
    np.testing.assert_allclose(ratio[early], 1.05, rtol=1e-5)
    np.testing.assert_allclose(ratio[late], 1.0, rtol=0.03)


def write_score(path: Path, shift: float = 0.0) -> Path:
    """A MIDI file of the three voices."""
    import mido

    file = mido.MidiFile(type=1, ticks_per_beat=1000)
    for name, notes in zip(NAMES, ((67, 69, 72), (62, 64, 62), (50, 47, 43)), strict=True):
        track = mido.MidiTrack()
        track.append(mido.MetaMessage("set_tempo", tempo=1_000_000))
        track.append(mido.MetaMessage("track_name", name=name))
        now = 0
        for k, note in enumerate(notes):
            start, stop = round(1000 * (0.2 + 1.6 * k + shift)), round(1000 * (1.5 + 1.6 * k))
            track.append(mido.Message("note_on", note=note, velocity=64, time=start - now))
            track.append(mido.Message("note_off", note=note, time=stop - start))
            now = stop
        file.tracks.append(track)
    file.save(path)
    return path


def test_intonation_follows_a_score(combed: SeparatedRecording, tmp_path: Path) -> None:
    score = write_score(tmp_path / "choir.mid")
    edited = umss.edit(
        combed, soprano={"intonation": {"to": "score", "score": str(score), "strength": 1.0}}
    )
    last = (combed.f0.times > 3.7) & (combed.f0.times < 4.6)
    middle = 69 + 12 * np.log2(np.median(edited.f0.f0[last, 0]) / 440)
    assert middle == pytest.approx(72.0, abs=0.15)  # the soprano sings B, the score says C


def test_singers_are_found_by_the_names_of_their_files(combed: SeparatedRecording) -> None:
    edited = umss.edit(combed, alto_1={"cents": 10}, SOPRANO={"vibrato": 0})
    assert set(edited.edited) == {"Alto 1", "soprano"}
    assert edited.edited == ("soprano", "Alto 1")


def test_tensors_come_back_as_tensors(combed: SeparatedRecording) -> None:
    as_tensors = dataclasses.replace(
        combed,
        stems={name: torch.from_numpy(np.asarray(x)) for name, x in combed.stems.items()},
        residual=torch.from_numpy(np.asarray(combed.residual)),
    )
    edited = umss.edit(as_tensors, bass={"transpose": 1})
    assert isinstance(edited.stems["bass"], torch.Tensor)
    assert isinstance(edited.mix, torch.Tensor)
    plain = umss.edit(combed, bass={"transpose": 1})
    np.testing.assert_array_equal(edited.stems["bass"].numpy(), plain.stems["bass"])


# From file to file.


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_files_are_what_the_function_gives(
    fitted: SeparatedRecording, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = fitted.save(tmp_path / "separated")
    umss_command(
        [
            "edit", str(given["parameters"]), "edits.soprano.transpose=2",
            "edits.third.copy_of=soprano", "edits.third.degrees=2", "edits.third.scale=G major",
            f"output={tmp_path / 'edited'}",
        ]
    )  # fmt: skip
    edited = umss.edit(
        fitted,
        soprano={"transpose": 2},
        third={"copy_of": "soprano", "degrees": 2, "scale": "G major"},
    )
    out = tmp_path / "edited"
    for name in ("soprano", "third"):
        found, rate = sf.read(out / f"recording_{name}.wav", dtype="float32")
        assert rate == RATE
        np.testing.assert_array_equal(found, edited.stems[name])
    for name in ("alto_1", "bass", "residual"):
        assert digest(out / f"recording_{name}.wav") == digest(
            tmp_path / "separated" / f"recording_{name}.wav"
        )
    mix, _ = sf.read(out / "recording_mix.wav", dtype="float32")
    np.testing.assert_allclose(mix, edited.mix, atol=1e-6)
    saved = edited.save(tmp_path / "saved")
    assert {p.name for p in saved.values()} == {p.name for p in out.iterdir()}
    voices = np.concatenate(list(synthesise(read_voices(out / "recording_parameters.npz"))), -1)
    np.testing.assert_allclose(voices[0], edited.synthesised["soprano"], atol=1e-6)
    # An edited separation can be edited again.
    edit_file(
        out / "recording_parameters.npz", {"third": {"gain": -2}}, tmp_path / "again",
        residual=False, progress=False,
    )  # fmt: skip
    mix, _ = sf.read(tmp_path / "again" / "recording_mix.wav", dtype="float32")
    stems = [sf.read(p, dtype="float32")[0] for p in (tmp_path / "again").glob("*.wav")
             if not p.stem.endswith(("_mix", "_residual"))]  # fmt: skip
    np.testing.assert_allclose(mix, np.sum(stems, axis=0), atol=1e-6)


def test_nothing_is_replaced_unasked(combed: SeparatedRecording, tmp_path: Path) -> None:
    parameters = combed.save(tmp_path / "a")["parameters"]
    before = {path: digest(path) for path in (tmp_path / "a").iterdir()}
    with pytest.raises(OutputExistsError, match="overwrite=true"):
        edit_file(parameters, {"bass": {"gain": 1}}, tmp_path / "a", progress=False)
    assert {path: digest(path) for path in (tmp_path / "a").iterdir()} == before
    edit_file(parameters, {"bass": {"gain": 1}}, tmp_path / "a", overwrite=True, progress=False)
    changed = {path.name for path, value in before.items() if digest(path) != value}
    assert "recording_bass.wav" in changed and "recording_soprano.wav" not in changed


# Mistakes.

BAD: list[tuple[dict[str, Any], str]] = [
    ({}, "no edits are given"),
    ({"tenor": {"transpose": 1}}, "there is no singer of this name"),
    ({"sopran": {"transpose": 1}}, "did you mean soprano?"),
    ({"soprano": {"transposed": 1}}, "did you mean transpose?"),
    ({"soprano": {"transpose": "x"}}, "give a number"),
    ({"soprano": {"transpose": float("nan")}}, "give a number"),
    ({"soprano": {"transpose": 40}}, "from -36 to 36"),
    ({"soprano": {"transpose": True}}, "give a number"),
    ({"soprano": {"transpose": 30}}, "above the 2100 Hz"),
    ({"bass": {"transpose": -20}}, "below the 40 Hz"),
    ({"soprano": {"degrees": 1.5}}, "whole number"),
    ({"soprano": {"degrees": 2}}, "degrees of which scale"),
    ({"soprano": {"degrees": 2, "scale": "H"}}, "is no key"),
    ({"soprano": {"intonation": "justt"}}, "is no key"),
    ({"soprano": {"intonation": "just"}}, "need a tonic"),
    ({"soprano": {"intonation": {"to": "score"}}}, "give the file"),
    ({"soprano": {"intonation": {"score": "x.mid"}}}, "to=score only"),
    ({"soprano": {"intonation": {"strength": 2}}}, "from 0 to 1"),
    ({"soprano": {"timbre": "nobody"}}, "there is no singer of this name"),
    ({"soprano": {"contour": "nothing.csv"}}, "nothing.csv"),
    ({"soprano": {"copy_of": "bass"}}, "a name of its own"),
    ({"mix": {"copy_of": "bass"}}, "a name of its own"),
    ({"new": {"copy_of": "nobody"}}, "there is no singer of this name"),
    ({"soprano": 2}, "an edit has fields"),
    ({"soprano": {"gain": 1}, "SOPRANO": {"gain": 1}}, "edited twice"),
]


@pytest.mark.parametrize(("edits", "words"), BAD)
def test_mistakes_are_one_sentence(
    edits: dict[str, Any], words: str, combed: SeparatedRecording
) -> None:
    with pytest.raises(UmssError) as caught:
        umss.edit(combed, edits)
    assert_one_sentence(caught.value)
    assert words in str(caught.value)


def test_contours_that_do_not_fit(combed: SeparatedRecording, tmp_path: Path) -> None:
    late = tmp_path / "late.csv"
    write_f0(late, F0Contours(combed.f0.times + 4.0, combed.f0.f0[:, [0]], ("soprano",)))
    with pytest.raises(EditError, match="its times must be the recording's") as caught:
        umss.edit(combed, soprano={"contour": str(late)})
    assert_one_sentence(caught.value, str(late))
    two = tmp_path / "two.csv"
    write_f0(two, F0Contours(combed.f0.times, combed.f0.f0[:, :2], ("a", "b")))
    with pytest.raises(EditError, match="none named soprano"):
        umss.edit(combed, soprano={"contour": str(two)})


def test_methods_without_voices_have_stems_alone(combed: SeparatedRecording) -> None:
    with pytest.raises(EditError, match="use rendering=stem"):
        umss.edit(combed, bass={"transpose": 1}, rendering="synthesis")
    with pytest.raises(EditError, match="choose one of stem, synthesis"):
        umss.edit(combed, bass={"transpose": 1}, rendering="other")


def test_files_that_are_missing_or_do_not_fit(combed: SeparatedRecording, tmp_path: Path) -> None:
    parameters = combed.save(tmp_path / "a")["parameters"]
    edits = {"bass": {"transpose": 1}}

    def refuse(kind: type[Exception], words: str) -> None:
        with pytest.raises(kind, match=words) as caught:
            edit_file(parameters, edits, tmp_path / "out", progress=False)
        assert_one_sentence(caught.value)
        assert not (tmp_path / "out").exists()

    original = parameters.read_bytes()
    parameters.write_bytes(original[: len(original) // 2])
    refuse(ParametersError, "separate the recording again")
    parameters.write_bytes(original)
    bass = tmp_path / "a" / "recording_bass.wav"
    shutil.move(bass, tmp_path / "bass.wav")
    refuse(ParametersError, "missing: recording_bass.wav")
    samples, rate = sf.read(tmp_path / "bass.wav")
    sf.write(bass, samples[:-100], rate)
    refuse(EditError, "unlike")
    bass.unlink()
    shutil.move(tmp_path / "bass.wav", bass)
    for path in (tmp_path / "a").glob("*.wav"):
        samples, rate = sf.read(path)
        sf.write(path, samples[: rate * 3], rate)
    refuse(EditError, "they are of different separations")


def test_the_fields_of_the_command_are_those_of_an_edit() -> None:
    """The comment in conf/edit.yaml names every field."""
    text = (Path(__file__).parents[2] / "conf" / "edit.yaml").read_text()
    for field in dataclasses.fields(Edit):
        assert f"{field.name}=" in text or f"{field.name}." in text, field.name
