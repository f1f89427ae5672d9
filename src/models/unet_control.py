"""How a U-Net hears the F0 of its target: features per frame, and what they do to its layers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

# Grid of the control input: the constant-Q bins in which Petermann et al. give F0 tracks.
LOWEST_HZ = 32.7
BINS_PER_OCTAVE = 60
N_PITCHES = 360

# Odd, so that a frame of the control features is centred on its frame of the F0 track.
_CONTROL_KERNEL = 9
_RELEASED_KERNEL = 10
# Bins on either side to which the released code blurs the bin of the F0.
_BLUR = 4


def compute_pitch_salience(f0: Tensor) -> Tensor:
    """F0 tracks as salience over 6 octaves of 20-cent bins from 32.7 Hz.

    A Gaussian of one bin's width around the F0; zero where the voice is silent.

    Shape:
        - f0: [B, N] Hz, 0 where silent
        - output: [B, 360, N], 0 to 1
    """
    position = BINS_PER_OCTAVE * torch.log2(f0.clamp(min=1e-3) / LOWEST_HZ)
    bins = torch.arange(N_PITCHES, dtype=f0.dtype, device=f0.device)
    salience = torch.exp(-0.5 * (bins[:, None] - position[:, None, :]).square())
    return salience * (f0 > 0).to(f0.dtype)[:, None, :]


class ControlNetwork(nn.Module):
    """F0 tracks to one vector of features per frame, by convolutions over time.

    Args:
        widths: channels of the convolutions.
    """

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Conv1d(n_in, n_out, _CONTROL_KERNEL, padding="same")
            for n_in, n_out in zip((N_PITCHES, *widths), widths, strict=False)
        )
        # The salience is nearly all zeros: without these, hardly anything comes out at first.
        self.norms = nn.ModuleList(nn.BatchNorm1d(n) for n in widths)

    def forward(self, f0: Tensor) -> Tensor:
        """f0 [B, N] in Hz to features [B, widths[-1], N]."""
        x = compute_pitch_salience(f0)
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = torch.relu(norm(layer(x)))
        return x


class ReleasedControl(nn.Module):
    """The control network of the code published with the UMSS paper: three linear convolutions.

    They see the nearest bin, blurred, with silence as a bin of its own below all pitches. Their
    kernels of ten frames look half a frame ahead.

    Args:
        widths: channels of the convolutions.
    """

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Conv1d(n_in, n_out, _RELEASED_KERNEL)
            for n_in, n_out in zip((N_PITCHES + 1, *widths), widths, strict=False)
        )

    def forward(self, f0: Tensor) -> Tensor:
        """f0 [B, N] in Hz to features [B, widths[-1], N]."""
        x = compute_pitch_classes(f0)
        before = (_RELEASED_KERNEL - 1) // 2
        for layer in self.layers:
            x = layer(nn.functional.pad(x, (before, _RELEASED_KERNEL - 1 - before)))
        return x


def compute_pitch_classes(f0: Tensor) -> Tensor:
    """F0 tracks as blurred classes: silence, then 6 octaves of 20-cent bins from 32.7 Hz.

    Shape:
        - f0: [B, N] Hz, 0 where silent
        - output: [B, 361, N], 1 at the class of the F0 (the nearest one for F0 out of range)
    """
    position = 1.0 + torch.round(BINS_PER_OCTAVE * torch.log2(f0.clamp(min=1e-3) / LOWEST_HZ))
    position = torch.where(f0 > 0, position.clamp(0, N_PITCHES), torch.zeros_like(f0))
    classes = torch.arange(N_PITCHES + 1, dtype=f0.dtype, device=f0.device)
    distance = (classes[:, None] - position[:, None, :]).abs()
    return torch.exp(-0.5 * distance.square()) * (distance <= _BLUR)


class Modulation(nn.Module):
    """Feature-wise linear modulation (FiLM): a scale and a shift per row and frame.

    Args:
        features: channels of the control features.
        rows: number of rows to modulate: frequency bins or feature maps.
        around_one: whether it starts near the identity, scale 1 and shift 0.
    """

    def __init__(self, features: int, rows: int, *, around_one: bool = True) -> None:
        super().__init__()
        self.heads = nn.Conv1d(features, 2 * rows, 1)
        self.around_one = around_one
        if around_one:
            nn.init.zeros_(self.heads.bias)  # type: ignore[arg-type]

    def forward(self, control: Tensor) -> tuple[Tensor, Tensor]:
        """Control features [B, features, N] to scale and shift, each [B, rows, N]."""
        scale, shift = self.heads(control).chunk(2, dim=1)
        return (1.0 + scale if self.around_one else scale), shift
