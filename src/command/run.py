"""Runs a command line of `umss separate`: finds recordings, separates them, says what failed."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from ..arguments import quote
from ..cli import accept_all_names, leave_on_signals
from ..errors import UmssError
from ..messages import user_message
from .jobs import run_in_turn, run_together
from .recordings import find_recordings
from .separation import Job, compose, print_message
from .settings import Options, show, speak_of_options


def run(given: Sequence[str], options: Options) -> None:
    """Separate recordings; leaves with status 1 if some could not be.

    Args:
        given: files and folders.
        options: of the command line.
    """
    accept_all_names()
    leave_on_signals()
    try:
        jobs = plan(given, options)
    except (UmssError, OSError) as error:
        sys.exit(f"error: {speak_of_options(user_message(error) or str(error))}")
    failed: dict[int, str] = {}
    try:
        if options.jobs > 1 and len(jobs) > 1 and not options.dry_run:
            workers = min(options.jobs, len(jobs))
            run_together(jobs, failed, workers=workers, quiet=options.quiet)
        else:
            run_in_turn(jobs, failed, quiet=options.quiet)
    except KeyboardInterrupt:
        print_message("stopped; what was begun is gone, what was done stays", True)
        sys.exit(130)
    if failed:
        sys.exit(_summarise(jobs, failed))


def plan(given: Sequence[str], options: Options) -> list[Job]:
    """Find the recordings, and check what can be checked before the first is separated.

    Raises:
        UmssError: options or settings that cannot be met, or a folder without recordings.
    """
    from ..separation_plan import check

    common = options.list_settings()
    cfg = compose([*common, "input=x"])
    check(cfg)
    recordings = find_recordings(given, Path(cfg.output), cfg.filename)
    options.check(len(recordings))
    jobs = []
    for recording in recordings:
        settings = [f"input={quote(os.fspath(recording.path))}", *common]
        if recording.below:
            settings.append(f"output={quote(os.fspath(Path(cfg.output) / recording.below))}")
        others = tuple(one.path for one in recordings if one is not recording)
        jobs.append(Job(recording.path, tuple(settings), options.practice, options.dry_run, others))
    if options.dry_run:
        for job in jobs:
            print_message(show(job.settings))
    return jobs


def _summarise(jobs: Sequence[Job], failed: dict[int, str]) -> str:
    if len(jobs) == 1:
        return f"error: {failed[0]}"
    lines = [f"{len(jobs) - len(failed)} of {len(jobs)} recordings are done; not these:"]
    return "\n".join([*lines, *(f"  {reason}" for _, reason in sorted(failed.items()))])
