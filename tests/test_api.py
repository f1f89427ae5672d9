"""`import umss`: the same stems as the command, in the shapes and types of what was given."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
import torch
import umss
from numpy.typing import NDArray

from src.cli import main as umss_command
from src.configuration import compose_config
from src.filenames import FILENAME
from tests.processes import ROOT, run_python

RATE = 44_100


def duet(seconds: float = 1.5) -> NDArray[np.float32]:
    """Two voices of some harmonics in stereo, [2, T] at 44.1 kHz."""
    t = np.arange(int(seconds * RATE)) / RATE
    voices = [sum(np.sin(2 * np.pi * h * f * t) / h for h in range(1, 6)) for f in (392.0, 165.0)]
    left, right = 0.1 * voices[0] + 0.05 * voices[1], 0.04 * voices[0] + 0.1 * voices[1]
    noise = 1e-4 * np.random.default_rng(0).normal(size=(2, len(t)))
    return np.asarray(np.stack([left, right]) + noise, dtype=np.float32)


F0 = {"names": ["high", "low"], "hz": (392.0, 165.0)}


def write_recording(folder: Path) -> Path:
    sf.write(folder / "choir.wav", duet().T, RATE, subtype="FLOAT")
    return folder / "choir.wav"


def write_f0_file(folder: Path) -> Path:
    lines = ["time,high,low", *(f"{0.016 * n:.3f},392,165" for n in range(96))]
    (folder / "choir.csv").write_text("\n".join(lines) + "\n")
    return folder / "choir.csv"


@pytest.mark.parametrize(
    "method", ["umss_fit", pytest.param("fit", marks=pytest.mark.slow), "comb"]
)
def test_stems_are_those_of_the_command(method: str, tmp_path: Path) -> None:
    path, f0 = write_recording(tmp_path), write_f0_file(tmp_path)
    arguments = [f"input={path}", f"f0={f0}", "n_singers=2", f"separator={method}"]
    umss_command(["separate", *arguments, f"output={tmp_path / 'out'}"])
    result = umss.separate(path, f0=f0, method=method)
    assert list(result.stems) == ["high", "low"] and result.rate == RATE
    for name, stem in {**result.stems, "residual": result.residual}.items():
        written, rate = sf.read(tmp_path / "out" / f"choir_{name}.wav", dtype="float32")
        assert rate == RATE
        np.testing.assert_allclose(stem.T, written, rtol=0, atol=1e-6)
    with np.load(tmp_path / "out" / "choir_parameters.npz") as written:
        assert {*written.files} == {
            *result.parameters, "names", "frames_per_second", "version", "description", "filename",
        }  # fmt: skip
        for name, value in result.parameters.items():
            np.testing.assert_allclose(value, written[name], rtol=1e-4, atol=1e-4)


def test_f0_is_estimated_as_by_the_command(tmp_path: Path) -> None:
    path = write_recording(tmp_path)
    arguments = [f"input={path}", "n_singers=2", "separator=comb", f"output={tmp_path / 'out'}"]
    umss_command(["separate", *arguments])
    audio, rate = sf.read(path, dtype="float32")
    result = umss.separate(audio.T, rate, n_singers=2, method="comb")
    written = umss.read_f0(tmp_path / "out" / "choir_f0.csv")
    np.testing.assert_allclose(result.f0.f0, written.f0, rtol=1e-5)
    np.testing.assert_allclose(
        umss.estimate_f0(audio.T, rate, n_singers=2).contours.f0, written.f0, rtol=1e-5
    )
    for name, stem in result.stems.items():
        expected, _ = sf.read(tmp_path / "out" / f"choir_{name}.wav", dtype="float32")
        np.testing.assert_allclose(stem.T, expected, rtol=0, atol=1e-6)


def test_shapes_types_and_the_sum() -> None:
    audio, f0 = duet(), np.repeat([[392.0], [165.0]], 94, axis=1)
    stereo = umss.separate(audio, RATE, f0=f0, method="comb")
    assert all(stem.shape == audio.shape for stem in stereo.stems.values())
    assert np.abs(sum(stereo.stems.values()) + stereo.residual - audio).max() < 1e-6
    mono = umss.separate(audio[0], RATE, f0=f0, method="comb")
    assert mono.residual.shape == audio[0].shape and mono.residual.dtype == np.float32
    tensors = umss.separate(torch.from_numpy(audio), RATE, f0=f0, method="comb")
    assert all(isinstance(stem, torch.Tensor) for stem in tensors.stems.values())
    np.testing.assert_array_equal(tensors.residual.numpy(), stereo.residual)
    assert all(isinstance(value, torch.Tensor) for value in tensors.parameters.values())


def test_every_option_of_the_command_is_an_argument() -> None:
    audio, f0 = duet(), np.repeat([[392.0], [165.0]], 94, axis=1)
    first = umss.separate(audio, RATE, f0=f0, method="comb")
    other = umss.separate(audio, RATE, f0=f0, method="comb", separator={"mask": "power"}, seed=3)
    assert np.abs(first.stems["singer1"] - other.stems["singer1"]).max() > 1e-5
    with pytest.raises(umss.UmssError, match="no setting 'maks'; the settings are .*seed"):
        umss.separate(audio, RATE, f0=f0, maks=1)
    with pytest.raises(umss.UmssError, match="separator='fitt' is unknown; choose from .*fit"):
        umss.separate(audio, RATE, f0=f0, method="fitt")
    with pytest.raises(umss.UmssError, match="separator="):
        umss.separate(audio, RATE, f0=f0, method="comb", separator={"maks": "power"})


@pytest.mark.parametrize("option", [{"only": ["singer1"]}, {"format": "mp3"}, {"overwrite": True}])
def test_options_of_files_belong_to_save(option: dict[str, object]) -> None:
    (name,) = option
    with pytest.raises(umss.UmssError, match=rf"result\.save\(folder, {name}="):
        umss.separate(duet(), RATE, method="comb", **option)


class Halves(umss.Separator):
    """A method of one's own: equal shares for all."""

    def estimate(
        self, mixture: torch.Tensor, f0: torch.Tensor, seed: torch.Tensor, sources: object
    ) -> object:
        from src.separator import Estimate

        n_frames = mixture.shape[-1] // self.mask_hop + 1
        shape = (len(f0), f0.shape[1], self.n_fft // 2 + 1, n_frames)
        return Estimate(torch.full(shape, 1.0 / f0.shape[1]))


def test_a_method_of_ones_own_separates() -> None:
    audio, f0 = duet()[0], np.repeat([[392.0], [165.0]], 94, axis=1)
    result = umss.separate(audio, RATE, f0=f0, method=Halves(), full_band=False)
    np.testing.assert_allclose(result.stems["singer1"], result.stems["singer2"])


def test_saved_files_are_those_of_the_command(tmp_path: Path) -> None:
    result = umss.separate(write_recording(tmp_path), f0=write_f0_file(tmp_path), method="comb")
    files = result.save(tmp_path / "out")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "choir_f0.csv", "choir_high.wav", "choir_low.wav", "choir_parameters.npz",
        "choir_residual.wav",
    ]  # fmt: skip
    written, _ = sf.read(files["high"], dtype="float32")
    np.testing.assert_array_equal(written.T, result.stems["high"])
    with pytest.raises(FileExistsError, match="overwrite=true"):
        result.save(tmp_path / "out")
    result.save(tmp_path / "out", overwrite=True)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"only": ["low"], "format": "flac"},
        {"two_stems": "High", "format": "wav24", "page": True},
        {"filename": "{track}/{voice}.{ext}", "f0_formats": ["csv", "tony"], "overwrite": True},
        {"filename": "x {voice} of {track}.{ext}", "two_stems": "low", "format": "mp3"},
        {"synthesised": True, "only": ["low", "high"]},
    ],
)  # fmt: skip
def test_what_is_saved_is_what_the_command_writes(
    options: dict[str, Any], pair: tuple[Path, Path, umss.SeparatedRecording], tmp_path: Path
) -> None:
    path, f0, result = pair
    settings = [f"{name}={show(value)}" for name, value in options.items()]
    method = ["separator=fit"] if "synthesised" in options else ["separator=comb"]
    arguments = [f"input={path}", f"f0={f0}", "n_singers=2", *method, *settings]
    umss_command(["separate", *arguments, f"output={tmp_path / 'command'}"])
    if "synthesised" in options:
        result = umss.separate(path, f0=f0, method="fit")
    written = result.save(tmp_path / "api", **options)
    files = list_files(tmp_path / "api")
    assert {str(p.relative_to(tmp_path / "api")) for p in written.values()} == files
    # With an F0 file, the command writes none unless it is asked to.
    tracks = {str(written["f0"].relative_to(tmp_path / "api"))}
    assert files - tracks == list_files(tmp_path / "command") - tracks
    for name in files:
        if Path(name).suffix in (".wav", ".flac", ".mp3"):
            ours, theirs = (sf.read(tmp_path / p / name)[0] for p in ("api", "command"))
            # Encoders of MP3 decide by rounding what they leave out.
            atol = 0.02 if name.endswith(".mp3") else 1e-5
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=atol)
        elif name.endswith(".npz"):
            with (
                np.load(tmp_path / "api" / name) as one,
                np.load(tmp_path / "command" / name) as two,
            ):
                assert one["filename"] == two["filename"] == options.get("filename", FILENAME)


def show(value: Any) -> str:
    """A value as it stands on a command line."""
    text = "[" + ",".join(value) + "]" if isinstance(value, list) else str(value)
    return text.lower() if isinstance(value, bool) else text


def list_files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def pair(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, Path, umss.SeparatedRecording]:
    """A recording, its F0, and what they are separated into."""
    folder = tmp_path_factory.mktemp("pair")
    path, f0 = write_recording(folder), write_f0_file(folder)
    return path, f0, umss.separate(path, f0=f0, method="comb")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"only": ["tenor"]}, r"only=tenor: there is no singer.*the singers are high, low"),
        ({"only": []}, r"only=\[\]: name the singers"),
        ({"only": ["low"], "two_stems": "high"}, "give one of the two"),
        ({"two_stems": "alto"}, "two_stems=alto: there is no singer"),
        ({"filename": "{track}.{ext}"}, r"filename=\{track\}.\{ext\}: it must have \{voice\} once"),
        ({"format": "ogg"}, "format=ogg: choose one of wav16"),
        ({"format": "mp3", "bitrate": 100}, "bitrate=100: choose one of 64"),
        ({"f0_formats": ["pdf"]}, "F0 format 'pdf': choose from csv"),
    ],
)  # fmt: skip
def test_what_cannot_be_saved_is_said_as_by_the_command(
    options: dict[str, Any],
    message: str,
    pair: tuple[Path, Path, umss.SeparatedRecording],
    tmp_path: Path,
) -> None:
    path, f0, result = pair
    with pytest.raises(umss.UmssError, match=message) as ours:
        result.save(tmp_path / "out", **options)
    settings = [f"{name}={show(value)}" for name, value in options.items()]
    arguments = [f"input={path}", f"f0={f0}", "n_singers=2", "separator=comb", *settings]
    with pytest.raises(SystemExit) as theirs:
        umss_command(["separate", *arguments, f"output={tmp_path / 'out'}"])
    assert str(ours.value) in str(theirs.value) and not (tmp_path / "out").exists()


def test_saving_never_replaces_the_recording(tmp_path: Path) -> None:
    path = tmp_path / "low.wav"
    sf.write(path, duet(0.5).T, RATE)
    before = path.read_bytes()
    result = umss.separate(path, f0=write_f0_file(tmp_path), method="comb")
    with pytest.raises(umss.UmssError, match="low.wav: a stem would replace the recording"):
        result.save(tmp_path, filename="{voice}.{ext}", overwrite=True)
    assert path.read_bytes() == before


def test_one_name_is_no_list(
    pair: tuple[Path, Path, umss.SeparatedRecording], tmp_path: Path
) -> None:
    with pytest.raises(
        umss.UmssError, match=r"only=low: give a list of singers, e.g. only=\[low\]"
    ):
        pair[2].save(tmp_path, only="low")


def test_every_setting_of_the_command_is_an_argument() -> None:
    arguments = {*inspect.signature(umss.separate).parameters}
    saved = {*inspect.signature(umss.SeparatedRecording.save).parameters}
    by_other_names = {"input": "audio", "output": "folder", "separator": "method"}
    read = {  # by umss.separate, among its options
        "score_parts", "score_alignment", "full_band", "seed", "window_seconds", "overlap_seconds",
        "chunk_seconds",
    }  # fmt: skip
    settings = {*compose_config("separate")} - {"paths", "progress"}
    unknown = {by_other_names.get(name, name) for name in settings} - arguments - saved - read
    assert not unknown, "add them to umss.separate or SeparatedRecording.save"


@pytest.mark.parametrize(
    ("audio", "rate", "message"),
    [
        (np.zeros((0,)), RATE, "not empty"),
        (np.zeros((400, 2)), RATE, "transpose it"),
        (np.zeros(400, dtype=np.int16), RATE, "divide by 32768"),
        (np.zeros(400), None, "rate=44100"),
        (np.zeros(400), 0, "positive whole number"),
        (np.array(["a"]), RATE, "numbers"),
        ("choir.wav", RATE, "a file says itself"),
        ("nowhere.wav", None, "no such audio file"),
    ],
)
def test_mistakes_are_one_sentence(audio: object, rate: int | None, message: str) -> None:
    with pytest.raises(umss.UmssError, match=message):
        umss.separate(audio, rate, n_singers=2)


def test_load_model_is_the_shipped_network() -> None:
    model = umss.load_model()
    mixture, f0 = torch.zeros(1, 4096), torch.full((1, 2, 16), 200.0)
    sources, parameters = model(mixture, f0, torch.zeros(1, dtype=torch.int64))
    assert sources.shape == (1, 2, 4096) and "harmonic_amplitude" in parameters


def in_a_new_process(code: str) -> str:
    return run_python("-c", code, check=True).stdout


@pytest.mark.parametrize("group", ["separator", "multif0"])
def test_separating_needs_neither_lightning_nor_matplotlib(group: str) -> None:
    code = (
        "import sys\n"
        "from hydra.utils import get_object\n"
        "from omegaconf import OmegaConf\n"
        "import umss\n"
        "from umss.configuration import FOLDER\n"
        "umss.separate, umss.estimate_f0, umss.load_model\n"
        f"for path in (FOLDER / {group!r}).glob('*.yaml'):\n"
        "    target = OmegaConf.load(path).get('_target_')\n"
        "    if target is not None:\n"
        "        get_object(target)\n"
        "print({'pytorch_lightning', 'lightning_fabric', 'matplotlib'} & set(sys.modules))"
    )
    assert in_a_new_process(code) == "set()\n"


def test_import_is_lazy_and_both_names_are_one_package() -> None:
    heavy = "{'torch', 'pytorch_lightning', 'librosa', 'matplotlib', 'pandas'} & set(sys.modules)"
    assert in_a_new_process(f"import sys, umss; print({heavy})") == "set()\n"
    assert in_a_new_process(f"import sys, umss.cli; print({heavy})") == "set()\n"
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "import src.separator, umss\n"
        "from src.baselines.masks import CombSeparator\n"
        "same = src.separator.Separator is umss.Separator\n"
        "print(same, issubclass(CombSeparator, umss.Separator))"
    )
    assert in_a_new_process(code) == "True True\n"


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    umss_command(["--help"])
    shown = capsys.readouterr().out
    for name in ("separate", "f0", "train", "evaluate", "report", "prepare"):
        assert f"  {name} " in shown
    with pytest.raises(SystemExit, match="'seperate' is not a command of umss; choose from"):
        umss_command(["seperate"])
