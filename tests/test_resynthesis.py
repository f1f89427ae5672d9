"""Voices from parameters alone are those of the separation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
import torch
import umss
from numpy.typing import NDArray

from src.audio import count_resampled, load_audio, resample
from src.baselines.masks import CombSeparator
from src.cli import main as umss_command
from src.errors import UmssError
from src.f0.contour_files import write_f0
from src.f0.contours import ContourError, F0Contours
from src.fit.separator import FitSeparator
from src.fit.spectra import FitSettings
from src.fit.umss import UmssFitSeparator
from src.models.umss import UmssSeparator
from src.outputs import find_outputs, name_synthesised
from src.resynthesis import ParametersError, read_voices, synthesise
from src.separate_file import separate_file
from src.separator import Separator
from tests.doors import assert_one_sentence
from tests.test_chunks import choir
from tests.tiny_training import tiny_checkpoint

METHODS = ("umss", "fit", "umss_fit")
QUICK: dict[str, Any] = {"opinions": None, "spectra": FitSettings(max_iterations=5)}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Windows are separated with one thread each; more here would round otherwise."""
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_checkpoint(tmp_path_factory.mktemp("network"))


def build(method: str, checkpoint: Path, **options: Any) -> Separator:
    if method == "umss":
        return UmssSeparator(checkpoint)
    if method == "fit":
        return FitSeparator(**QUICK | options)
    return UmssFitSeparator(checkpoint, **QUICK | options)


def separate(audio: NDArray[np.float32], rate: int, f0: Any, separator: Separator, **options: Any):  # type: ignore[no-untyped-def]
    from src.arrays import separate_array

    return separate_array(audio, rate, f0, separator, **options)


def sing(path: Path) -> NDArray[np.float32]:
    return np.concatenate(list(synthesise(read_voices(path))), axis=-1)


def assert_equal(again: NDArray[np.float32], voices: dict[str, NDArray[np.float32]]) -> None:
    wanted = np.stack(list(voices.values()))
    assert again.shape == wanted.shape and again.dtype == np.float32
    assert np.abs(wanted).max(axis=-1).min() > 1e-5
    assert np.linalg.norm(again - wanted) <= 1e-5 * np.linalg.norm(wanted)


@pytest.mark.parametrize(
    ("rate", "channels", "method"),
    [
        *((16_000, 1, method) for method in METHODS),
        (44_100, 2, "umss"),
        (44_100, 2, "umss_fit"),
        pytest.param(44_100, 2, "fit", marks=pytest.mark.slow),
    ],
)
def test_resynthesis_is_what_the_separation_computed(
    method: str, rate: int, channels: int, checkpoint: Path, tmp_path: Path
) -> None:
    """Several windows, the last of which begins before its place; the same at a tenth the level."""
    audio, f0 = choir(6.3217, rate, channels)
    separator = build(method, checkpoint)
    options = {"window_seconds": 3.0, "overlap_seconds": 0.7, "seed": 5}
    loud = {}
    for level in (1.0, 0.1):
        result = separate(np.float32(level) * audio, rate, f0, separator, **options)
        again = sing(result.save(tmp_path / f"{level}")["parameters"])
        assert again.shape[-1] == audio.shape[-1]
        assert_equal(again, result.synthesised)
        loud[level] = np.linalg.norm(again)
    assert loud[0.1] == pytest.approx(0.1 * loud[1.0], rel=0.02)


@pytest.mark.parametrize(
    "method", ["umss", pytest.param("fit", marks=pytest.mark.slow), "umss_fit"]
)
def test_chunks_do_not_matter_and_seeds_do(method: str, checkpoint: Path, tmp_path: Path) -> None:
    audio, f0 = choir(6.3, 16_000)
    # The first steps of a descent follow the signs of gradients, also of those that are rounding.
    spectra = {} if method == "umss" else {"spectra": FitSettings(max_iterations=60)}
    separator = build(method, checkpoint, **spectra)
    files = {}
    for name, chunk_seconds, seed in (("one", 3.0, 0), ("all", 99.0, 0), ("other", 99.0, 1)):
        result = separate(
            audio, 16_000, f0, separator,
            window_seconds=3.0, chunk_seconds=chunk_seconds, seed=seed,
        )  # fmt: skip
        files[name] = sing(result.save(tmp_path / name)["parameters"])
        assert_equal(files[name], result.synthesised)
    norm = np.linalg.norm(files["one"])
    assert np.linalg.norm(files["one"] - files["all"]) < 5e-3 * norm
    assert np.linalg.norm(files["all"] - files["other"]) > 3e-4 * norm


def test_windows_that_overlap_by_more_than_half(checkpoint: Path, tmp_path: Path) -> None:
    audio, f0 = choir(7.3, 16_000)
    separator = build("umss", checkpoint)
    options = {"window_seconds": 5.0, "overlap_seconds": 3.0}
    result = separate(audio, 16_000, f0, separator, **options)
    assert_equal(sing(result.save(tmp_path)["parameters"]), result.synthesised)


@pytest.mark.parametrize("options", [{"partials": None}, {"n_fft": 512, "mask_hop": 100}])
def test_other_settings_of_the_fit(
    options: dict[str, Any], checkpoint: Path, tmp_path: Path
) -> None:
    audio, f0 = choir(1.7, 16_000)
    for method in ("fit", "umss_fit"):
        separator = build(method, checkpoint, **options)
        result = separate(audio, 16_000, f0, separator)
        parameters = result.save(tmp_path / method)["parameters"]
        assert_equal(sing(parameters), result.synthesised)


def test_the_voices_of_the_fit_are_those_that_were_sung(checkpoint: Path) -> None:
    """Partials are sines of the recording, so that waveforms agree; and levels do."""
    audio, f0 = choir(3.0, 16_000)
    # The voices are dry, and one singer a part.
    separator = build("fit", checkpoint, singers_per_part=1, rooms=False)
    result = separate(audio, 16_000, f0, separator)
    whole = sum(result.synthesised.values())
    error = np.linalg.norm(whole - audio[0]) / np.linalg.norm(audio[0])
    assert error < 0.4
    both = np.stack([audio[0], -0.5 * audio[0]])
    stereo = separate(both, 16_000, f0, separator).synthesised
    # Mono: of what is listened to, the mean after the second channel was turned round.
    for name, voice in result.synthesised.items():
        assert np.linalg.norm(stereo[name] - 0.75 * voice) < 0.02 * np.linalg.norm(voice)


def test_the_noise_of_the_fit_has_the_fitted_level() -> None:
    noise = 0.1 * np.random.default_rng(0).normal(size=48_000).astype(np.float32)
    settings = FitSettings(noise_level=0.0, max_iterations=200, tolerance=0.0)
    separator = FitSeparator(opinions=None, retune=False, spectra=settings)
    result = separate(noise, 16_000, np.zeros((2, 188), np.float32), separator)
    voices = np.stack(list(result.synthesised.values()))
    assert np.std(voices.sum(axis=0)) == pytest.approx(0.1, rel=0.1)


def test_silence_and_short_recordings(checkpoint: Path, tmp_path: Path) -> None:
    for n_samples in (200, 9000):
        f0 = np.full((2, -(-n_samples // 256)), 200.0, np.float32)
        for method in METHODS:
            silence = np.zeros(n_samples, np.float32)
            result = separate(silence, 16_000, f0, build(method, checkpoint))
            path = result.save(tmp_path / method, overwrite=True)["parameters"]
            again = sing(path)
            np.testing.assert_allclose(
                again, np.stack(list(result.synthesised.values())), atol=1e-7
            )
            assert np.isfinite(again).all()


def write_recording(folder: Path, method: str, checkpoint: Path) -> list[str]:
    audio, f0 = choir(2.4, 44_100, 2)
    sf.write(folder / "choir.wav", audio.T, 44_100, subtype="FLOAT")
    write_f0(folder / "choir.csv", F0Contours.on_grid(f0.T, ("high", "low")))
    options = [] if method == "comb" else [f"separator.checkpoint={checkpoint}"]
    if method == "umss_fit":
        options += ["separator.opinions=null", "separator.spectra.max_iterations=5"]
    return [
        f"input={folder / 'choir.wav'}", f"f0={folder / 'choir.csv'}", "n_singers=2",
        f"separator={method}", *options,
    ]  # fmt: skip


def test_commands_and_python_agree(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = write_recording(tmp_path, "umss", checkpoint)
    out, again = tmp_path / "out", tmp_path / "again"
    umss_command(["separate", *arguments, f"output={out}", "synthesised=true"])
    parameters = out / "choir_parameters.npz"
    names = [f"choir{singer}_synthesised.wav" for singer in ("_high", "_low", "")]
    assert all((out / name).is_file() for name in names)
    umss_command(["resynthesise", f"parameters={parameters}", f"output={again}"])
    assert sorted(p.name for p in again.iterdir()) == sorted(names)
    with pytest.raises(SystemExit, match="overwrite=true"):
        umss_command(["resynthesise", str(parameters), f"output={again}"])
    umss_command(["resynthesise", str(parameters), f"output={again}", "overwrite=true"])
    options = {"checkpoint": str(checkpoint)}
    result = umss.separate(
        tmp_path / "choir.wav", f0=tmp_path / "choir.csv", method="umss", separator=options,
        synthesised=True,
    )  # fmt: skip
    saved = result.save(tmp_path / "saved", synthesised=True)
    total = 0
    for name, file in zip(("high", "low"), names, strict=False):
        (written, rate), (read, _) = load_audio(out / file), load_audio(again / file)
        assert rate == 44_100 and written.shape == (1, round(2.4 * 44_100))
        np.testing.assert_allclose(read, written, rtol=0, atol=1e-5 * np.abs(written).max())
        np.testing.assert_allclose(result.synthesised[name], written[0], atol=1e-6)
        assert saved[f"{name}_synthesised"].name == file
        total = total + written
    np.testing.assert_allclose(load_audio(out / names[-1])[0], total, atol=1e-6)
    assert saved["synthesised"].name == names[-1]

    # A later separation without them leaves nothing of the former one.
    umss_command(["separate", *arguments, f"output={out}", "overwrite=true"])
    assert not any((out / name).exists() for name in names)


def test_methods_without_voices_say_so(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = write_recording(tmp_path, "comb", checkpoint)
    with pytest.raises(SystemExit, match="synthesised=true: CombSeparator has no voices"):
        umss_command(["separate", *arguments, f"output={tmp_path / 'a'}", "synthesised=true"])
    assert not (tmp_path / "a").exists()
    audio, f0 = choir(1.0, 16_000)
    result = separate(audio, 16_000, f0, CombSeparator())
    assert result.synthesised == {}
    files = result.save(tmp_path / "b")
    with pytest.raises(ParametersError, match="no voices that sing by themselves"):
        read_voices(files["parameters"])
    with pytest.raises(UmssError, match="no voices"):
        result.save(tmp_path / "c", synthesised=True)


def test_files_that_cannot_be_used(checkpoint: Path, tmp_path: Path) -> None:
    audio, f0 = choir(2.0, 16_000)
    path = separate(audio, 16_000, f0, build("umss", checkpoint)).save(tmp_path)["parameters"]
    content, whole = dict(np.load(path)), path.read_bytes()
    description = json.loads(str(content["description"]))

    def refuse(message: str) -> None:
        with pytest.raises(ParametersError, match=message) as caught:
            read_voices(path)
        assert_one_sentence(caught.value, str(path))

    def change(**changes: Any) -> None:
        changed = {name: value for name, value in (content | changes).items() if value is not None}
        np.savez_compressed(path, **changed)

    for length in (0, 10, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        refuse("damaged, incomplete or no file of parameters")
    change(version=np.array(2))
    refuse("has version 2, and this umss reads version 1")
    change(version=None)
    refuse("older umss")
    change(version=np.array("1"))
    refuse("no file of parameters")
    np.savez(path, a=np.zeros(3))
    refuse("no file of parameters")
    for wrong in ("", "[]", "{}", "nonsense", "[" * 10_000):
        change(description=np.array(wrong))
        refuse("its description is damaged")
    for field, value in (
        ("n_samples", 10**15), ("n_samples", -1), ("rate", 0), ("advance", 0), ("advance", 3),
        ("overlap", -1.0), ("seed", -1), ("overlap", 1e9),
        ("covered", [float("nan"), 1.0]),
    ):  # fmt: skip
        change(description=np.array(json.dumps(description | {field: value})))
        refuse("description")
    for voice in ({}, {"kind": "os"}, {"kind": "source_filter", "voice": {"order": 0}}, 3):
        change(description=np.array(json.dumps(description | {"voice": voice})))
        refuse("settings of its voices cannot be used")
    for name in ("f0_overlap", "lsf_increments", "scale", "noise_magnitudes"):
        change(**{name: None})
        refuse(f"array {name} is missing")
    change(f0=content["f0"][:, :-40])
    refuse("array f0 is missing or has a wrong shape")
    change(scale=np.full_like(content["scale"], np.nan))
    refuse("array scale holds NaN")
    change()
    assert read_voices(path).names == ("singer1", "singer2")
    with pytest.raises(ParametersError, match="no such file of parameters"):
        read_voices(tmp_path / "none.npz")


def test_singers_are_silent_where_f0_is_missing(checkpoint: Path, tmp_path: Path) -> None:
    audio, _ = choir(4.0, 16_000)
    sf.write(tmp_path / "x.wav", audio.T, 16_000, subtype="FLOAT")
    f0 = F0Contours(1.2 + np.arange(50) * 0.016, np.full((50, 2), (440, 165)), ("a", "b"))
    files = separate_file(
        tmp_path / "x.wav", f0, build("umss", checkpoint), tmp_path / "out", progress=False,
        synthesised=True,
    )  # fmt: skip
    again = sing(files["parameters"])
    assert not again[:, :16_000].any() and not again[:, 40_000:].any() and again.any()
    np.testing.assert_allclose(load_audio(files["a_synthesised"])[0][0], again[0], atol=1e-6)
    assert find_outputs(tmp_path / "out", "x") == {*files.values()}


def test_names_of_files_differ() -> None:
    with pytest.raises(ContourError, match="different file names"):
        name_synthesised(Path(), "x", ("alto", "alto synthesised"))
    with pytest.raises(ContourError, match="different file names"):
        name_synthesised(Path(), "x", ("Synthesised",))


@pytest.mark.parametrize("rate", [8000, 11_025, 22_050, 44_100, 48_000, 96_000, 16_000])
def test_resampled_lengths(rate: int) -> None:
    for n in (1, 7, rate, 3 * rate + 1, 399_871):
        assert resample(np.zeros(n, np.float32), rate, 16_000).shape == (
            count_resampled(n, rate, 16_000),
        )


@pytest.mark.parametrize("method", ["umss", "umss_fit"])
@pytest.mark.parametrize(
    "filters",
    [
        {"harmonic_filter": "constant"},
        {"harmonic_filter": "varying", "noise_filter": "varying"},
    ],
)
def test_filters_that_the_network_estimates(
    method: str, filters: dict[str, str], tmp_path: Path
) -> None:
    network = tiny_checkpoint(tmp_path, **filters)
    audio, f0 = choir(4.3, 16_000)
    options = {"window_seconds": 3.0, "overlap_seconds": 0.7, "seed": 5}
    result = separate(audio, 16_000, f0, build(method, network), **options)
    assert_equal(sing(result.save(tmp_path)["parameters"]), result.synthesised)
