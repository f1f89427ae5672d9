"""Control signals: how network outputs become positive values, and frame values become samples."""

from __future__ import annotations

import math

import torch
from torch import Tensor

LN_10 = math.log(10.0)


def exponential_sigmoid(x: Tensor, *, maximum: float = 2.0, slope: float = 1.0) -> Tensor:
    """Positive activation y = maximum * sigmoid(slope * x)^(ln 10) + 1e-7 (paper eq. 7).

    Args:
        x: logits, any shape.
        maximum: upper bound of the output.
        slope: factor on the logits; 2.5 for noise-filter magnitudes in the reference.
    """
    # exp(ln 10 * log_sigmoid) keeps the gradient alive where sigmoid would underflow.
    return maximum * torch.exp(LN_10 * torch.nn.functional.logsigmoid(slope * x)) + 1e-7


def count_frames(n_samples: int, hop: int) -> int:
    """Count the frames of a signal on the common time grid: ceil(T / hop)."""
    return -(-n_samples // hop)


def upsample(control: Tensor, *, hop: int, n_samples: int, window: str = "hann") -> Tensor:
    """Interpolate frame values to samples on the common time grid.

    Sample n * hop takes exactly the value of frame n. Between two frames the values cross-fade with
    overlapping Hann windows of 2 * hop samples (paper section III-B, amplitudes and gains) or
    linearly. After the last frame its value is held.

    Args:
        control: [..., N] values at frames.
        hop: samples per frame.
        n_samples: T, at most N * hop.
        window: "hann" or "linear".

    Returns:
        [..., T], same dtype.

    Raises:
        ValueError: unknown window, or T does not fit N frames.
    """
    left, right = find_neighbours(control, hop=hop, n_samples=n_samples)
    weight = compute_crossfade(n_samples, hop=hop, window=window, like=control)
    return left + weight * (right - left)


def interpolate_frames(values: Tensor, *, hop: int, n_samples: int) -> Tensor:
    """Interpolate frame values linearly to samples, however many frames there are.

    Frame n is at sample n * hop; after the last frame its value is held.

    Args:
        values: [..., N], at least two dimensions.
        hop: samples per frame.
        n_samples: T.

    Returns:
        [..., T], same dtype.
    """
    size = (values.shape[-1] - 1) * hop + 1
    lines = torch.nn.functional.interpolate(
        values.flatten(0, -2).unsqueeze(0), size=size, mode="linear", align_corners=True
    )
    held = torch.nn.functional.pad(lines, (0, max(0, n_samples - size)), mode="replicate")
    return held[0, :, :n_samples].unflatten(0, values.shape[:-1])


def find_neighbours(control: Tensor, *, hop: int, n_samples: int) -> tuple[Tensor, Tensor]:
    """Find, for each sample, the values of the frame at or before it and of the frame after it.

    Args:
        control: [..., N].

    Returns:
        Two tensors [..., T]; the last frame is its own right neighbour.

    Raises:
        ValueError: T does not need exactly N frames.
    """
    n = control.shape[-1]
    if count_frames(n_samples, hop) != n:
        raise ValueError(
            f"{n_samples} samples at hop {hop} need {count_frames(n_samples, hop)} frames, got {n}"
        )
    following = torch.cat([control[..., 1:], control[..., -1:]], dim=-1)
    left = control.repeat_interleave(hop, dim=-1)[..., :n_samples]
    right = following.repeat_interleave(hop, dim=-1)[..., :n_samples]
    return left, right


def compute_crossfade(n_samples: int, *, hop: int, window: str, like: Tensor) -> Tensor:
    """Compute the weight [T] of the right neighbour: 0 at samples n * hop, rising towards 1.

    Raises:
        ValueError: `window` is neither "hann" nor "linear".
    """
    ramp = torch.arange(hop, dtype=torch.float64, device=like.device) / hop
    if window == "hann":
        ramp = torch.sin(0.5 * math.pi * ramp).square()
    elif window != "linear":
        raise ValueError(f"window must be 'hann' or 'linear', got {window!r}")
    frames = count_frames(n_samples, hop)
    return ramp.to(like.dtype).repeat(frames)[:n_samples]
