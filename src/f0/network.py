"""The default multi-F0 model: a small convolutional network on stacked harmonics.

Its weights are in this folder; `umss train-f0` trains them on generated singers.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..archives import ArchiveError, find_bad_values, read_tensors
from ..devices import choose_device
from ..dsp.tracks import HOP, RATE
from ..errors import UmssError, shorten_reason
from ..progress import tell
from .features import HarmonicSpectrogram, bin_frequencies, measure_level
from .salience import Salience, SalienceModel

WEIGHTS = Path(__file__).with_name("voice_salience.pt")
CHANNELS = 32
DILATIONS = (1, 2, 4, 8, 16)  # of the blocks, in frames; a network has the first so many
N_BLOCKS = 4
# Distances in bins at which the partials of two pitches coincide: frequency ratios 1, 4/3, 3/2, 2,
# 3 and 4 up and down. The network must see all of them to tell a pitch from its relatives.
RELATIVES = (0, 15, -15, 21, -21, 36, -36, 57, -57, 72, -72)
GROUP = 6
CHUNK_SECONDS = 20.0
CONTEXT_FRAMES = 40  # more than the receptive field of the convolutions


def shift_bins(x: Tensor, bins: int) -> Tensor:
    """x [B, C, F, N] read `bins` higher: out[f] = x[f + bins], zero outside."""
    if bins == 0:
        return x
    if bins > 0:
        return nn.functional.pad(x[:, :, bins:], (0, 0, 0, bins))
    return nn.functional.pad(x[:, :, :bins], (0, 0, -bins, 0))


class RelativesBlock(nn.Module):
    """Residual block: a 3 x 3 convolution, then an exchange between related pitches."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.local = nn.Conv2d(
            channels, channels, 3, padding=(1, dilation), dilation=(1, dilation), bias=False
        )
        self.norm1 = nn.BatchNorm2d(channels)
        self.spread = nn.Conv2d(channels, GROUP * len(RELATIVES), 1)
        self.gather = nn.Conv2d(GROUP * len(RELATIVES), channels, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, F, N] to the same shape."""
        y = self.act(self.norm1(self.local(x)))
        groups = self.spread(y).split(GROUP, dim=1)
        shifted = [shift_bins(g, r) for g, r in zip(groups, RELATIVES, strict=True)]
        y = self.norm2(self.gather(self.act(torch.cat(shifted, dim=1))))
        return self.act(x + y)


class SalienceNetwork(nn.Module):
    """Computes the log-odds of a voice at each bin and frame from the harmonic spectrogram.

    Convolutions over frequency and time share their weights over all pitches; distant
    pitches (octaves, fifths) are compared by shifts instead of tall kernels, which makes the
    network 15 times cheaper than one with 70 x 3 kernels.

    Args:
        channels: channels of every layer.
        n_blocks: residual blocks, at most 5; each doubles the time over which pitches are compared.
    """

    def __init__(self, channels: int = CHANNELS, n_blocks: int = N_BLOCKS) -> None:
        super().__init__()
        self.spectrogram = HarmonicSpectrogram()
        self.stem = nn.Sequential(
            nn.Conv2d(self.spectrogram.channels, channels, (5, 3), padding=(2, 1), bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
        )
        self.blocks = nn.Sequential(*(RelativesBlock(channels, d) for d in DILATIONS[:n_blocks]))
        self.head = nn.Conv2d(channels, 1, (3, 1), padding=(1, 0))
        assert self.head.bias is not None
        nn.init.constant_(self.head.bias, -4.0)  # most bins hold no voice

    def forward(self, features: Tensor) -> Tensor:
        """Logits [B, F, N] of features [B, C, F, N]."""
        return self.head(self.blocks(self.stem(features)))[:, 0]


def build_network(state: dict[str, Tensor]) -> SalienceNetwork:
    """Build the network that weights belong to, whose size they tell, and load them.

    Raises:
        KeyError, RuntimeError, ValueError: they are not those of such a network.
    """
    n_blocks = 1 + max(int(k.split(".")[1]) for k in state if k.startswith("blocks."))
    network = SalienceNetwork(state["stem.0.weight"].shape[0], n_blocks)
    network.load_state_dict({k: v.float() for k, v in state.items()})
    return network


def start_from(network: SalienceNetwork, state: dict[str, Tensor]) -> None:
    """Load the weights of a network with as many or fewer blocks; further ones pass on their input.

    Raises:
        RuntimeError: the weights do not fit.
    """
    own = network.state_dict()
    further = {k: v for k, v in own.items() if k.startswith("blocks.") and k not in state}
    network.load_state_dict(state | further)
    for index in {int(k.split(".")[1]) for k in further}:
        block = network.blocks[index]
        assert isinstance(block, RelativesBlock)
        nn.init.zeros_(block.norm2.weight)


class VoiceSalience(SalienceModel):
    """Salience of voices by `SalienceNetwork`, 33-cent bins from 55 to 1268 Hz, 16-ms frames.

    Args:
        weights: file written by `umss train-f0`; None = the one of this package.
        device: where the network runs.

    Raises:
        UmssError: the file is missing or holds no weights of this network.
    """

    def __init__(self, weights: str | Path | None = None, device: str = "cpu") -> None:
        path = WEIGHTS if weights is None else Path(weights)
        if not path.is_file():
            raise UmssError(f"{path}: no such weights; make them with umss train-f0")
        try:
            state = read_tensors(path)
            network = build_network(state)
        except (
            ArchiveError, AttributeError, KeyError, RuntimeError, TypeError, ValueError,
            IndexError,
        ) as error:  # fmt: skip
            raise UmssError(
                f"{path}: holds no weights of this network ({shorten_reason(error)}); set weights "
                "to a file written by umss train-f0, or to null for those of the package"
            ) from error
        bad = find_bad_values(state)
        if bad is not None:
            raise UmssError(f"{path}: {bad} holds NaN or infinite numbers; train the network again")
        self.device = choose_device(device)
        self.network = network.eval().to(self.device)
        # Convolutions on the CPU are fastest with channels last.
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @torch.inference_mode()
    def __call__(self, audio: NDArray[np.float32]) -> Salience:
        """Salience of mono audio [T] at 16 kHz, computed piece by piece."""
        samples = torch.from_numpy(np.ascontiguousarray(audio, dtype=np.float32))[None]
        n_frames = -(-samples.shape[-1] // HOP)
        level = measure_level(samples)
        frequencies = bin_frequencies().numpy()
        values = np.zeros((len(frequencies), n_frames), dtype=np.float32)
        step = round(CHUNK_SECONDS * RATE / HOP)
        for start in range(0, n_frames, step):
            stop = min(start + step, n_frames)
            first, last = max(0, start - CONTEXT_FRAMES), min(n_frames, stop + CONTEXT_FRAMES)
            piece = samples[:, first * HOP : last * HOP].to(self.device)
            features = self.network.spectrogram(piece, level[:, first:last].to(self.device))
            features = features.contiguous(memory_format=torch.channels_last)
            salience = torch.sigmoid(self.network(features))[0]
            values[:, start:stop] = salience[:, start - first : stop - first].cpu().numpy()
            tell(stop / n_frames)
        return Salience(values, frequencies, np.arange(n_frames) * HOP / RATE)
