"""NMF2: every singer in turn is modelled by a glottal source and a smooth filter.

The baseline of Schulze-Forster et al. (2023), section IV-C: the separation of Durrieu, David and
Richard (IEEE JSTSP 2011) with the F0 tracks given, and with a residual that starts from the F0
tracks of the other singers as NMF1 does.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from ..dsp.noise import uniform_noise
from ..dsp.stft import soft_masks, stft
from ..dsp.tracks import remove_glides, resample_f0
from ..errors import UmssError
from ..separator import MASK_POWERS, Estimate, Separator
from .glottal import compute_glottal_spectra
from .pitch_model import build_pitch_model
from .source_filter_model import (
    DIVERGENCES,
    BlockFactor,
    SourceFilterModel,
    build_smooth_atoms,
    fit,
)

STEPS_PER_SEMITONE = 20
_REFERENCE_HZ = 440.0
_BLOCK = 16


class Nmf2Separator(Separator):
    """NMF2: source-filter model of the target plus NMF of the others, once per singer.

    The model is fitted to the power spectrogram of the mixture. The J estimates of the target
    become soft masks. All singers of a mixture are one batch of problems.

    Args:
        mask: "magnitude" or "power", see `Separator`. The estimates are power spectrograms:
            "power" shares the mixture in their ratio, "magnitude" in that of their square roots.
        n_iterations: rounds of updates, see `src.baselines.source_filter_model.fit`.
        divergence: "kl" or "is".
        n_atoms: Hann windows that cover the frequency axis (P); more give sharper filters.
        n_filters: filters that are combined in time (K).
        open_quotient: of the glottal source, `src.baselines.glottal`.
        source_semitones: distance from the F0 within which the source may sound.
        frame_tolerance: frames of `mask_hop` before and after a voiced run in which the target and
            the others may sound.
        band_semitones, band_bins, shape, decay, pitch_tolerance: start of the residual, see
            `src.baselines.pitch_model.build_pitch_model`; `decay` is that of the amplitude.
        min_hz, max_hz: F0s outside count as silence.
        floor: constant power in every bin of the model, relative to the mixture's mean.
        max_problems: singers that are fitted at the same time, at least one mixture; bounds memory.
        n_fft, mask_hop: STFT of the model and of the masks, samples. 1024 and 128 are the paper's.

    Raises:
        ValueError: settings out of range.
    """

    n_fft = 1024
    mask_hop = 128
    stochastic = True

    def __init__(
        self,
        *,
        mask: str = "power",
        n_iterations: int = 20,
        divergence: str = "kl",
        n_atoms: int = 120,
        n_filters: int = 10,
        open_quotient: float = 0.25,
        source_semitones: float = 0.05,
        frame_tolerance: int = 2,
        band_semitones: float = 0.1,
        band_bins: float = 2.0,
        shape: str = "lobe",
        decay: float = 1.0,
        pitch_tolerance: float = 0.1,
        min_hz: float = 60.0,
        max_hz: float = 2000.0,
        floor: float = 1e-2,
        max_problems: int = 8,
        n_fft: int = 1024,
        mask_hop: int = 128,
    ) -> None:
        super().__init__(mask=mask)
        if n_fft < 64 or not 0 < mask_hop <= n_fft // 4:
            raise UmssError(
                "n_fft must be at least 64 and mask_hop between 1 and a quarter of it; got "
                f"{n_fft} and {mask_hop}"
            )
        if n_iterations < 1 or n_filters < 1 or max_problems < 1 or n_atoms < 4:
            raise UmssError(
                "n_iterations, n_filters and max_problems must be at least 1 and n_atoms at least "
                f"4; got {n_iterations}, {n_filters}, {max_problems} and {n_atoms}"
            )
        if divergence not in DIVERGENCES:
            raise UmssError(
                f"divergence must be one of {', '.join(DIVERGENCES)}; got {divergence!r}"
            )
        if source_semitones < 0 or frame_tolerance < 0 or floor <= 0:
            raise UmssError(
                "source_semitones and frame_tolerance must not be negative and floor must be "
                f"positive; got {source_semitones}, {frame_tolerance} and {floor}"
            )
        if not 0 < min_hz < max_hz or max_hz * 2 ** (source_semitones / 12) >= 0.49 * self.rate:
            raise UmssError(
                "min_hz must be positive, and max_hz above it and, with source_semitones, below "
                f"{0.49 * self.rate:g} Hz; got {min_hz} and {max_hz}"
            )
        self.n_fft, self.mask_hop = n_fft, mask_hop
        self.n_iterations = n_iterations
        self.divergence = divergence
        self.n_atoms = n_atoms
        self.n_filters = n_filters
        self.open_quotient = open_quotient
        self.reach = round(source_semitones * STEPS_PER_SEMITONE)
        self.frame_tolerance = frame_tolerance
        self.band_semitones = band_semitones
        self.band_bins = band_bins
        self.shape = shape
        self.decay = decay
        self.pitch_tolerance = pitch_tolerance
        self.min_hz = min_hz
        self.max_hz = max_hz
        self.floor = floor
        self.max_problems = max_problems

    def estimate(
        self, mixture: Tensor, f0: Tensor, seed: Tensor, sources: Tensor | None
    ) -> Estimate:
        at_once = max(self.max_problems // max(f0.shape[1], 1), 1)
        parts = [
            self._estimate_masks(*part)
            for part in zip(
                mixture.split(at_once), f0.split(at_once), seed.split(at_once), strict=True
            )
        ]
        return Estimate(torch.cat(parts))

    def _estimate_masks(self, mixture: Tensor, f0: Tensor, seed: Tensor) -> Tensor:
        power = stft(mixture, n_fft=self.n_fft, hop=self.mask_hop).abs().square().mT
        n_frames = power.shape[1]
        blocks, model = self.start(power, f0.to(power), seed)
        fit(blocks, model, self.n_iterations, kind=self.divergence)
        target = model.compute_target_power().flatten(1, 2)[:, :n_frames].mT
        # The masks' exponents are meant for amplitudes.
        return soft_masks(target.unflatten(0, f0.shape[:2]).sqrt(), power=MASK_POWERS[self.mask])

    def start(self, power: Tensor, f0: Tensor, seed: Tensor) -> tuple[Tensor, SourceFilterModel]:
        """Scaled mixture and model before the first update, problem b * J + j with target j.

        Args:
            power: [B, N, F], the mixtures' power spectrograms.
            f0: [B, J, M] Hz on the separator's F0 frames.
            seed: [B] int64.

        Returns:
            [B * J, C, L, F] and the model; frames that fill up the last block are silent.
        """
        n_frames, n_bins = power.shape[1:]
        n_sources = f0.shape[1]
        mean = power.mean(dim=(1, 2), keepdim=True)
        power = power / mean.masked_fill(mean == 0, 1.0)
        tracks = remove_glides(f0, min_hz=self.min_hz)
        tracks = torch.where(tracks <= self.max_hz, tracks, 0.0)
        tracks = resample_f0(tracks, n_frames, hop=self.hop, frame_hop=self.mask_hop)
        fill = -n_frames % _BLOCK
        power = torch.nn.functional.pad(power, (0, 0, 0, fill)).repeat_interleave(n_sources, dim=0)
        tracks = torch.nn.functional.pad(tracks, (0, fill))
        # Every part starts with its share of the power of each frame.
        level = power.sum(dim=-1).unsqueeze(1) / n_sources
        glottal, source = self._start_target(tracks.flatten(0, 1), level)
        templates, others = self._start_others(tracks, level * (n_sources - 1))
        filters, gains = self._draw_filters(seed, n_sources, n_frames, fill)
        atoms = build_smooth_atoms(n_bins, self.n_atoms).to(power)
        model = SourceFilterModel(
            atoms=atoms,
            filters=filters.to(power),
            gains=gains.to(power),
            glottal=glottal,
            source=source,
            templates=templates,
            others=others,
            floor=self.floor,
        )
        return power.unflatten(1, (-1, _BLOCK)), model

    def _start_target(self, f0: Tensor, level: Tensor) -> tuple[Tensor, BlockFactor]:
        """Glottal spectra that each block uses and their activations, from F0 [Q, M]."""
        voiced = f0 > 0
        index = find_pitch_index(torch.where(voiced, f0, self.min_hz))
        lowest = int(find_pitch_index(torch.tensor(self.min_hz))) - self.reach
        highest = int(find_pitch_index(torch.tensor(self.max_hz))) + self.reach
        bank = _build_glottal_bank(
            self.n_fft, self.rate, self.open_quotient, lowest, highest, f0.device, f0.dtype
        )
        first = int(index.min()) - self.reach
        steps = torch.arange(first, int(index.max()) + self.reach + 1, device=f0.device)
        near = (index.unsqueeze(1) - steps.unsqueeze(1)).abs() <= self.reach
        sounds = (near & voiced.unsqueeze(1)).to(f0.dtype)
        width = 2 * self.frame_tolerance + 1
        sounds = torch.nn.functional.max_pool1d(sounds, width, 1, self.frame_tolerance)
        sounds *= level / sounds.sum(dim=1, keepdim=True).clamp(min=1.0)
        factor = BlockFactor.of(sounds, _BLOCK)
        return bank[factor.rows + (first - lowest)], factor

    def _start_others(self, f0: Tensor, level: Tensor) -> tuple[Tensor, BlockFactor]:
        """Templates and activations of the singers who are not the target, from F0 [B, J, M]."""
        n_sources = f0.shape[1]
        rest = [[k for k in range(n_sources) if k != j] for j in range(n_sources)]
        others = build_pitch_model(
            f0[:, rest].flatten(0, 1) if n_sources > 1 else torch.zeros_like(f0),
            n_fft=self.n_fft,
            rate=self.rate,
            band_semitones=self.band_semitones,
            band_bins=self.band_bins,
            shape=self.shape,
            decay=2.0 * self.decay,  # of powers
            pitch_tolerance=self.pitch_tolerance,
            frame_tolerance=self.frame_tolerance,
            min_hz=self.min_hz,
        )
        templates = others.templates.mT
        total = templates.sum(dim=-1, keepdim=True)
        sounds = others.activations
        sounds = sounds * (level / sounds.sum(dim=1, keepdim=True).clamp(min=1.0))
        templates = templates / total.masked_fill(total == 0, 1.0)
        return templates.contiguous(), BlockFactor.of(sounds, _BLOCK)

    def _draw_filters(
        self, seed: Tensor, n_sources: int, n_frames: int, fill: int
    ) -> tuple[Tensor, Tensor]:
        """Random H_G and H_P of about the same total gain, the same on every device."""
        n_shape = self.n_filters * self.n_atoms
        size = n_shape + self.n_filters * n_frames
        # Away from 0, which no update would leave.
        random = uniform_noise(seed, n_sources, size).flatten(0, 1).add(1.01)
        filters = random[:, :n_shape].unflatten(1, (self.n_filters, self.n_atoms))
        gains = random[:, n_shape:].unflatten(1, (n_frames, self.n_filters))
        gains = gains * (0.5 * self.n_atoms / self.n_filters)
        gains = torch.nn.functional.pad(gains, (0, 0, 0, fill)).unflatten(1, (-1, _BLOCK))
        return filters / filters.sum(dim=-1, keepdim=True), gains.contiguous()


def find_pitch_index(f0: Tensor) -> Tensor:
    """Positive F0 in Hz as whole steps of 1/20 semitone above 440 Hz, int64."""
    return (12 * STEPS_PER_SEMITONE * torch.log2(f0.double() / _REFERENCE_HZ)).round().long()


@lru_cache(maxsize=8)
def _build_glottal_bank(
    n_fft: int,
    rate: int,
    open_quotient: float,
    lowest: int,
    highest: int,
    device: torch.device,
    dtype: torch.dtype,
) -> Tensor:
    """Spectra [U, F] of the pitches `lowest` to `highest` (W_S transposed)."""
    steps = torch.arange(lowest, highest + 1, dtype=torch.float64, device=device)
    f0 = _REFERENCE_HZ * 2.0 ** (steps / (12 * STEPS_PER_SEMITONE))
    return compute_glottal_spectra(f0, n_fft=n_fft, rate=rate, open_quotient=open_quotient).to(
        dtype
    )
