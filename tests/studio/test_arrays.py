"""Arrays of a project are opened one at a time, in however many threads."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from src.studio import arrays


def test_one_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "samples.npy"
    np.save(path, np.arange(5))
    load, busy = np.load, threading.Lock()

    def load_alone(*arguments: Any, **options: Any) -> Any:
        assert busy.acquire(blocking=False), "two at the same time"
        time.sleep(0.002)
        try:
            return load(*arguments, **options)
        finally:
            busy.release()

    monkeypatch.setattr(arrays.np, "load", load_alone)
    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(arrays.open_array, [path] * 40):
            assert isinstance(found, np.memmap)
            assert found.tolist() == [0, 1, 2, 3, 4]


def test_what_is_no_array_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="missing"):
        arrays.open_array(tmp_path / "missing.npy")
    (tmp_path / "cut.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(ValueError, match=r"EOF|expected"):
        arrays.open_array(tmp_path / "cut.npy")
    np.save(tmp_path / "good.npy", np.zeros(2))
    assert len(arrays.open_array(tmp_path / "good.npy")) == 2  # the lock was given back
