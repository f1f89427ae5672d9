"""What every separation method is: a mixture and F0 tracks in, J sources out.

`Separator` is the one interface of trained networks, baselines and oracles. `separate` runs one on
an array of any length in memory; `src.streaming` does the same from file to file.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import torch
from torch import Tensor

from src.dsp.stft import apply_masks, soft_masks, stft

MASK_POWERS = {"magnitude": 1.0, "power": 2.0}


@dataclass(frozen=True)
class Separation:
    """Result of separating B mixtures into J sources.

    Attributes:
        sources: [B, J, T] estimates of the sources, filtered from the mixture.
        masks: [B, J, F, N] the masks that were applied (STFT 2048/256, `src.dsp.stft.stft`).
        synthesised: [B, J, T] signals of the source models, None for methods without a model.
        parameters: by name, [B, J, N, size] per frame or [B, J, size]; empty without a model.
    """

    sources: Tensor
    masks: Tensor
    synthesised: Tensor | None = None
    parameters: dict[str, Tensor] = field(default_factory=dict)


class Separator(ABC):
    """A method that separates mixtures of singers, given their F0 tracks.

    Args:
        mask: "magnitude" (the paper) or "power" (Wiener): how source spectrograms become masks.

    Attributes:
        rate: sample rate in Hz.
        hop: samples per F0 frame.
        stochastic: whether results depend on the seed.
        needs_sources: whether the true sources must be given (oracles).

    Raises:
        ValueError: unknown mask.
    """

    rate: int = 16_000
    hop: int = 256
    stochastic: bool = False
    needs_sources: bool = False
    mask_kinds: tuple[str, ...] = tuple(MASK_POWERS)

    def __init__(self, *, mask: str = "magnitude") -> None:
        if mask not in self.mask_kinds:
            raise ValueError(f"mask must be one of {', '.join(self.mask_kinds)}; got {mask!r}")
        self.mask = mask

    @abstractmethod
    def estimate(
        self, mixture: Tensor, f0: Tensor, seed: Tensor, sources: Tensor | None
    ) -> tuple[Tensor, Tensor | None, dict[str, Tensor]]:
        """Masks [B, J, F, N], synthesised sources [B, J, T] or None, and parameters."""

    @torch.inference_mode()
    def __call__(
        self,
        mixture: Tensor,
        f0: Tensor,
        *,
        seed: Tensor | int = 0,
        sources: Tensor | None = None,
    ) -> Separation:
        """Separate mixtures.

        Args:
            mixture: [B, T] at `rate` Hz.
            f0: [B, J, N] Hz, 0 where silent; frame n at sample n * hop, N = ceil(T / hop); from the
                highest voice to the lowest.
            seed: [B] int64 or one number for all.
            sources: [B, J, T], read by oracles only.

        Raises:
            ValueError: shapes do not fit, values are not finite, F0 is negative, or an oracle got
                no sources.
        """
        self._check(mixture, f0, sources)
        if isinstance(seed, int):
            seed = torch.full((len(mixture),), seed, dtype=torch.int64, device=mixture.device)
        masks, synthesised, parameters = self.estimate(mixture, f0, seed, sources)
        return Separation(apply_masks(mixture, masks), masks, synthesised, parameters)

    def _check(self, mixture: Tensor, f0: Tensor, sources: Tensor | None) -> None:
        if mixture.ndim != 2 or f0.ndim != 3 or len(f0) != len(mixture):
            raise ValueError(
                "mixture must be [B, T] and f0 [B, J, N]; "
                f"got {list(mixture.shape)} and {list(f0.shape)}"
            )
        n_frames = -(-mixture.shape[-1] // self.hop)
        if f0.shape[-1] != n_frames:
            raise ValueError(
                f"a mixture of {mixture.shape[-1]} samples needs {n_frames} F0 frames "
                f"(hop {self.hop}), got {f0.shape[-1]}"
            )
        if not torch.isfinite(mixture).all():
            raise ValueError("the mixture holds NaN or infinite samples")
        if not torch.isfinite(f0).all() or (f0 < 0).any():
            raise ValueError("F0 must be finite and not negative; use 0 where a singer is silent")
        if self.needs_sources and sources is None:
            raise ValueError(
                f"{type(self).__name__} is an oracle: it needs the true sources, so it can be "
                "evaluated but cannot separate a recording"
            )

    def _soft_masks(self, signals: Tensor) -> Tensor:
        """Masks from source signals [B, J, T]."""
        return soft_masks(stft(signals).abs(), power=MASK_POWERS[self.mask])
