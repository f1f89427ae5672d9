"""Measures the time and memory of a separator, without the rest of an evaluation."""

from __future__ import annotations

import contextlib
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

# Writing 5 to this file resets the recorded peak memory of this process (Linux).
_CLEAR = Path("/proc/self/clear_refs")


class Stopwatch:
    """Adds up the time of measured calls and records their largest peak of memory.

    Args:
        device: device on which the calls compute.

    Attributes:
        seconds: wall time of the calls, until all work on the device is done.
        cpu_seconds: processor time of the calls, summed over threads; more reliable than wall time
            on a busy machine.
        audio_seconds: total length of the separated audio.
        peak_memory_gb: on CUDA the largest allocation during a call. On the CPU the largest
            resident memory of the process during a call, including libraries and data; if the
            system cannot reset it, the largest since the process began.
    """

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)
        self.seconds = 0.0
        self.cpu_seconds = 0.0
        self.audio_seconds = 0.0
        self.peak_memory_gb = 0.0

    @contextlib.contextmanager
    def measure(self, audio_seconds: float) -> Iterator[None]:
        """Measure the code in the `with` block, which separates `audio_seconds` of audio."""
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
        """Return the measures, "real_time_factor", "device" and "threads" (of PyTorch on the CPU).

        The real-time factor is wall time divided by audio time, None if nothing was measured.
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
    """Measure the largest resident memory of this process so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
