"""Runs one command many times in forked processes, with a fault in each.

    python -m tests.faults < settings.json

The process imports everything once; every run is a fork of it, so that a run costs no more than its
work. Prints a list with one entry per fault as JSON.

Settings: `command` (name and overrides), `root` (the folder it works in, restored before every
run from `root`.origin), `fault` and `moments`:

- "full": the k-th time that the command opens a file for writing, makes a folder or renames, the
  disk is full; for every k, or those in `moments`;
- "size": no file may grow beyond so many bytes (each of `moments`);
- "kill": SIGKILL after so large a part of the undisturbed run's time (each of `moments`);
- "TERM", "HUP": these signals likewise.

An entry has the exit status, the last lines on stderr, the files after the fault, and whether the
same command, run again, gave the bytes of the undisturbed run.
"""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

NOT_REACHED = "the fault was not reached"
IGNORED = ("speed",)  # of a summary: it holds times


def read_tree(root: Path) -> dict[str, str]:
    """Content of all files below a folder, as text that can be compared."""
    tree = {}
    for path in sorted(root.rglob("*")):
        if path.is_file():
            content = path.read_bytes()
            if path.name == "summary.json":
                summary = json.loads(content)
                content = json.dumps(
                    {k: v for k, v in summary.items() if k not in IGNORED}
                ).encode()
            tree[path.relative_to(root).as_posix()] = content.hex()
    return tree


def start(command: list[str], log: Path, fault: str = "", moment: float = 0) -> int:
    """Fork a process that runs the command; returns its number."""
    process = os.fork()
    if process:
        return process
    with log.open("w") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
    sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
    status = 1
    try:
        if fault == "full":
            _fill_disk_at(int(moment))
        elif fault == "size":
            resource.setrlimit(resource.RLIMIT_FSIZE, (int(moment), int(moment)))
        from umss.cli import main

        main(command)
        status = 0
        if fault == "full" and _writes <= moment:
            print(NOT_REACHED, file=sys.stderr)
    except SystemExit as error:
        if isinstance(error.code, str):
            print(error.code, file=sys.stderr)
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


_writes = 0


def _fill_disk_at(moment: int) -> None:
    here = os.getcwd()

    def refuse(event: str, arguments: tuple[Any, ...]) -> None:
        global _writes
        if event == "open":
            path, _, flags = arguments
            writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        elif event in ("os.rename", "os.mkdir"):
            path, writes = arguments[0], event == "os.rename" or not os.path.isdir(arguments[0])
        else:
            return
        if not writes or not isinstance(path, (str, bytes, os.PathLike)):
            return
        if not os.path.abspath(os.fsdecode(path)).startswith(here):
            return
        _writes += 1
        if _writes == moment + 1:
            raise OSError(errno.ENOSPC, "No space left on device", os.fsdecode(path))

    sys.addaudithook(refuse)


def wait(process: int) -> int:
    """Exit status of a process, minus the signal's number if one ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def restore(root: Path) -> None:
    """Bring the folder back to its state before the first run."""
    for path in root.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.copytree(root.with_name(root.name + ".origin"), root, dirs_exist_ok=True)


def run(settings: dict[str, Any]) -> list[dict[str, Any]]:
    """Run the command with every fault."""
    root, command = Path(settings["root"]), settings["command"]
    log = root.with_name(root.name + ".log")
    shutil.copytree(root, root.with_name(root.name + ".origin"), symlinks=True)
    os.chdir(root)
    warm = wait(start(command, log))  # compiles what is compiled once
    assert warm == 0, log.read_text()
    restore(root)
    begin = time.monotonic()
    assert wait(start(command, log)) == 0
    seconds = time.monotonic() - begin
    expected = read_tree(root)
    fault, results = settings["fault"], []
    for moment in settings.get("moments") or range(1000):
        restore(root)
        before = read_tree(root)
        process = start(command, log, fault, moment)
        if fault in ("kill", "TERM", "HUP"):
            time.sleep(moment * seconds)
            os.kill(process, getattr(signal, f"SIG{fault}" if fault != "kill" else "SIGKILL"))
        status = wait(process)
        after = read_tree(root)
        words = log.read_text().strip().splitlines()
        again = wait(start(command, log)) if status else 0
        if words and words[-1] == NOT_REACHED:
            break  # the command writes less often
        results.append(
            {
                "moment": moment,
                "status": status,
                "words": words[-3:],
                "traceback": any("Traceback" in line for line in words),
                "new": sorted(after.keys() - before.keys()),
                "changed": sorted(k for k in before if after.get(k) != before[k]),
                "again": again,
                "again_words": log.read_text().strip().splitlines()[-3:] if again else [],
                "same": _tell_differences(expected, read_tree(root)),
            }
        )
    return results


def _tell_differences(expected: dict[str, str], found: dict[str, str]) -> list[str]:
    names = sorted(expected.keys() | found.keys())
    return [name for name in names if expected.get(name) != found.get(name)]


if __name__ == "__main__":
    import umss.evaluate
    import umss.find_f0
    import umss.prepare
    import umss.report
    import umss.separate_file  # noqa: F401

    print("RESULTS" + json.dumps(run(json.loads(sys.stdin.read()))))
