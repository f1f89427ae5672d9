"""What every separation method is: a mixture and F0 tracks in, J sources out.

`Separator` is the one interface of trained networks, baselines and oracles. `src.api.separate` runs
one on a recording in memory; `umss separate` does the same from file to file.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from .devices import choose_device
from .dsp.stft import apply_masks, soft_masks, stft
from .dsp.tracks import HOP, RATE
from .errors import UmssError

MASK_POWERS = {"magnitude": 1.0, "power": 2.0}


@dataclass(frozen=True)
class Separation:
    """Result of separating B mixtures into J sources.

    Attributes:
        sources: [B, J, T] estimates of the sources, filtered from the mixture; [B, J, C, T] where
            several channels were given to be filtered.
        masks: [B, J, F, N] the masks that were applied (`src.fit`: to what partials leave), on the
            separator's own STFT grid (`Separator.n_fft`, `Separator.mask_hop`;
            `src.dsp.stft.stft`).
        synthesised: [B, J, T] signals of the source models, None for methods without a model.
        parameters: by name, [B, J, N, size] per frame or [B, J, size]; empty without a model.
        tracks: what else `synthesised` is made of, by name, [B, J, n, size] on grids of their own
            (`src.renderer.Renderer`).
    """

    sources: Tensor
    masks: Tensor
    synthesised: Tensor | None = None
    parameters: dict[str, Tensor] = field(default_factory=dict)
    tracks: dict[str, Tensor] = field(default_factory=dict)

    def choose(self, n: int) -> Separation:
        """The first n sources alone."""
        return Separation(
            self.sources[:, :n],
            self.masks[:, :n],
            None if self.synthesised is None else self.synthesised[:, :n],
            {name: value[:, :n] for name, value in self.parameters.items()},
            {name: value[:, :n] for name, value in self.tracks.items()},
        )


@dataclass(frozen=True)
class Estimate:
    """What a method that masks knows of B mixtures.

    Attributes:
        masks: [B, J, F, N] on the separator's own STFT grid.
        synthesised: [B, J, T] signals of the source models, None for methods without a model.
        parameters: by name, [B, J, N, size] per frame or [B, J, size]; empty without a model.
    """

    masks: Tensor
    synthesised: Tensor | None = None
    parameters: dict[str, Tensor] = field(default_factory=dict)


class Separator:
    """A method that separates mixtures of singers, given their F0 tracks.

    Args:
        mask: "magnitude" (the paper) or "power" (Wiener): how source spectrograms become masks.
        device: where the method computes, "cpu" or "cuda".

    Attributes:
        device: where the method computes.
        rate: sample rate in Hz.
        hop: samples per F0 frame.
        n_fft, mask_hop: STFT in which masks are applied, samples.
        stochastic: whether results depend on the seed.
        needs_sources: whether the true sources must be given (oracles).

    Raises:
        ValueError: unknown mask.
    """

    rate: int = RATE
    hop: int = HOP
    n_fft: int = 2048
    mask_hop: int = 256
    stochastic: bool = False
    needs_sources: bool = False
    mask_kinds: tuple[str, ...] = tuple(MASK_POWERS)

    def __init__(self, *, mask: str = "magnitude", device: str | torch.device = "cpu") -> None:
        if mask not in self.mask_kinds:
            raise UmssError(f"mask must be one of {', '.join(self.mask_kinds)}; got {mask!r}")
        self.mask = mask
        self.device = choose_device(device)

    def describe_voice(self) -> dict[str, Any] | None:
        """Describe how voices are made of parameters, as JSON knows values; None = there are none.

        `src.renderer.build_renderer` makes a renderer of it, whose voices are those of
        `Separation.synthesised`.
        """
        return None

    def estimate(
        self, mixture: Tensor, f0: Tensor, seed: Tensor, sources: Tensor | None
    ) -> Estimate:
        """Masks, and what else the method knows: what a method consists of.

        One that does more than mask has its own `separate` instead.
        """
        raise NotImplementedError(f"{type(self).__name__} has neither `estimate` nor `separate`")

    def separate(
        self,
        mixture: Tensor,
        f0: Tensor,
        seed: Tensor,
        sources: Tensor | None,
        channels: Tensor,
    ) -> Separation:
        """Separate checked mixtures; sources [B, J, C, T] of the channels [B, C, T]."""
        found = self.estimate(mixture, f0, seed, sources)
        # One channel at a time: the spectrograms of all would need more memory than the rest.
        filtered = [self.apply(channel, found.masks) for channel in channels.unbind(1)]
        sources_of_channels = torch.stack(filtered, dim=2)
        return Separation(sources_of_channels, found.masks, found.synthesised, found.parameters)

    @torch.inference_mode()
    def __call__(
        self,
        mixture: Tensor,
        f0: Tensor,
        *,
        seed: Tensor | int = 0,
        sources: Tensor | None = None,
        channels: Tensor | None = None,
        accompaniment: Tensor | None = None,
    ) -> Separation:
        """Separate mixtures.

        Args:
            mixture: [B, T] at `rate` Hz.
            f0: [B, J, N] Hz, 0 where silent; frame n at sample n * hop, N = ceil(T / hop); from the
                highest voice to the lowest.
            seed: [B] int64 or one number for all.
            sources: [B, J, T], read by oracles only.
            channels: [B, C, T], what is filtered in place of the mixture, e.g. the channels whose
                mean it is.
            accompaniment: [B, K, N] Hz, the notes of instruments that play along: sources like the
                others, of which nothing is returned.

        Raises:
            ValueError: shapes do not fit, values are not finite, F0 is negative, or an oracle got
                no sources.
        """
        if accompaniment is not None:
            both = torch.cat([f0, accompaniment], dim=1)
            whole = self.beside_accompaniment()(mixture, both, seed=seed, channels=channels)
            return whole.choose(f0.shape[1])
        self._check(mixture, f0, sources, channels)
        if isinstance(seed, int):
            seed = torch.full((len(mixture),), seed, dtype=torch.int64, device=mixture.device)
        if channels is not None:
            return self.separate(mixture, f0, seed, sources, channels)
        result = self.separate(mixture, f0, seed, sources, mixture.unsqueeze(1))
        return replace(result, sources=result.sources.squeeze(2))

    def beside_accompaniment(self) -> Separator:
        """This method as it separates singers beside an accompaniment."""
        return self

    def apply(self, mixture: Tensor, masks: Tensor) -> Tensor:
        """Filter a mixture [..., T] with masks [..., J, F, N] of this method: [..., J, T]."""
        return apply_masks(mixture, masks, n_fft=self.n_fft, hop=self.mask_hop)

    def _check(
        self, mixture: Tensor, f0: Tensor, sources: Tensor | None, channels: Tensor | None
    ) -> None:
        if mixture.ndim != 2 or not mixture.numel() or f0.ndim != 3 or len(f0) != len(mixture):
            raise UmssError(
                "mixture must be [B, T], not empty, and f0 [B, J, N]; "
                f"got {list(mixture.shape)} and {list(f0.shape)}"
            )
        n_frames = -(-mixture.shape[-1] // self.hop)
        if f0.shape[-1] != n_frames:
            raise UmssError(
                f"a mixture of {mixture.shape[-1]} samples needs {n_frames} F0 frames "
                f"(hop {self.hop}), got {f0.shape[-1]}"
            )
        if not torch.isfinite(mixture).all():
            raise UmssError("the mixture holds NaN or infinite samples")
        if not torch.isfinite(f0).all() or (f0 < 0).any():
            raise UmssError("F0 must be finite and not negative; use 0 where a singer is silent")
        if channels is not None and (
            channels.ndim != 3
            or not channels.shape[1]
            or (len(channels), channels.shape[-1]) != mixture.shape
        ):
            raise UmssError(
                f"channels must be [B, C, T] of the mixtures {list(mixture.shape)}, got "
                f"{list(channels.shape)}"
            )
        if channels is not None and not torch.isfinite(channels).all():
            raise UmssError("the channels hold NaN or infinite samples")
        if not self.needs_sources:
            return
        if sources is None:
            raise UmssError(
                f"{type(self).__name__} is an oracle: it needs the true sources, so it can be "
                "evaluated but cannot separate a recording"
            )
        expected = [len(mixture), f0.shape[1], mixture.shape[-1]]
        if list(sources.shape) != expected:
            raise UmssError(f"sources must be [B, J, T] = {expected}, got {list(sources.shape)}")

    def _build_masks(self, signals: Tensor) -> Tensor:
        """Masks from source signals [B, J, T]."""
        spectra = stft(signals, n_fft=self.n_fft, hop=self.mask_hop)
        return soft_masks(spectra.abs(), power=MASK_POWERS[self.mask])
