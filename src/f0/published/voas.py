"""Voice assignment by the VOAS CNN of Cuesta and Gómez (TISMIR 2022).

The network splits a salience into four, for soprano, alto, tenor and bass. It was trained on SATB
quartets alone. `umss published-weights` fetches its weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ...devices import choose_device
from ...errors import UmssError
from ..salience import Assigner, Salience
from .hcqt import N_BINS, bin_frequencies
from .keras_layers import Weights

VOICES = ("soprano", "alto", "tenor", "bass")
CONTEXT_FRAMES = 6  # six kernels of width 3


class VoasCnn(nn.Module):
    """The network: a common trunk and one branch for each voice.

    Args:
        weights: arrays named as in the published network.
    """

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            _build_norm(weights, 0, 1),
            weights.conv("conv1/", (3, 3, 1, 32), ":0"),
            nn.ReLU(inplace=True),
            _build_norm(weights, 1, 32),
            weights.conv("conv2/", (3, 3, 32, 32), ":0"),
            nn.ReLU(inplace=True),
            _build_norm(weights, 2, 32),
            weights.tall_conv("conv_harm_1/", (70, 3, 32, 16), N_BINS, ":0"),
            nn.ReLU(inplace=True),
            _build_norm(weights, 3, 16),
            weights.tall_conv("conv_harm_2/", (70, 3, 16, 16), N_BINS, ":0"),
            nn.ReLU(inplace=True),
            _build_norm(weights, 4, 16),
        )
        self.branches = nn.ModuleList(
            nn.Sequential(
                weights.conv(f"conv{index}a/", (3, 3, 16, 16), ":0"),
                nn.ReLU(inplace=True),
                _build_norm(weights, 4 + index, 16),
                weights.conv(f"conv{index}b/", (3, 3, 16, 16), ":0"),
                nn.ReLU(inplace=True),
                weights.conv(f"conv_{voice}/", (1, 1, 16, 1), ":0"),
                nn.Sigmoid(),
            )
            for index, voice in enumerate(VOICES, start=1)
        )
        self.eval().requires_grad_(False)

    @classmethod
    def load(cls, path: str | Path) -> VoasCnn:
        """The network with the weights of an .npz file.

        Raises:
            UmssError: the file is missing or holds other weights; the message says what to do.
        """
        return cls(Weights(path))

    def forward(self, salience: Tensor) -> Tensor:
        """Salience of each voice [B, 4, F, N] of a salience [B, F, N], 0 to 1."""
        common = self.trunk(salience[:, None])
        return torch.cat([branch(common) for branch in self.branches], dim=1)


def _build_norm(weights: Weights, index: int, channels: int) -> nn.BatchNorm2d:
    name = "batch_normalization" + (f"_{index}" if index else "")
    return weights.norm(f"{name}/", channels, ":0")


class VoasAssigner(Assigner):
    """Tracks of soprano, alto, tenor and bass from the salience of `CuestaLateDeep`.

    In each frame a voice sings at the maximum of its salience, if that reaches its threshold.

    Args:
        weights: .npz file made by `umss published-weights`.
        thresholds: of soprano, alto, tenor and bass.
        chunk_frames: frames that go through the network at once; memory grows with it, the result
            does not depend on it.
        device: where the network runs.

    Raises:
        UmssError: the weights are missing or wrong, there are not four thresholds, or
            `chunk_frames` is not positive.
    """

    def __init__(
        self,
        weights: str | Path,
        thresholds: tuple[float, float, float, float] = (0.23, 0.17, 0.15, 0.17),
        chunk_frames: int = 256,
        device: str = "cpu",
    ) -> None:
        if len(thresholds) != len(VOICES):
            raise UmssError(f"thresholds must be four numbers, got {thresholds}")
        if chunk_frames < 1:
            raise UmssError(f"chunk_frames must be positive, got {chunk_frames}")
        self.thresholds = np.array([float(value) for value in thresholds], dtype=np.float32)
        self.chunk_frames = chunk_frames
        self.device = choose_device(device)
        self.network = VoasCnn.load(weights).to(self.device)

    def __call__(
        self,
        salience: Salience,
        n_singers: int,
        *,
        audio: NDArray[np.float32] | None = None,
        prior: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float32]:
        """Tracks [N, 4]; see `Assigner`. The audio is ignored.

        Raises:
            UmssError: `n_singers` is not 4, or the salience is not on the network's bins.
        """
        self.refuse_prior(prior)
        if n_singers != len(VOICES):
            raise UmssError(
                f"VoasAssigner knows four singers (soprano, alto, tenor, bass), not {n_singers}; "
                "set n_singers=4, or use multif0=default"
            )
        frequencies = bin_frequencies()
        if salience.frequencies.shape != frequencies.shape or not np.allclose(
            salience.frequencies, frequencies
        ):
            raise UmssError(
                "VoasAssigner needs the salience of CuestaLateDeep (360 bins from 32.7 Hz), got "
                f"{len(salience.frequencies)} bins from {salience.frequencies[0]:g} Hz"
            )
        tracks = np.empty((salience.values.shape[1], len(VOICES)), dtype=np.float32)
        for start, voices in self.split(salience):
            strongest = voices.max(axis=1).T
            f0 = frequencies[voices.argmax(axis=1)].T
            sings = strongest >= self.thresholds
            tracks[start : start + len(f0)] = np.where(sings, f0, 0.0)
        return tracks

    def split(self, salience: Salience) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Split salience in chunks: yields first frame and saliences [4, F, N] of S, A, T and B."""
        values = torch.from_numpy(np.ascontiguousarray(salience.values, dtype=np.float32))
        n_frames = values.shape[1]
        for start in range(0, n_frames, self.chunk_frames):
            stop = min(start + self.chunk_frames, n_frames)
            first = max(0, start - CONTEXT_FRAMES)
            last = min(n_frames, stop + CONTEXT_FRAMES)
            with torch.inference_mode():
                part = self.network(values[None, :, first:last].to(self.device))[0]
            yield start, part[..., start - first : stop - first].cpu().numpy()
