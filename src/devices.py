"""The device that a network computes on."""

from __future__ import annotations

import torch

from .errors import UmssError


def choose_device(device: str | torch.device) -> torch.device:
    """The device of this name.

    Raises:
        UmssError: there is none of this name on this machine.
    """
    try:
        chosen = torch.device(device)
        if chosen.type not in ("cpu", "cuda", "mps"):
            raise ValueError
    except (RuntimeError, TypeError, ValueError) as error:
        raise UmssError(f"device={device}: choose cpu, cuda, cuda:1, ... or mps") from error
    if chosen.type == "cpu":
        there = chosen.index in (None, 0)
    elif chosen.type == "cuda":
        there = (chosen.index or 0) < torch.cuda.device_count()
    else:
        there = torch.backends.mps.is_available()
    if not there:
        raise UmssError(f"device={device}: this machine has no such device; set device=cpu")
    return chosen
