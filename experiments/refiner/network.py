"""A small network that takes two fitted stems and their mixture, and returns better stems."""

from __future__ import annotations

import torch
from torch import Tensor, nn

N_FFT, HOP = 2048, 512
# Bins per band, from the lowest: narrow where harmonics are.
BANDS = (16,) * 16 + (32,) * 8 + (64,) * 8
_N_BINS = 1 + N_FFT // 2


class _Path(nn.Module):
    """A recurrent layer along one dimension, added to what it gets."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.gru = nn.GRU(width, hidden, bidirectional=True)
        self.project = nn.Linear(2 * hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """[length, rows, width] to the same."""
        return x + self.project(self.gru(self.norm(x))[0])


def _build_head(width: int, n_bins: int) -> nn.Sequential:
    """From the features of a band to complex a and b of its bins, at first zero."""
    last = nn.Linear(48, 4 * n_bins)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 48), nn.Tanh(), last)


class Refiner(nn.Module):
    """Corrects the difference of two stems; their sum stays the mixture.

    Spectra are cut into bands; along time and along bands, layers take turns (as in the band-split
    network of Luo and Yu, "Music source separation with band-split RNN", 2023). In each bin, the
    difference becomes a * difference + b * mixture with complex a and b; an untrained network
    leaves it as it is.

    Args:
        width: features per band and frame.
        layers: pairs of layers along time and bands.
    """

    def __init__(self, width: int = 40, layers: int = 3) -> None:
        super().__init__()
        assert sum(BANDS) == _N_BINS - 1
        sizes = [*BANDS[:-1], BANDS[-1] + 1]
        self.edges = [0, *torch.tensor(sizes).cumsum(0).tolist()]
        self.enter = nn.ModuleList(nn.Linear(6 * size, width) for size in sizes)
        self.over_time = nn.ModuleList(_Path(width, width) for _ in range(layers))
        self.over_bands = nn.ModuleList(_Path(width, width) for _ in range(layers))
        self.leave = nn.ModuleList(_build_head(width, size) for size in sizes)
        self.window: Tensor
        self.register_buffer("window", torch.hann_window(N_FFT), persistent=False)

    def forward(self, fitted: Tensor) -> Tensor:
        """Stems [B, 2, T] that sum to their mixture, to better ones that do."""
        mixture, difference = fitted.sum(dim=1), fitted[:, 0] - fitted[:, 1]
        scale = mixture.square().mean(dim=-1, keepdim=True).sqrt().clamp(min=1e-6)
        total, apart = (self._transform(x / scale) for x in (mixture, difference))
        a, b = self._estimate(total, apart).unbind(1)
        better = apart + a * apart + b * total
        found = scale * torch.istft(
            better, N_FFT, HOP, window=self.window, length=mixture.shape[-1]
        )
        return 0.5 * torch.stack([mixture + found, mixture - found], dim=1)

    def _transform(self, signal: Tensor) -> Tensor:
        return torch.stft(signal, N_FFT, HOP, window=self.window, return_complex=True)

    def _estimate(self, total: Tensor, apart: Tensor) -> Tensor:
        """Complex a and b, [B, 2, F, N], of spectra [B, F, N] of the sum and the difference."""
        first, second = 0.5 * (total + apart), 0.5 * (total - apart)
        # Compressed, so that soft bins count.
        parts = []
        for spectrum in (first, second, total):
            squeezed = spectrum / (spectrum.abs() + 1e-3).pow(0.7)
            parts += [squeezed.real, squeezed.imag]
        features = torch.stack(parts, dim=1).permute(3, 0, 2, 1)  # [N, B, F, 6]
        bands = [
            layer(features[:, :, start:stop].flatten(2))
            for layer, start, stop in zip(self.enter, self.edges, self.edges[1:], strict=False)
        ]
        x = torch.stack(bands, dim=2)  # [N, B, K, width]
        n_frames, batch, n_bands, _ = x.shape
        for over_time, over_bands in zip(self.over_time, self.over_bands, strict=True):
            x = over_time(x.flatten(1, 2)).unflatten(1, (batch, n_bands))
            turned = x.permute(2, 0, 1, 3).flatten(1, 2)
            x = over_bands(turned).unflatten(1, (n_frames, batch)).permute(1, 2, 0, 3)
        gains = [layer(x[:, :, k]).unflatten(-1, (-1, 4)) for k, layer in enumerate(self.leave)]
        pairs = torch.cat(gains, dim=2).unflatten(-1, (2, 2)).contiguous()
        return torch.view_as_complex(pairs).permute(1, 3, 2, 0)
