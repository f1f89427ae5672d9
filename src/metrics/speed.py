"""Time and memory that a separator takes, and nothing else of an evaluation."""

from __future__ import annotations

import contextlib
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

# Writing 5 to it sets the peak of this process's memory back to what it holds now (Linux).
_CLEAR = Path("/proc/self/clear_refs")


class Stopwatch:
    """Adds up the time of the calls that it measures, and keeps the largest peak of memory.

    Args:
        device: where the calls compute.

    Attributes:
        seconds: wall time of the calls, with all work on the device done.
        cpu_seconds: processor time of the calls, over all threads: on a machine that does other
            work at the same time, the fairer measure of the two.
        audio_seconds: length of the audio they were given.
        peak_memory_gb: on CUDA the largest allocation during a call. On the CPU the largest
            resident memory of the process during a call, with the libraries and data that it
            holds anyway; where the system cannot reset it, the largest since the process began.
    """

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)
        self.seconds = 0.0
        self.cpu_seconds = 0.0
        self.audio_seconds = 0.0
        self.peak_memory_gb = 0.0

    @contextlib.contextmanager
    def measure(self, audio_seconds: float) -> Iterator[None]:
        """Measure what happens inside, on so many seconds of audio."""
        cuda = self.device.type == "cuda"
        if cuda:
            torch.cuda.synchronize(self.device)
            torch.cuda.reset_peak_memory_stats(self.device)
        else:
            with contextlib.suppress(OSError):
                _CLEAR.write_text("5")
        begin, cpu_begin = time.perf_counter(), time.process_time()
        yield
        if cuda:
            torch.cuda.synchronize(self.device)
        self.seconds += time.perf_counter() - begin
        self.cpu_seconds += time.process_time() - cpu_begin
        self.audio_seconds += audio_seconds
        peak = torch.cuda.max_memory_allocated(self.device) if cuda else measure_peak_memory()
        self.peak_memory_gb = max(self.peak_memory_gb, peak / 1e9)

    def summarise(self) -> dict[str, Any]:
        """The measures, "real_time_factor", "device" and "threads" (of PyTorch's CPU kernels).

        The real-time factor is wall time over audio, None if nothing was measured.
        """
        factor = self.seconds / self.audio_seconds if self.audio_seconds else None
        return {
            "seconds": self.seconds,
            "cpu_seconds": self.cpu_seconds,
            "audio_seconds": self.audio_seconds,
            "real_time_factor": factor,
            "peak_memory_gb": self.peak_memory_gb,
            "device": str(self.device),
            "threads": torch.get_num_threads(),
        }


def measure_peak_memory() -> int:
    """Largest resident memory of this process in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
