"""What every separation method is: a mixture and F0 tracks in, J sources out.

`Separator` is the one interface of trained networks, baselines and oracles. `separate` runs one on
an array of any length in memory; `python -m src.separate` does the same from file to file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from src.chunks import separate_chunks
from src.dsp.stft import apply_masks, soft_masks, stft
from src.f0.contours import F0Contours

MASK_POWERS = {"magnitude": 1.0, "power": 2.0}


@dataclass(frozen=True)
class Separation:
    """Result of separating B mixtures into J sources.

    Attributes:
        sources: [B, J, T] estimates of the sources, filtered from the mixture; [B, J, C, T] where
            several channels were to be filtered.
        masks: [B, J, F, N] the masks that were applied (`src.fit`: to what partials leave), on the
            separator's own STFT grid (`Separator.n_fft`, `Separator.mask_hop`;
            `src.dsp.stft.stft`).
        synthesised: [B, J, T] signals of the source models, None for methods without a model.
        parameters: by name, [B, J, N, size] per frame or [B, J, size]; empty without a model.
    """

    sources: Tensor
    masks: Tensor
    synthesised: Tensor | None = None
    parameters: dict[str, Tensor] = field(default_factory=dict)


class Separator:
    """A method that separates mixtures of singers, given their F0 tracks.

    Args:
        mask: "magnitude" (the paper) or "power" (Wiener): how source spectrograms become masks.

    Attributes:
        rate: sample rate in Hz.
        hop: samples per F0 frame.
        n_fft, mask_hop: STFT in which masks are applied, samples.
        stochastic: whether results depend on the seed.
        needs_sources: whether the true sources must be given (oracles).

    Raises:
        ValueError: unknown mask.
    """

    rate: int = 16_000
    hop: int = 256
    n_fft: int = 2048
    mask_hop: int = 256
    stochastic: bool = False
    needs_sources: bool = False
    mask_kinds: tuple[str, ...] = tuple(MASK_POWERS)

    def __init__(self, *, mask: str = "magnitude") -> None:
        if mask not in self.mask_kinds:
            raise ValueError(f"mask must be one of {', '.join(self.mask_kinds)}; got {mask!r}")
        self.mask = mask

    def estimate(
        self, mixture: Tensor, f0: Tensor, seed: Tensor, sources: Tensor | None
    ) -> tuple[Tensor, Tensor | None, dict[str, Tensor]]:
        """Masks [B, J, F, N], synthesised sources [B, J, T] or None, and parameters.

        What a method consists of; one that does more than mask has its own `separate` instead.
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
        masks, synthesised, parameters = self.estimate(mixture, f0, seed, sources)
        # One channel at a time: the spectrograms of all would need more memory than the rest.
        filtered = [self.apply(channel, masks) for channel in channels.unbind(1)]
        return Separation(torch.stack(filtered, dim=2), masks, synthesised, parameters)

    @torch.inference_mode()
    def __call__(
        self,
        mixture: Tensor,
        f0: Tensor,
        *,
        seed: Tensor | int = 0,
        sources: Tensor | None = None,
        channels: Tensor | None = None,
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

        Raises:
            ValueError: shapes do not fit, values are not finite, F0 is negative, or an oracle got
                no sources.
        """
        self._check(mixture, f0, sources, channels)
        if isinstance(seed, int):
            seed = torch.full((len(mixture),), seed, dtype=torch.int64, device=mixture.device)
        if channels is not None:
            return self.separate(mixture, f0, seed, sources, channels)
        result = self.separate(mixture, f0, seed, sources, mixture.unsqueeze(1))
        return replace(result, sources=result.sources.squeeze(2))

    def apply(self, mixture: Tensor, masks: Tensor) -> Tensor:
        """Filter a mixture [..., T] with masks [..., J, F, N] of this method: [..., J, T]."""
        return apply_masks(mixture, masks, n_fft=self.n_fft, hop=self.mask_hop)

    def _check(
        self, mixture: Tensor, f0: Tensor, sources: Tensor | None, channels: Tensor | None
    ) -> None:
        if mixture.ndim != 2 or not mixture.numel() or f0.ndim != 3 or len(f0) != len(mixture):
            raise ValueError(
                "mixture must be [B, T], not empty, and f0 [B, J, N]; "
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
        if channels is not None and (
            channels.ndim != 3
            or not channels.shape[1]
            or (len(channels), channels.shape[-1]) != mixture.shape
        ):
            raise ValueError(
                f"channels must be [B, C, T] of the mixtures {list(mixture.shape)}, got "
                f"{list(channels.shape)}"
            )
        if channels is not None and not torch.isfinite(channels).all():
            raise ValueError("the channels hold NaN or infinite samples")
        if not self.needs_sources:
            return
        if sources is None:
            raise ValueError(
                f"{type(self).__name__} is an oracle: it needs the true sources, so it can be "
                "evaluated but cannot separate a recording"
            )
        expected = [len(mixture), f0.shape[1], mixture.shape[-1]]
        if list(sources.shape) != expected:
            raise ValueError(f"sources must be [B, J, T] = {expected}, got {list(sources.shape)}")

    def _soft_masks(self, signals: Tensor) -> Tensor:
        """Masks from source signals [B, J, T]."""
        spectra = stft(signals, n_fft=self.n_fft, hop=self.mask_hop)
        return soft_masks(spectra.abs(), power=MASK_POWERS[self.mask])


@dataclass(frozen=True)
class SeparatedRecording:
    """A separated recording in memory.

    Attributes:
        stems: [J, T] or [J, C, T] float32, one per singer, shaped like the input.
        residual: [T] or [C, T], what no singer got; stems and residual sum to the input.
        names: J singer names.
        rate: sample rate in Hz, the input's.
        f0: [J, N] Hz, frame n at n * hop / 16 kHz.
        parameters: by name, [J, N, size] per frame or [J, windows, size].
    """

    stems: NDArray[np.float32]
    residual: NDArray[np.float32]
    names: tuple[str, ...]
    rate: int
    f0: NDArray[np.float32]
    parameters: dict[str, NDArray[np.floating]]


def as_contours(f0: F0Contours | ArrayLike, n_frames: int, separator: Separator) -> F0Contours:
    """F0 given as contours, or as an array [J, N] on the frame grid, as contours.

    Raises:
        ValueError: an array that is not [J, N] with N within two frames of the recording's.
    """
    if isinstance(f0, F0Contours):
        return f0
    array = np.asarray(f0, dtype=np.float32)
    if array.ndim != 2 or abs(array.shape[1] - n_frames) > 2:
        transposed = array.ndim == 2 and array.shape[0] > array.shape[1]
        hint = "; transpose it" if transposed else ""
        raise ValueError(
            f"f0 must be [J, N] = [J, {n_frames}], one row per singer and one column per "
            f"{1000 * separator.hop / separator.rate:g} ms; got {list(array.shape)}{hint}"
        )
    names = tuple(f"singer{j + 1}" for j in range(len(array)))
    return F0Contours.on_grid(
        np.ascontiguousarray(array.T), names, hop=separator.hop, rate=separator.rate
    )


def separate(
    audio: ArrayLike,
    rate: int,
    f0: F0Contours | ArrayLike,
    separator: Separator,
    *,
    window_seconds: float = 9.0,
    overlap_seconds: float = 1.0,
    chunk_seconds: float = 9.0,
    seed: int = 0,
) -> SeparatedRecording:
    """Separate a recording in memory, of any length, sample rate and number of channels.

    Args:
        audio: [T] or [C, T] samples.
        rate: sample rate in Hz.
        f0: contours, or an array [J, N] in Hz on the 16-ms grid (0 = silent), rows from the
            highest voice to the lowest. To estimate them from the recording:
            `F0Estimator(VoiceSalience(), VoiceTracker())(mono, 4).contours` with mono samples at
            16 kHz, or `estimate_file("choir.wav", estimator, 4).contours` for a file of any rate
            (`src.f0.estimate`, `src.f0.network`, `src.f0.tracker`).
        separator: e.g. `UmssSeparator("best.ckpt")` or `CombSeparator()`.
        window_seconds, overlap_seconds, chunk_seconds: see `src.chunks.separate_chunks`.
        seed: seed of the method's noise.

    Raises:
        ValueError: empty, wrongly shaped or not finite input, or F0 that does not fit.

    Example:
        >>> import numpy as np
        >>> from src.baselines.masks import CombSeparator
        >>> t = np.arange(16000) / 16000
        >>> high, low = np.sin(2 * np.pi * 440 * t), np.sin(2 * np.pi * 165 * t)
        >>> f0 = np.repeat([[440.0], [165.0]], 63, axis=1)
        >>> separate(high + low, 16000, f0, CombSeparator()).stems.shape
        (2, 16000)
    """
    array = np.asarray(audio, dtype=np.float32)
    if array.ndim not in (1, 2) or array.size == 0:
        raise ValueError(f"audio must be [T] or [C, T] and not empty, got {list(array.shape)}")
    if rate <= 0:
        raise ValueError(f"rate must be a positive number of Hz, got {rate}")
    channels = np.atleast_2d(array)
    n_samples = -(-channels.shape[-1] * separator.rate // rate)
    contours = as_contours(f0, -(-n_samples // separator.hop), separator)
    position = 0

    def read(n: int) -> NDArray[np.float32]:
        nonlocal position
        start, position = position, position + n
        return channels[:, start:position]

    pieces = list(
        separate_chunks(
            read,
            rate,
            contours,
            separator,
            window_seconds=window_seconds,
            overlap_seconds=overlap_seconds,
            chunk_seconds=chunk_seconds,
            seed=seed,
        )
    )
    stems = np.concatenate([p.stems for p in pieces], axis=-1)
    residual = np.concatenate([p.residual for p in pieces], axis=-1)
    return SeparatedRecording(
        stems=stems[:, 0] if array.ndim == 1 else stems,
        residual=residual[0] if array.ndim == 1 else residual,
        names=contours.names,
        rate=rate,
        f0=np.concatenate([p.f0 for p in pieces], axis=-1),
        parameters=join_parameters([p.parameters for p in pieces]),
    )


def join_parameters(
    parts: Sequence[dict[str, NDArray[np.floating]]],
) -> dict[str, NDArray[np.floating]]:
    """Parameters of consecutive pieces, one after the other."""
    return {name: np.concatenate([p[name] for p in parts], axis=1) for name in parts[0]}
