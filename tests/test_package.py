"""What is built from the repository works elsewhere: every folder is in it, and nothing else."""

from __future__ import annotations

import shutil
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.processes import run_python

ROOT = Path(__file__).parents[1]


def folders(name: str) -> set[str]:
    """Dotted names of the folders below a folder that hold files of the package."""
    return {
        ".".join(path.relative_to(ROOT / name).parts)
        for path in (ROOT / name).rglob("*")
        if path.is_dir() and "__pycache__" not in path.parts and any(path.iterdir())
    }


def test_every_folder_is_listed_for_the_build() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    wanted = {"umss", "umss.conf"}
    wanted |= {f"umss.{name}" for name in folders("src") if "egg-info" not in name}
    wanted |= {f"umss.conf.{name}" for name in folders("conf")}
    assert {*listed} == wanted


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the unpacked wheel, built from a copy of the repository."""
    folder = tmp_path_factory.mktemp("wheel")
    copy = folder / "copy"
    copy.mkdir()
    for name in ("src", "conf"):
        shutil.copytree(
            ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
        )
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy / name)
    pip = ("-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation")
    run_python(*pip, "-w", str(folder), str(copy), check=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_the_wheel_holds_one_package(installed: Path) -> None:
    tops = {path.name for path in installed.iterdir() if not path.name.endswith(".dist-info")}
    assert tops == {"umss"}
    for name in (
        "py.typed", "__init__.pyi", "conf/separate.yaml", "conf/separator/umss_fit.yaml",
        "models/voices.ckpt", "f0/voice_salience.pt", "fit/second_opinion.pt",
        "templates/report.html.j2", "listening/player.js", "listening/page.css",
    ):  # fmt: skip
        assert (installed / "umss" / name).is_file(), name


def test_the_wheel_works_beside_a_package_called_src(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "__init__.py").write_text("raise RuntimeError('not ours')\n")

    def run(*arguments: str) -> str:
        return run_python(*arguments, cwd=tmp_path, check=True, PYTHONPATH=str(installed)).stdout

    code = (
        "import numpy as np, soundfile as sf\n"
        "t = np.arange(16000) / 16000\n"
        "x = 0.3 * np.sin(2 * np.pi * 440 * t) + 0.3 * np.sin(2 * np.pi * 165 * t)\n"
        "sf.write('choir.wav', x, 16000)\n"
        "import umss; print(umss.__file__)\n"
    )
    assert str(installed) in run("-c", code)
    run("-m", "umss", "separate", "input=choir.wav", "n_singers=2", "separator=comb")
    assert (tmp_path / "separated" / "choir_singer1.wav").is_file()
    mine = tmp_path / "mine" / "experiment"
    mine.mkdir(parents=True)
    (mine / "quick.yaml").write_text("# @package _global_\nname: quick\nseed: 7\n")
    shown = run("-m", "umss", "train", "--config-dir", "mine", "experiment=quick", "--cfg", "job")
    assert "seed: 7" in shown
