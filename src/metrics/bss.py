"""BSS Eval v4, by museval (the reference implementation) or by `src.metrics.fast_bss`."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from torch import Tensor

from ..errors import UmssError
from .fast_bss import fast_bss_eval

BSS_METRICS = ("sdr", "isr", "sir", "sar")
ENGINES = ("museval", "fast")


def choose_bss_engine(choice: bool | str | None) -> str | None:
    """Choose the implementation by the value in the configuration.

    Args:
        choice: False or None for none, True for museval, or a name.

    Returns:
        "museval", "fast" or None.


    Raises:
        UmssError: unknown name.
    """
    if choice is None or isinstance(choice, bool):
        return "museval" if choice else None
    if choice not in ENGINES:
        raise UmssError(f"bss={choice}: choose false, {' or '.join(ENGINES)}")
    return choice


@cache
def _import_museval_metrics() -> ModuleType:
    """Import museval's metrics module without the rest of the package.

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


def bss_eval(
    estimates: Tensor, sources: Tensor, *, rate: int = 16_000, engine: str = "museval"
) -> dict[str, Tensor]:
    """SDR, ISR, SIR and SAR per one-second window (BSS Eval v4).

    The distortion filters (512 taps) are estimated once per excerpt, not per window. A window in
    which any source or estimate is silent (exactly zero) is NaN for all of them.

    Args:
        estimates, sources: [B, J, T].
        rate: window and hop in samples.
        engine: "museval", or "fast" for the same scores in a fraction of the time.

    Returns:
        "sdr", "isr", "sir", "sar": [B, J, T // rate] float64, dB.

    Raises:
        UmssError: unknown engine.
    """
    if choose_bss_engine(engine) == "fast":
        return fast_bss_eval(estimates, sources, rate=rate)
    n_sources, n_samples = sources.shape[1:]
    n_frames = n_samples // rate
    scores = np.full((len(BSS_METRICS), len(sources), n_sources, n_frames), np.nan)
    for b, (estimate, target) in enumerate(zip(estimates, sources, strict=True)):
        # museval refuses sources that are silent throughout: all their windows are undefined.
        if n_frames == 0 or not (target.any(-1) & estimate.any(-1)).all():
            continue
        values = _import_museval_metrics().bss_eval(
            target.unsqueeze(-1).double().cpu().numpy(),
            estimate.unsqueeze(-1).double().cpu().numpy(),
            window=rate,
            hop=rate,
            compute_permutation=False,
            framewise_filters=False,
            bsseval_sources_version=False,
        )
        scores[:, b] = np.stack(values[:4])[..., :n_frames]
    return dict(zip(BSS_METRICS, torch.from_numpy(scores).unbind(0), strict=True))
