"""Layers that let the published F0 networks learn, with published or random weights.

`src.f0.published.cuesta.LateDeep` and `src.f0.published.voas.VoasCnn` ask an object for their
layers. The objects here hand out layers whose weights are parameters, so that the same two networks
can be trained inside a larger model.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from ..f0.published.keras_layers import Weights


class FourierConv(nn.Module):
    """Convolution with kernels tall in frequency, by Fourier transform, with a kernel that learns.

    Computes what `src.f0.published.keras_layers.TallConv` computes (Keras "same" padding: an even
    kernel gets its extra padding after the last bin). There the kernel's spectrum is fixed; here it
    is computed from the kernel at every call, which costs little beside the convolution.

    Args:
        kernel: [KF, KT, C_in, C_out], KT odd; the start of the parameter of this name.
        bias: [C_out].
        n_bins: number of frequency bins F of the input.
    """

    analysis: Tensor
    synthesis: Tensor
    of_kernel: Tensor

    def __init__(self, kernel: Tensor, bias: Tensor, n_bins: int) -> None:
        super().__init__()
        tall, self.wide = kernel.shape[:2]
        before = (tall - 1) // 2
        size = n_bins + tall // 2  # what wraps around falls into the padding or past the output
        size += size % 2
        spectrum = torch.fft.rfft(torch.eye(size, dtype=torch.float64), dim=0)  # [K, size]
        stacked = torch.cat([spectrum.real, spectrum.imag])  # [2 K, size]
        unit = torch.eye(size // 2 + 1, dtype=torch.float64)
        inverse = torch.cat([torch.fft.irfft(part, size, dim=0) for part in (unit, 1j * unit)], 1)
        for name, matrix in (
            ("analysis", stacked[:, :n_bins]),
            ("synthesis", inverse[:n_bins]),
            ("of_kernel", stacked[:, (before - torch.arange(tall)) % size]),
        ):
            self.register_buffer(name, matrix.float().contiguous(), persistent=False)
        self.kernel = nn.Parameter(kernel.clone())
        self.bias = nn.Parameter(bias.clone())

    def forward(self, x: Tensor) -> Tensor:
        """[B, C_in, F, N] to [B, C_out, F, N]."""
        batch, _, n_bins, n_frames = x.shape
        edge = self.wide // 2
        # One mixture after the other along time, with silence between them: one long convolution.
        items = nn.functional.pad(x.permute(2, 0, 3, 1), (0, 0, edge, edge))
        length = items.shape[1] * items.shape[2]
        spectrum = torch.mm(self.analysis, items.reshape(n_bins, -1))
        real, imag = spectrum.view(2, -1, length, x.shape[1])
        factors = torch.mm(self.of_kernel, self.kernel.flatten(1))
        factor_real, factor_imag = factors.view(2, -1, *self.kernel.shape[1:]).transpose(1, 2)
        span = length - 2 * edge
        out_real = out_imag = real.new_zeros(())
        for t in range(self.wide):
            a, b = real[:, t : t + span], imag[:, t : t + span]
            out_real = out_real + torch.bmm(a, factor_real[t]) - torch.bmm(b, factor_imag[t])
            out_imag = out_imag + torch.bmm(a, factor_imag[t]) + torch.bmm(b, factor_real[t])
        mixed = torch.cat([out_real, out_imag]).flatten(1)
        out = torch.mm(self.synthesis, mixed).view(n_bins, span, -1)
        # The frames that straddle two mixtures go.
        out = nn.functional.pad(out, (0, 0, 0, 2 * edge)).unflatten(1, (batch, -1))
        return (out[:, :, :n_frames] + self.bias).permute(1, 3, 0, 2)


class TrainableWeights(Weights):
    """Published weights, in layers that can learn.

    Args:
        path: .npz file made by `umss published-weights`.

    Raises:
        WeightsError: the file is missing or not an .npz file.
    """

    def tall_conv(  # type: ignore[override]
        self, name: str, shape: tuple[int, int, int, int], n_bins: int, suffix: str = ""
    ) -> FourierConv:
        """Convolution with a kernel tall in frequency that can learn."""
        kernel = self.array(f"{name}kernel{suffix}", shape)
        return FourierConv(kernel, self.array(f"{name}bias{suffix}", shape[3:]), n_bins)


class RandomWeights(TrainableWeights):
    """Random weights of any shape, drawn from PyTorch's generator as those of other layers are.

    Kernels have the variance 2 / fan-in. The statistics of the batch normalisations never change in
    this project; those of the input are set to what an HCQT in dB and its phase differential have,
    the others to mean 0 and variance 1.
    """

    _STATISTICS: ClassVar[dict[str, tuple[float, float]]] = {
        "magnitude.bn0.": (-60.0, 20.0**2),
        "phase_differential.bn0.": (0.0, math.pi**2 / 3),
    }

    def __init__(self) -> None:
        self.path = Path("random weights")
        self.arrays = {}

    def array(self, name: str, shape: tuple[int, ...]) -> Tensor:
        """One array as a tensor."""
        kind = name.removesuffix(":0")
        if kind.endswith("kernel"):
            return torch.randn(shape) * math.sqrt(2.0 / math.prod(shape[:3]))
        layer = next((key for key in self._STATISTICS if kind.startswith(key)), None)
        mean, variance = (0.0, 1.0) if layer is None else self._STATISTICS[layer]
        if kind.endswith("moving_mean"):
            return torch.full(shape, mean)
        if kind.endswith("moving_variance"):
            return torch.full(shape, variance)
        return torch.ones(shape) if kind.endswith("gamma") else torch.zeros(shape)


def read_or_draw_weights(path: str | Path | None) -> TrainableWeights:
    """Published weights from a file, or random ones where there is none.

    Raises:
        WeightsError: the file is missing or not an .npz file.
    """
    return RandomWeights() if path is None else TrainableWeights(path)
