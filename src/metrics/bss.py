"""BSS Eval v4 by museval."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from torch import Tensor


@cache
def _museval_metrics() -> ModuleType:
    """museval's metrics module without the rest of the package.

    `import museval` also loads a reader of music archives that refuses to import on machines
    without ffmpeg; the metrics need none of it.
    """
    package = importlib.util.find_spec("museval")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("museval is not installed; run `make setup`")
    path = Path(package.origin).with_name("metrics.py")
    spec = importlib.util.spec_from_file_location("museval.metrics", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def bss_eval(estimates: Tensor, sources: Tensor, *, rate: int = 16_000) -> dict[str, Tensor]:
    """SDR, ISR, SIR and SAR per one-second window (BSS Eval v4).

    The distortion filters are estimated once per excerpt, not per window; silent windows are NaN.

    Args:
        estimates, sources: [B, J, T].
        rate: window and hop in samples.

    Returns:
        "sdr", "isr", "sir", "sar": [B, J, T // rate] float64, dB.
    """
    names = ("sdr", "isr", "sir", "sar")
    scores = []
    for estimate, target in zip(estimates, sources, strict=True):
        values = _museval_metrics().bss_eval(
            target.unsqueeze(-1).double().numpy(),
            estimate.unsqueeze(-1).double().numpy(),
            window=rate,
            hop=rate,
            compute_permutation=False,
            framewise_filters=False,
            bsseval_sources_version=False,
        )
        scores.append(np.stack(values[:4]))
    stacked = torch.from_numpy(np.stack(scores, axis=1))
    n_frames = sources.shape[-1] // rate
    return {name: stacked[i, ..., :n_frames] for i, name in enumerate(names)}
