"""Files and configurations made to run something: nothing is run, and one sentence says why.

Every payload would leave a marker, a file that must not be there afterwards.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from src.api import separate
from src.arguments import prepare_arguments
from src.configuration import compose_config
from src.data.prepared import PreparedSet, locate_prepared, prepare
from src.data.readers.csd import CsdReader
from src.data.readers.folder import FolderReader
from src.errors import UmssError
from src.f0.network import VoiceSalience
from src.f0.published.keras_layers import Weights
from src.f0.published.weights import ConversionError, install
from src.models.loading import load_model, load_weights
from src.models.umss import UmssSeparator
from src.outputs import find_outputs
from src.staging import PART, stage
from src.sweeps import SweepSummary
from src.targets import check_targets
from src.training.checkpoints import read_checkpoint
from tests.doors import assert_one_sentence, snapshot, zip_of
from tests.processes import run_python
from tests.tiny_training import tiny_checkpoint, tiny_model, write_choir

MARKER = "was_here"


class Payload:
    """Creates the marker when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.mkdir, (str(self.marker),)


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / MARKER


@pytest.fixture
def payload(marker: Path) -> Payload:
    made = Payload(marker)
    pickle.loads(pickle.dumps(made))
    assert marker.is_dir(), "the payload would do nothing"
    marker.rmdir()
    return made


def refused(act: Callable[[], Any], marker: Path, *names: str) -> str:
    """Asserts that an act ends in one sentence, and leaves no marker."""
    with pytest.raises(UmssError) as caught:
        act()
    assert not marker.exists()
    return assert_one_sentence(caught.value, *names)


# Files.


def test_pickles_in_checkpoints_and_weights(tmp_path: Path, payload: Payload) -> None:
    inside = {"hyper_parameters": {"voice": payload}, "state_dict": payload}
    contents = {
        "archive": lambda path: torch.save(inside, path),
        "legacy": lambda path: torch.save(inside, path, _use_new_zipfile_serialization=False),
        "pickle": lambda path: path.write_bytes(pickle.dumps(payload)),
    }
    loaders: tuple[Callable[[Path], Any], ...] = (
        load_model, UmssSeparator, VoiceSalience, Weights, read_checkpoint,
        lambda path: load_weights(tiny_model(), path),
    )  # fmt: skip
    for name, write in contents.items():
        path = tmp_path / f"{name}.ckpt"
        write(path)
        for load in loaders:
            refused(lambda load=load, path=path: load(path), payload.marker, str(path))


def test_targets_in_the_settings_of_a_checkpoint(tmp_path: Path, marker: Path) -> None:
    path = tiny_checkpoint(tmp_path)
    content = torch.load(path, weights_only=True)
    call = {"_target_": "os.mkdir", "_args_": [str(marker)]}
    for place in ("voice", "estimator", "fft_sizes"):
        changed = {**content["hyper_parameters"], place: call}
        torch.save({**content, "hyper_parameters": changed}, path)
        refused(lambda: load_model(path), marker, str(path))


def test_pickled_arrays(tmp_path: Path, payload: Payload) -> None:
    root = tmp_path / "csd"
    (root / "f0_mixtures").mkdir(parents=True)
    for part in ("soprano", "alto", "tenor", "bass"):
        (root / f"{part}_1.wav").touch()
    path = root / "f0_mixtures" / "a_2_singers.npz"
    np.savez(path, **{"soprano_1+bass_1": np.array([payload], dtype=object)})
    refused(lambda: CsdReader(root), payload.marker, str(path))
    message = refused(lambda: Weights(path), payload.marker, str(path))
    assert "could run anything" in message
    parameters = tmp_path / "a_parameters.npz"
    np.savez(parameters, names=np.array([payload], dtype=object))
    assert find_outputs(tmp_path, "a") == set()
    assert not payload.marker.exists()


def claim(shape: tuple[int, ...], content: bytes) -> bytes:
    """An array file that says to have this shape."""
    stream = io.BytesIO()
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, header)
    return stream.getvalue() + content


@pytest.mark.parametrize("shape", [(10**12,), (2**31, 2**31), (-1, 10**12), (10**12, 0)])
def test_arrays_that_claim_terabytes(shape: tuple[int, ...], tmp_path: Path) -> None:
    path = tmp_path / "weights.npz"
    path.write_bytes(zip_of({"a.npy": claim(shape, bytes(100))}))
    message = refused(lambda: Weights(path), tmp_path / MARKER, str(path))
    assert "as it claims" in message or "shape" in message


def test_archives_that_unpack_to_gigabytes(tmp_path: Path) -> None:
    path = tmp_path / "weights.npz"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("a.npy", "w") as member,
    ):
        member.write(claim((300 * 2**18,), b""))
        for _ in range(300):
            member.write(bytes(2**20))
    assert path.stat().st_size < 2**20
    assert "claims to hold" in refused(lambda: Weights(path), tmp_path / MARKER, str(path))
    for load in (load_model, VoiceSalience):
        refused(lambda load=load: load(path), tmp_path / MARKER, str(path))


def test_names_that_lead_out_of_an_archive(tmp_path: Path) -> None:
    folder = tmp_path / "inside"
    folder.mkdir()
    path = folder / "weights.npz"
    array = io.BytesIO()
    np.save(array, np.zeros(3, np.float32))
    path.write_bytes(zip_of({f"../{MARKER}": array.getvalue(), f"/tmp/{MARKER}": array.getvalue()}))
    before = snapshot(tmp_path)
    assert set(Weights(path).arrays) == {f"../{MARKER}", f"/tmp/{MARKER}"}  # names, no paths
    assert snapshot(tmp_path) == before


def test_a_keras_model_with_code(tmp_path: Path, payload: Payload) -> None:
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "exp3multif0.h5"
    blob = np.frombuffer(pickle.dumps(payload), np.uint8)
    with h5py.File(path, "w") as file:
        layer = {"class_name": "Lambda", "config": {"function": pickle.dumps(payload).hex()}}
        file.attrs["model_config"] = json.dumps({"config": {"layers": [layer]}})
        file.create_dataset("model_weights/a/a/kernel:0", data=blob)
        file.create_dataset("model_weights/b/b/kernel:0", data=np.void(pickle.dumps(payload)))
    refused(lambda: install("late_deep", tmp_path, source=path), payload.marker, str(path))
    path.write_bytes(pickle.dumps(payload))
    with pytest.raises(ConversionError):
        install("late_deep", tmp_path, source=path)
    assert not payload.marker.exists()


# Prepared data and what killed runs leave.


@pytest.fixture
def choir(tmp_path: Path) -> FolderReader:
    return FolderReader(write_choir(tmp_path / "choir", seconds=1))


def test_pickles_in_prepared_data(choir: FolderReader, tmp_path: Path, payload: Payload) -> None:
    cache = tmp_path / "cache"
    song = prepare(choir, cache, "stems", progress=False).songs[0]
    path = song.folder / "audio_bass_1.npy"
    whole = path.read_bytes()
    for content in (pickle.dumps(payload), object_array(payload)):
        path.write_bytes(content)
        opened = PreparedSet.open(locate_prepared(choir, cache)).song(song.name)
        refused(lambda opened=opened: opened.audio(("bass", "1")), payload.marker, str(path))
        again = prepare(choir, cache, "stems", progress=False).song(song.name)
        assert again.folder.joinpath(path.name).read_bytes() == whole
        assert not payload.marker.exists()


def object_array(content: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.array([content], dtype=object), allow_pickle=True)
    return stream.getvalue()


@pytest.mark.parametrize("place", ["../../precious", "/", "..", ".", "", "a/../../../precious"])
def test_an_index_that_points_elsewhere_removes_nothing(
    choir: FolderReader, tmp_path: Path, place: str
) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.tex").write_text("years of work")
    cache = tmp_path / "cache"
    folder = prepare(choir, cache, "stems", progress=False).folder
    index = json.loads((folder / "index.json").read_text())
    for entry in index["songs"].values():
        entry |= {"folder": place, "fingerprint": "another"}
    (folder / "index.json").write_text(json.dumps(index))
    again = prepare(choir, cache, "stems", progress=False)
    assert (precious / "thesis.tex").read_text() == "years of work"
    assert all(song.folder.parent == folder for song in again.songs)


def test_a_journal_that_points_elsewhere_removes_nothing(tmp_path: Path) -> None:
    precious = tmp_path / "thesis.tex"
    precious.write_text("years of work")
    output = tmp_path / "output"
    scratch = output / f".result{PART}"
    for names in ([f"../{precious.name}"], [str(precious)]):
        scratch.mkdir(parents=True, exist_ok=True)
        journal = {"move": names, "old": names}
        for change in ({}, {"move": names, "new": names, "remove": []}):
            (scratch / "journal.json").write_text(json.dumps(journal | change))
            with stage(output, "result"):
                pass
            assert precious.read_text() == "years of work"
            scratch.mkdir(parents=True, exist_ok=True)


# Configurations.

# Hydra's own list knows some of these only, and its older versions none.
CALLS = (
    "os.system", "os.mkdir", "posix.mkdir", "subprocess.run", "subprocess.Popen", "builtins.eval",
    "builtins.exec", "shutil.rmtree", "importlib.import_module", "pickle.loads", "sys.exit",
    "hydra.utils.call", "hydra.utils.get_method", "pathlib.Path", "pathlib.Path.touch",
    "numpy.load", "torch.load", "torch.hub.load", "runpy.run_path", "webbrowser.open",
    "pytorch_lightning.utilities.os.system", "pytorch_lightning.callbacks.os.system",
    "pytorch_lightning.Trainer.fit", "umss.cli.os.system", "umss.cli.importlib.import_module",
    "umss.files.write_text", "umss.staging.shutil.rmtree", "src.cli.os.system",
    "umss.fit.separator.torch.load", "umss.models.loading.torch.load", "umss.audio.WavWriter",
    "umss.data.prepared.shutil.rmtree", "umss..os.system", "umss", "", "os",
)  # fmt: skip


@pytest.mark.parametrize("target", CALLS)
def test_targets_are_refused_wherever_they_stand(target: str, marker: Path) -> None:
    call = {"_target_": target, "_args_": [str(marker)]}
    for config, place in (
        ({"separator": call}, "separator._target_"),
        ({"a": [{"b": call}]}, "a.0.b._target_"),
        ({"hydra": {"callbacks": {"x": call}}}, "hydra.callbacks.x._target_"),
        ({"hydra": {"launcher": call}}, "hydra.launcher._target_"),
    ):
        refused(lambda c=config: check_targets(OmegaConf.create(c)), marker, place)


@pytest.mark.parametrize(
    "text",
    [
        "x: ${y}\ny: {_target_: os.mkdir}",
        "x: {_target_: '${y}'}\ny: os.mkdir",
        "x: {_target_: 'os.${y}'}\ny: mkdir",
        "x: '${oc.create:{_target_:os.mkdir}}'",
        "x: \"${oc.decode:'{_target_: os.mkdir}'}\"",
        "x: {_target_: '${oc.env:UMSS_TEST_CALL}'}",
        "x: {_target_: '${oc.decode:os.mkdir}'}",
    ],
)
def test_targets_behind_references_are_refused(
    text: str, marker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UMSS_TEST_CALL", "os.mkdir")
    refused(lambda: check_targets(OmegaConf.create(text)), marker, "_target_")


def test_references_in_circles_end(marker: Path) -> None:
    check_targets(OmegaConf.create("a: {b: '${a}'}\nc: '${d}'\nd: '${c}'\ne: '${nothing}'\nf: ???"))


def run_command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return run_python("-m", "umss", *arguments, **environment)


def attack(marker: Path) -> list[list[str]]:
    """Command lines that would create the marker."""
    callback, handler = "+hydra.callbacks.x", "+hydra.job_logging.handlers.x"
    code = f"open({str(marker)!r}, 'w')"
    return [
        ["+separator.x._target_=os.mkdir", f"+separator.x._args_=['{marker}']"],
        ["separator._target_=builtins.eval", f'+separator._args_=["{code}"]'],
        [f"{callback}._target_=os.mkdir", f"{callback}.path='{marker}'"],
        [f"{callback}._target_=subprocess.run", f"{callback}.args=[mkdir,'{marker}']"],
        [f"{handler}.class=os.mkdir", f"{handler}.path='{marker}'"],
        ["multif0._target_=umss.cli.os.mkdir", f"+multif0._args_=['{marker}']"],
    ]


@pytest.mark.parametrize("number", range(6))
def test_targets_on_the_command_line(number: int, marker: Path) -> None:
    arguments = attack(marker)[number]
    done = run_command("separate", "input=nothing.wav", *arguments, UMSS_TRUST="")
    assert not marker.exists()
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ") and (
        "configuration may" in line or "logging takes" in line or "no such class" in line
    )


def test_a_configuration_from_somebody_else(tmp_path: Path, marker: Path) -> None:
    group = tmp_path / "their" / "separator"
    group.mkdir(parents=True)
    (group / "nice.yaml").write_text(f"_target_: os.mkdir\npath: {marker}\n")
    whole = tmp_path / "their" / "theirs.yaml"
    whole.write_text(f"defaults: [separate]\nx: {{_target_: os.mkdir, path: {marker}}}\n")
    folder = str(tmp_path / "their")
    for arguments in (["separator=nice"], ["--config-name", "theirs"]):
        done = run_command("separate", "--config-dir", folder, "input=a.wav", *arguments)
        assert done.returncode == 1 and "os.mkdir" in done.stderr, done.stderr
        assert "Traceback" not in done.stderr
        assert not marker.exists()


def test_python_callers_are_guarded_too(marker: Path) -> None:
    call = {"mask": {"_target_": "os.mkdir", "path": str(marker)}}
    refused(lambda: compose_config("separate", settings={"separator": call}), marker, "separator")
    audio = np.zeros(16_000, np.float32)
    for options in ({"separator": call}, {"method": "comb", "separator": call}):
        refused(lambda o=options: separate(audio, 16_000, **o), marker, "separator")


def test_what_follows_a_sweep(marker: Path) -> None:
    for then in (["timeit", f"open({str(marker)!r}, 'w')"], ["umss.nothing"], ["umss.fit.tuning"]):
        refused(lambda t=then: SweepSummary(then=t), marker, "hydra.callbacks.sweep.then")


def test_pickles_that_hydra_would_read(tmp_path: Path, payload: Payload) -> None:
    path = tmp_path / "config.pickle"
    path.write_bytes(pickle.dumps(payload))
    arguments = ["--experimental-rerun", str(path)]
    refused(lambda: prepare_arguments(arguments, {}), payload.marker, "--experimental-rerun")
    joined = [f"--experimental-rerun={path}"]
    refused(lambda: prepare_arguments(joined, {}), payload.marker, "--experimental-rerun")


def test_own_classes_are_built_when_their_package_is_trusted(
    tmp_path: Path, marker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "theirs_of_umss.py").write_text(
        "import os\nfrom os import mkdir\nfrom pathlib import Path\n"
        "class Method:\n    def __init__(self, path): Path(path).mkdir()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)

    def config(name: str) -> Any:
        return OmegaConf.create({"separator": {"_target_": name, "path": str(marker)}})

    own = config("theirs_of_umss.Method")
    message = refused(lambda: check_targets(own), marker, "separator._target_")
    assert "UMSS_TRUST=theirs_of_umss" in message
    for trusted in ("theirs_of_umss", "one, theirs_of_umss", "theirs_of_umss.Method"):
        monkeypatch.setenv("UMSS_TRUST", trusted)
        check_targets(own)
        # What a trusted module has imported from elsewhere is not trusted with it.
        for name in ("theirs_of_umss.os.mkdir", "theirs_of_umss.mkdir", "theirs_of_umss2.Method"):
            refused(lambda name=name: check_targets(config(name)), marker, "separator._target_")
    instantiate(own.separator)
    assert marker.is_dir()


def test_the_modules_of_python_are_not_offered() -> None:
    with pytest.raises(UmssError) as caught:
        check_targets(OmegaConf.create({"x": {"_target_": "os.mkdir"}}))
    assert "UMSS_TRUST" not in str(caught.value)
    assert sys.modules["os"] is os
