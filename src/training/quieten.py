"""Hides messages of Lightning that users of this program cannot act on."""

from __future__ import annotations

import logging
import warnings

_NOISE = (
    ".*LeafSpec.*",  # Lightning's own use of PyTorch
    ".*does not have many workers.*",  # excerpts are memory-mapped, so loading is fast
    "Checkpoint directory .* exists and is not empty.*",  # expected when a run continues
    ".*smaller than the logging interval.*",
    "Be aware that when using `ckpt_path`.*",  # a run continued without its time limit
    ".*could not find the monitored key.*",  # a run without validation
)


def quieten() -> None:
    """Hide messages of Lightning that users of this program cannot act on."""
    for pattern in _NOISE:
        warnings.filterwarnings("ignore", message=pattern)
    messages = logging.getLogger("pytorch_lightning.utilities.rank_zero")
    if _is_useful not in messages.filters:
        messages.addFilter(_is_useful)


def _is_useful(record: logging.LogRecord) -> bool:
    message = record.getMessage()
    return not any(noise in message for noise in ("Tip: For seamless cloud", "TPU available"))
