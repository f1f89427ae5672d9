"""Trainings that die at a known or random place, however fast or busy the machine is.

`python -m tests.killing CHOIR FOLDER PLAN` trains once undisturbed in FOLDER/whole, then, for every
entry of PLAN (JSON), once in FOLDER/killed_N, where the process is killed (SIGKILL) as often as the
entry says before it may finish: a whole number n stands for the n-th operation on a file, another
one for that share of the time of the undisturbed training. It forks, so that every process has the
same modules loaded, and prints how many processes were killed.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl


class KillAt(pl.Callback):
    """Ends the process without a word (SIGKILL) when an epoch begins.

    Args:
        epoch: from 0.
    """

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.current_epoch == self.epoch:
            kill()


def kill() -> None:
    """End this process without a word."""
    os.kill(os.getpid(), signal.SIGKILL)


def kill_at_operation(n: int) -> None:
    """End this process at the n-th operation on a file: before or after it, or half-way."""
    import torch

    from src.training.metrics_table import TableWriter

    done = 0

    def count(half: Callable[[], object] = lambda: None) -> None:
        nonlocal done
        done += 1
        if done >= n:
            half()
            kill()

    def surround(owner: Any, name: str) -> None:
        original = getattr(owner, name)

        def operate(*args: Any, **options: Any) -> Any:
            count()
            result = original(*args, **options)
            count()
            return result

        setattr(owner, name, operate)

    surround(os, "replace")
    surround(Path, "unlink")
    surround(TableWriter, "save")
    save = torch.save

    def save_half(content: Any, file: Any, *args: Any, **options: Any) -> None:
        count(lambda: (file.write(b"half of a file"), file.flush()))
        save(content, file, *args, **options)

    torch.save = save_half


def run_forked(work: Callable[[], object], moment: float | None = None) -> bool:
    """Run in a process of its own that may be killed; whether it ended well.

    Args:
        work: what to do.
        moment: an int: number of the operation on a file at which it is killed, from 1; a float:
            after how many seconds; None: never.
    """
    child = os.fork()
    if child == 0:
        try:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, 1)
            if isinstance(moment, int):
                kill_at_operation(moment)
            work()
            os._exit(0)
        except BaseException:
            import traceback

            traceback.print_exc()
            os._exit(1)
    alarm = None
    # By a handle: the number may be another process's once this one has ended.
    handle = os.pidfd_open(child)
    if isinstance(moment, float):
        alarm = threading.Timer(moment, lambda: signal.pidfd_send_signal(handle, signal.SIGKILL))
        alarm.start()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if alarm is not None:
        alarm.cancel()
        alarm.join()
    os.close(handle)
    assert status in (0, -signal.SIGKILL), f"exit status {status}, moment {moment}"
    return status == 0


def main(choir: Path, folder: Path, plan: Sequence[Sequence[float]], *changes: str) -> None:
    from src.train import train
    from tests.tiny_training import compose_config, overrides

    def work(name: str) -> Callable[[], object]:
        output = folder / name
        cfg = compose_config("train", overrides(choir, output, *changes), output)

        def run() -> object:
            compose_config("train", overrides(choir, output, *changes), output)
            return train(cfg, output)

        return run

    # Modules are loaded here, but nothing is trained: a fork of a process whose libraries have
    # started threads may wait for ever for one that it does not have.
    assert run_forked(work("whole"))  # compiles, and prepares the data
    began = time.monotonic()
    if any(isinstance(moment, float) for moments in plan for moment in moments):
        run_forked(work("timed"))
    seconds = time.monotonic() - began
    killed = 0
    for i, moments in enumerate(plan):
        for moment in moments:
            when = moment if isinstance(moment, int) else moment * seconds
            killed += not run_forked(work(f"killed_{i}"), when)
        assert run_forked(work(f"killed_{i}"))
    print(json.dumps({"killed": killed}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3]), *sys.argv[4:])
