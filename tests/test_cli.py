"""User mistakes end in one message; errors of the program keep their traceback."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hydra.errors import InstantiationException
from omegaconf import DictConfig, OmegaConf

from src.cli import check_launcher, entry_point
from src.errors import UmssError
from tests.processes import ROOT


def raising(error: BaseException) -> None:
    @entry_point
    def main(cfg: DictConfig) -> None:
        raise error

    main(OmegaConf.create())


def test_user_errors_become_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    with pytest.raises(SystemExit, match=r"^error: choir\.wav: no such file$"):
        raising(FileNotFoundError("choir.wav: no such file"))
    wrapped = InstantiationException("Error in call to target ...")
    wrapped.__cause__ = UmssError("mask must be one of ...")
    with pytest.raises(SystemExit, match="^error: mask must"):
        raising(wrapped)


def test_missing_settings_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)

    @entry_point
    def main(cfg: DictConfig) -> None:
        print(cfg.separator.checkpoint)

    with pytest.raises(SystemExit, match=r"separator\.checkpoint=VALUE"):
        main(OmegaConf.create({"separator": {"checkpoint": "???"}}))


def test_other_errors_and_full_errors_keep_their_traceback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(TypeError):
        raising(TypeError("a bug"))
    with pytest.raises(ValueError, match="of NumPy"):
        raising(ValueError("of NumPy"))
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    with pytest.raises(ValueError, match="shown in full"):
        raising(UmssError("shown in full"))


@pytest.mark.parametrize(("launcher", "extra"), [("joblib", "sweeps"), ("slurm", "slurm")])
def test_a_missing_launcher_names_its_extra(
    launcher: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_launcher(["-m", f"hydra/launcher={launcher}"])
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    check_launcher(["-m", "hydra/launcher=basic"])
    with pytest.raises(SystemExit, match=rf"pip install 'umss\[{extra}\]'"):
        check_launcher(["-m", f"hydra/launcher={launcher}"])


def test_a_reader_that_has_enough_is_no_error() -> None:
    """As in `umss separate --help | head`: the pipe is closed before anything is read."""
    with subprocess.Popen(
        [sys.executable, "-m", "umss", "separate", "--help"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        errors = process.stderr.read()
    assert not errors and process.returncode in (0, 128 + 13)
