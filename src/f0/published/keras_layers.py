"""Layers of the published Keras networks, and reading their weights.

The networks' cost lies in kernels that span 70 or 360 frequency bins. Here these are applied in the
Fourier domain of the frequency axis: the same result in float32 for a sixth of the work.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ...archives import ArchiveError, read_arrays
from ...errors import UmssError, shorten_reason

EPSILON = 1e-3  # default of Keras's batch normalisation


class WeightsError(UmssError):
    """A file of weights that cannot be used; the message names the file and the remedy."""


class TallConv(nn.Module):
    """Convolution with kernels tall in frequency, Keras "same" padding, by Fourier transform.

    The transform over frequency is a matrix product, because the layout that suits the other
    convolutions ("channels last") then needs no transposition before or after.

    Args:
        kernel: [KF, KT, C_in, C_out], KT odd.
        bias: [C_out].
        n_bins: number of frequency bins F of the input.
    """

    analysis: Tensor
    synthesis: Tensor
    real: Tensor
    imag: Tensor
    bias: Tensor

    def __init__(self, kernel: Tensor, bias: Tensor, n_bins: int) -> None:
        super().__init__()
        tall, self.wide = kernel.shape[:2]
        before = (tall - 1) // 2  # an even kernel gets its extra padding after the last bin
        size = n_bins + tall // 2  # wraps around only into padding, which is cut off
        size += size % 2
        eye = torch.eye(size, dtype=torch.float64)
        analysis = torch.fft.rfft(eye[:, :n_bins], dim=0)
        unit = torch.eye(size // 2 + 1, dtype=torch.float64)
        synthesis = [torch.fft.irfft(part, size, dim=0) for part in (unit, 1j * unit)]
        wrapped = torch.zeros((size, *kernel.shape[1:]), dtype=torch.float64)
        wrapped[(before - torch.arange(tall)) % size] = kernel.double()
        spectrum = torch.fft.rfft(wrapped, dim=0).transpose(0, 1)
        for name, value in (
            ("analysis", torch.cat([analysis.real, analysis.imag])),  # [2 K, F]
            ("synthesis", torch.cat(synthesis, dim=1)[:n_bins]),  # [F, 2 K]
            ("real", spectrum.real),  # [KT, K, C_in, C_out]
            ("imag", spectrum.imag),
            ("bias", bias),
        ):
            self.register_buffer(name, value.float().contiguous(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C_in, F, N] to [B, C_out, F, N], both best in the memory format channels_last."""
        return torch.stack([self._filter(item) for item in x.permute(0, 2, 3, 1)]).permute(
            0, 3, 1, 2
        )

    def _filter(self, x: Tensor) -> Tensor:
        """[F, N, C_in] to [F, N, C_out]."""
        n_frames = x.shape[1]
        padded = nn.functional.pad(x, (0, 0, self.wide // 2, self.wide // 2))
        bins = torch.mm(self.analysis, padded.flatten(1)).view(2, -1, *padded.shape[1:])
        mixed = bins.new_zeros((*bins.shape[:2], n_frames, self.bias.shape[0]))
        for t in range(self.wide):
            real, imag = bins[:, :, t : t + n_frames]
            mixed[0].baddbmm_(real, self.real[t]).baddbmm_(imag, self.imag[t], alpha=-1)
            mixed[1].baddbmm_(real, self.imag[t]).baddbmm_(imag, self.real[t])
        out = torch.mm(self.synthesis, mixed.flatten(2).flatten(0, 1))
        return out.view(-1, n_frames, self.bias.shape[0]).add_(self.bias)


class Weights:
    """Arrays of one .npz file; builds layers from them and reports missing ones.

    Args:
        path: the file.

    Raises:
        WeightsError: the file is missing or not an .npz file.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise WeightsError(
                f"{self.path}: no such weights; umss published-weights fetches and "
                "converts them (UMSS_MODELS or paths.models_dir says where they lie)"
            )
        try:
            arrays = read_arrays(self.path)
            if any(values.dtype.kind not in "fiu" for values in arrays.values()):
                raise ValueError("it holds more than numbers")
            self.arrays = {name: values.astype(np.float32) for name, values in arrays.items()}
        except (ArchiveError, ValueError, TypeError) as error:
            raise WeightsError(
                f"{self.path}: not a file of weights ({shorten_reason(error)}); umss "
                "published-weights overwrite=true makes it anew"
            ) from error

    def array(self, name: str, shape: tuple[int, ...]) -> Tensor:
        """One array as a tensor.

        Raises:
            WeightsError: it is missing, has another shape or holds NaN.
        """
        value = self.arrays.get(name)
        if value is None:
            raise WeightsError(f"{self.path}: lacks {name}; convert the published weights again")
        if value.shape != shape:
            raise WeightsError(f"{self.path}: {name} has shape {value.shape}, expected {shape}")
        if not np.isfinite(value).all():
            raise WeightsError(
                f"{self.path}: {name} holds NaN or infinite numbers; umss published-weights "
                "overwrite=true makes it anew"
            )
        return torch.from_numpy(value.copy())

    def conv(self, name: str, shape: tuple[int, int, int, int], suffix: str = "") -> nn.Conv2d:
        """Convolution with an odd kernel [KF, KT, C_in, C_out]."""
        kernel = self.array(f"{name}kernel{suffix}", shape)
        layer = nn.Conv2d(shape[2], shape[3], shape[:2], padding="same")
        layer.weight.data = kernel.permute(3, 2, 0, 1).contiguous(memory_format=torch.channels_last)
        assert layer.bias is not None
        layer.bias.data = self.array(f"{name}bias{suffix}", shape[3:])
        return layer

    def tall_conv(
        self, name: str, shape: tuple[int, int, int, int], n_bins: int, suffix: str = ""
    ) -> TallConv:
        """Convolution with a kernel tall in frequency."""
        kernel = self.array(f"{name}kernel{suffix}", shape)
        return TallConv(kernel, self.array(f"{name}bias{suffix}", shape[3:]), n_bins)

    def norm(self, name: str, channels: int, suffix: str = "") -> nn.BatchNorm2d:
        """Batch normalisation with its stored statistics."""
        layer = nn.BatchNorm2d(channels, eps=EPSILON)
        layer.weight.data = self.array(f"{name}gamma{suffix}", (channels,))
        layer.bias.data = self.array(f"{name}beta{suffix}", (channels,))
        layer.running_mean = self.array(f"{name}moving_mean{suffix}", (channels,))
        layer.running_var = self.array(f"{name}moving_variance{suffix}", (channels,))
        return layer
