"""The files of a result appear together or not at all, and one process at a time writes them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from src.claims import LOCK, ClaimedError, claim
from src.errors import WriteError
from src.files import check_space, replace_when_complete
from src.staging import PART, stage
from tests.processes import own_threads

NAMES = ("x_a.wav", "x_b.wav", "figures/x.png")


def list_files(folder: Path) -> dict[str, str]:
    """Text of all files below a folder, hidden ones too."""
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file()
    }


def write(folder: Path, text: str, *, remove: tuple[str, ...] = ()) -> None:
    targets = [folder / name for name in NAMES]
    with stage(folder, "x") as place:
        for target in targets:
            place.place(target).write_text(text)
        place.publish(targets, remove=[folder / name for name in remove])


def test_all_files_appear_and_nothing_else_stays(tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"
    write(out, "1")
    assert list_files(out) == dict.fromkeys(NAMES, "1")
    (out / "x_c.wav").write_text("of three singers")
    (out / "mine.txt").write_text("mine")
    write(out, "2", remove=("x_c.wav",))
    assert list_files(out) == dict.fromkeys(NAMES, "2") | {"mine.txt": "mine"}
    assert not list(out.glob(".*"))


def break_off(out: Path) -> None:
    with stage(out, "x") as place:
        place.place(out / "x_a.wav").write_text("1")
        raise RuntimeError("half way")


def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"
    with pytest.raises(RuntimeError, match="half way"):
        break_off(out)
    assert not (tmp_path / "new").exists()
    out.mkdir(parents=True)
    (out / "mine.txt").write_text("mine")
    with pytest.raises(RuntimeError, match="half way"):
        break_off(out)
    assert list_files(tmp_path) == {"new/out/mine.txt": "mine"}


@pytest.mark.parametrize("earlier", [False, True])
@pytest.mark.parametrize("killed", [False, True])
def test_a_result_that_is_half_published_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, earlier: bool, killed: bool
) -> None:
    """Whichever move fails, or is the last before a kill."""
    out = tmp_path / "out"
    if earlier:
        write(out, "1")
        (out / "x_c.wav").write_text("1")
    before = list_files(out)
    move = os.replace
    for moves in range(20):
        count = 0

        def fail(source: Path, target: Path, last: int = moves) -> None:
            nonlocal count
            count += 1
            if count == last + 1:
                raise OSError(28, "No space left on device")
            move(source, target)

        monkeypatch.setattr("src.staging.os.replace", fail)
        if killed:  # nothing is tidied up
            monkeypatch.setattr("src.staging._undo", lambda folder: None)
            monkeypatch.setattr("src.staging._empty", lambda folder: None)
        try:
            write(out, "2", remove=("x_c.wav",) if earlier else ())
            done = True
        except OSError:
            done = False
        monkeypatch.undo()
        if done:
            assert moves == (8 if earlier else 4)  # one of them of the journal
            return
        if killed:
            (out / f".x{PART}" / LOCK).touch()  # a kill leaves it
            with stage(out, "another"):  # any later run into this folder
                assert list_files(out) == before | {f".another{PART}/{LOCK}": read_lock(out)}
        assert list_files(out) == before if out.exists() else not before
    raise AssertionError("it never succeeded")


def test_hidden_folders_of_others_are_not_touched(tmp_path: Path) -> None:
    other = tmp_path / f".download{PART}"
    other.mkdir()
    (other / "half of a film").write_text("theirs")
    write(tmp_path, "1")
    assert list_files(tmp_path) == dict.fromkeys(NAMES, "1") | {
        f".download{PART}/half of a film": "theirs"
    }


def read_lock(out: Path) -> str:
    return (out / f".another{PART}" / LOCK).read_text()


def test_two_results_in_one_folder_do_not_disturb_each_other(tmp_path: Path) -> None:
    with stage(tmp_path, "a") as first:
        first.place(tmp_path / "a.wav").write_text("a")
        write(tmp_path, "x")
        first.publish([tmp_path / "a.wav"])
    assert list_files(tmp_path) == {"a.wav": "a"} | dict.fromkeys(NAMES, "x")


HOLD = (
    "import sys, time; from pathlib import Path; from umss.claims import claim\n"
    "with claim(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
)


def test_a_second_process_is_refused_and_told_of_the_first(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], env=own_threads(), text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        message = f"process {process.pid} on .* is writing here"
        with pytest.raises(ClaimedError, match=message), claim(tmp_path):
            pass
        process.kill()  # the system frees the claim
        process.wait()
        assert (tmp_path / LOCK).exists()
        with claim(tmp_path):
            pass
        assert not (tmp_path / LOCK).exists()


def test_claims_within_one_process(tmp_path: Path) -> None:
    with claim(tmp_path), pytest.raises(ClaimedError, match="give another output"), claim(tmp_path):
        pass
    with claim(tmp_path):
        pass
    assert not list(tmp_path.iterdir())


def run_out_of_space(path: Path) -> None:
    with replace_when_complete(path) as temporary:
        temporary.write_text("half")
        raise OSError(28, "No space left on device")


def test_what_the_system_refuses_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("precious")
    with pytest.raises(WriteError, match=r"x\.csv: could not be written \(No space left"):
        run_out_of_space(tmp_path / "x.csv")
    assert list_files(tmp_path) == {"x.csv": "precious"}
    with pytest.raises(WriteError, match="could not be written"), stage(tmp_path / "x.csv", "a"):
        pass
    with pytest.raises(WriteError, match=r"needs 1\d+\.\d GB, but .* GB are free"):
        check_space(tmp_path / "new" / "folder", 10**20)
