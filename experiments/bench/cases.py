"""What all benchmarks share: cases in processes of their own, statistics, facts of the machine.

A benchmark is a module with a function `measure(**case)`; `run_case` calls it in a fresh process
with a given number of threads, so that peak memory, thread pools and caches are its own:

    python -m experiments.bench.cases MODULE '{"field": value}' THREADS
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from src.errors import UmssError
from src.files import write_json
from src.metrics.speed import measure_peak_memory

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
Case = dict[str, Any]
# Every library that has threads of its own; PyTorch's are also set by a call.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
ALLOCATOR_VARIABLES = re.compile(
    r"LD_PRELOAD|DYLD_INSERT_LIBRARIES|GLIBC_TUNABLES|MALLOC_\w+|\w*_MALLOC_CONF|\w*_ALLOC_CONF"
)

# Before any case runs: what else the machine does. (Not on Windows.)
_LOAD_BEFORE = os.getloadavg()[0] if hasattr(os, "getloadavg") else None


class CaseError(RuntimeError):
    """A case that ended without a result; the message names it."""


def spread(values: Iterable[float], *, unit: str = "s") -> dict[str, float]:
    """Median, extremes and quartiles, as `median_s`, `min_s`, `max_s`, `q1_s`, `q3_s`.

    Args:
        values: at least one.
        unit: ending of the names.

    Raises:
        ValueError: no values.
    """
    array = np.asarray(list(values), dtype=np.float64)
    if array.size == 0:
        raise UmssError("no values to summarise; measure with repeats of at least 1")
    names = ("min", "q1", "median", "q3", "max")
    levels = np.percentile(array, (0, 25, 50, 75, 100))
    found = {f"{name}_{unit}": float(v) for name, v in zip(names, levels, strict=True)}
    return found | {"repeats": array.size}


def timed(function: Callable[[], object], *, repeats: int, warm_up: int = 1) -> dict[str, float]:
    """Seconds of a call after some that do not count: `spread`, and processor time `cpu_s`.

    Processor time is the median over the repeats, summed over threads (their waiting included).
    """
    for _ in range(warm_up):
        function()
    walls, processor = [], []
    for _ in range(repeats):
        begin = time.perf_counter(), time.process_time()
        function()
        walls.append(time.perf_counter() - begin[0])
        processor.append(time.process_time() - begin[1])
    return spread(walls) | {"cpu_s": float(np.median(processor))}


def repeats_for(recording_s: float) -> int:
    """How often to measure a recording: five times four seconds, once ten minutes."""
    return max(1, min(5, round(150.0 / recording_s)))


def peak_gb() -> float:
    """Largest resident memory of this process so far, in units of 1e9 bytes.

    Linux counts into `ru_maxrss` what the process that started this one held before the new
    program was loaded; its own mark is in /proc, where there is one.
    """
    return (_proc_memory("VmHWM") or measure_peak_memory()) / 1e9


def resting_gb() -> float:
    """Resident memory now, in units of 1e9 bytes; the peak where the system does not tell."""
    return (_proc_memory("VmRSS") or measure_peak_memory()) / 1e9


def _proc_memory(field: str) -> int:
    """A field of /proc/self/status in bytes, 0 if unknown."""
    try:
        text = Path("/proc/self/status").read_text()
    except OSError:
        return 0
    found = re.search(rf"^{field}:\s*(\d+) kB$", text, re.MULTILINE)
    return 1024 * int(found.group(1)) if found else 0


def machine_facts() -> dict[str, Any]:
    """What the numbers depend on besides the program: processor, memory, libraries, load."""
    facts: dict[str, Any] = {
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "allocator": allocator_settings(os.environ),
    }
    if _LOAD_BEFORE is not None:
        facts["load_average_before"] = round(_LOAD_BEFORE, 2)
    return facts


def cpu_model() -> str:
    """Name of the processor."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        text = ""
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found.group(1).strip() if found else platform.processor() or platform.machine()


def allocator_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """The C library, and the variables that change how memory is allocated; files by name only."""
    settings = {"library": " ".join(filter(None, platform.libc_ver())) or "unknown"}
    for name in sorted(environment):
        if ALLOCATOR_VARIABLES.fullmatch(name) and environment[name]:
            words = re.split(r"[ :]", environment[name]) if "LIB" in name or "LD_" in name else []
            settings[name] = " ".join(Path(w).name for w in words) or environment[name]
    return settings


def run_case(module: str, case: Mapping[str, Any], *, threads: int) -> Case:
    """Measure a case in a process of its own.

    Args:
        module: dotted name of a module with a function `measure`.
        case: keyword arguments of `measure`, plain values.
        threads: number of threads.

    Returns:
        The case, `threads`, what `measure` returned, and `peak_gb`.

    Raises:
        CaseError: the process failed; what it said is on standard error.
    """
    command = [sys.executable, "-m", __name__, module, json.dumps(dict(case)), str(threads)]
    environment = os.environ | {name: str(threads) for name in THREAD_VARIABLES}
    done = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT, check=False
    )
    if done.returncode != 0:
        how = f"ended with code {done.returncode}"
        if done.returncode == -9:
            how = "was killed, probably for want of memory"
        raise CaseError(f"{module} {dict(case)}, threads {threads}: the process {how}")
    result: Case = json.loads(done.stdout.splitlines()[-1])
    return {**case, "threads": threads, **result}


def run_cases(
    module: str,
    cases: Sequence[tuple[Mapping[str, Any], int]],
    describe: Callable[[Case], str],
) -> list[Case]:
    """Measure cases one after the other and say so; a case that fails does not end the run.

    Args:
        module: see `run_case`.
        cases: keyword arguments of `measure` and number of threads.
        describe: what is printed about a result.

    Returns:
        Results; a failed case holds `error` instead.
    """
    results = []
    for case, threads in cases:
        try:
            result = run_case(module, case, threads=threads)
            print(describe(result), flush=True)
        except CaseError as error:
            result = {**case, "threads": threads, "error": str(error)}
            print(f"no result: {error}", flush=True)
        results.append(result)
    return results


def write_results(path: Path, cases: Sequence[Case], **more: Any) -> None:
    """Write results with the facts of the machine, and say where."""
    write_json(path, {"machine": machine_facts(), **more, "cases": list(cases)})
    print(f"wrote {path}")


def main(arguments: Sequence[str]) -> None:
    """The process of a case: its result is the last line of standard output."""
    module, case, threads = arguments
    torch.set_num_threads(int(threads))
    result = importlib.import_module(module).measure(**json.loads(case))
    print(json.dumps({**result, "peak_gb": peak_gb()}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
