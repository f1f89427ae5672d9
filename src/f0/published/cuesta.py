"""Multi-F0 salience by the Late/Deep network of Cuesta, McFee and Gómez (ISMIR 2020).

The weights are published by their authors; `umss published-weights` fetches them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ...audio import resample
from ...devices import choose_device
from ...dsp.tracks import RATE as PROJECT_RATE
from ...errors import UmssError
from ..salience import Salience, SalienceModel
from .hcqt import (
    HARMONICS,
    N_BINS,
    RATE,
    HarmonicCqt,
    bin_frequencies,
    count_frames,
    frame_times,
)
from .keras_layers import Weights

# Frames that one frame of salience depends on, each side: four 5 x 5 kernels, then four of width 3.
CONTEXT_FRAMES = 4 * 2 + 4 * 1


class LateDeep(nn.Module):
    """The network: two branches with the same layers, joined late.

    Args:
        weights: arrays named as in the published network.
    """

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        self.magnitude = _build_branch(weights, "magnitude.")
        self.phase_differential = _build_branch(weights, "phase_differential.")
        self.joint = nn.Sequential(
            weights.conv("conv7.", (3, 3, 64, 64)),
            nn.ReLU(inplace=True),
            weights.norm("bn7.", 64),
            weights.conv("conv8.", (3, 3, 64, 64)),
            nn.ReLU(inplace=True),
            weights.norm("bn8.", 64),
            weights.tall_conv("distribution.", (N_BINS, 1, 64, 8), N_BINS),
            nn.ReLU(inplace=True),
            weights.norm("bn9.", 8),
            weights.conv("squishy.", (1, 1, 8, 1)),
        )
        self.eval().requires_grad_(False)

    @classmethod
    def load(cls, path: str | Path) -> LateDeep:
        """The network with the weights of an .npz file.

        Raises:
            UmssError: the file is missing or holds other weights; the message says what to do.
        """
        return cls(Weights(path))

    def forward(self, level: Tensor, advance: Tensor) -> Tensor:
        """Salience [B, F, N], 0 to 1, of level and phase differential [B, H, F, N]."""
        layout = torch.channels_last
        branches = [
            self.magnitude(level.contiguous(memory_format=layout)),
            self.phase_differential(advance.contiguous(memory_format=layout)),
        ]
        return torch.sigmoid(self.joint(torch.cat(branches, dim=1))[:, 0])


def _build_branch(weights: Weights, name: str) -> nn.Sequential:
    layers: list[nn.Module] = [weights.norm(f"{name}bn0.", len(HARMONICS))]
    channels = len(HARMONICS)
    for index, width in enumerate((16, 32, 32, 32), start=1):
        layers += [
            weights.conv(f"{name}conv{index}.", (5, 5, channels, width)),
            nn.ReLU(inplace=True),
            weights.norm(f"{name}bn{index}.", width),
        ]
        channels = width
    for index in (1, 2):
        layers += [
            weights.tall_conv(f"{name}harm{index}.", (70, 3, 32, 32), N_BINS),
            nn.ReLU(inplace=True),
            weights.norm(f"{name}bn{index + 4}.", 32),
        ]
    return nn.Sequential(*layers)


class CuestaLateDeep(SalienceModel):
    """Salience of voices on 360 bins of 20 cents from 32.7 Hz, a frame every 256 / 22 050 s.

    A recording is computed in chunks of frames that overlap by the network's receptive field, so
    that memory stays bounded and the result does not depend on the chunks.

    Args:
        weights: .npz file made by `umss published-weights`.
        chunk_frames: frames that go through the network at once; memory grows with it.
        device: where HCQT and network run.

    Raises:
        UmssError: the weights are missing or wrong, or `chunk_frames` is not positive.
    """

    def __init__(self, weights: str | Path, chunk_frames: int = 128, device: str = "cpu") -> None:
        if chunk_frames < 1:
            raise UmssError(f"chunk_frames must be positive, got {chunk_frames}")
        self.chunk_frames = chunk_frames
        self.device = choose_device(device)
        self.network = LateDeep.load(weights).to(self.device)
        self.cqt = HarmonicCqt().to(self.device)

    @torch.inference_mode()
    def __call__(self, audio: NDArray[np.float32]) -> Salience:
        """Salience of a mono recording [T] at 16 kHz."""
        samples = resample(np.asarray(audio, dtype=np.float32), PROJECT_RATE, RATE)
        pyramid = self.cqt.decimate(torch.from_numpy(samples)[None].to(self.device))
        n_frames = count_frames(len(samples))
        peak = self.cqt.peak(pyramid, n_frames)
        values = np.empty((N_BINS, n_frames), dtype=np.float32)
        for start in range(0, n_frames, self.chunk_frames):
            stop = min(start + self.chunk_frames, n_frames)
            first = max(0, start - CONTEXT_FRAMES)
            last = min(n_frames, stop + CONTEXT_FRAMES)
            salience = self.network(*self.cqt.features(pyramid, peak, first, last))[0]
            values[:, start:stop] = salience[:, start - first : stop - first].cpu().numpy()
        return Salience(values, bin_frequencies(), frame_times(n_frames))
