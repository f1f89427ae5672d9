"""What F0 tracks say about a spectrogram: harmonic templates, when they sound, and who sings them.

The start of a score-informed NMF (Ewert & Müller, ICASSP 2012): templates are zero away from the
harmonics of their pitch, activations are zero away from the score, and multiplicative updates keep
zeros zero. As in the paper, F0 tracks take the place of the score, with one template per tenth of a
semitone.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import UmssError

STEPS_PER_SEMITONE = 10
_NO_PITCH = -(10**6)  # padding among indices of pitches, which are negative below 8.2 Hz


@dataclass(frozen=True)
class PitchModel:
    """Templates and activations before any update; R pitches, fewer in some mixtures of a batch.

    Attributes:
        templates: [B, F, R], not negative: a comb of harmonics inside bands of tolerance, exactly 0
            outside; all 0 where a mixture has fewer than R pitches.
        activations: [B, R, N], not negative, exactly 0 away from the F0 tracks.
        shares: [B, J, R, N], the part of an activation that is source j's; sums to 1 over J where
            the activation is positive, and is 0 elsewhere.
        pitches: [B, R] Hz, 0 where a mixture has fewer than R pitches.
    """

    templates: Tensor
    activations: Tensor
    shares: Tensor
    pitches: Tensor


def build_pitch_model(
    f0: Tensor,
    *,
    n_fft: int,
    rate: int = 16_000,
    band_semitones: float = 0.1,
    band_bins: float = 2.0,
    shape: str = "lobe",
    decay: float = 1.0,
    pitch_tolerance: float = 0.1,
    frame_tolerance: int = 2,
    min_hz: float = 60.0,
    per_source: bool = False,
) -> PitchModel:
    """Templates, activations and ownership from F0 tracks.

    Args:
        f0: [B, J, N] Hz on the frames of the spectrogram, 0 where silent (see
            `src.dsp.tracks.resample_f0`).
        n_fft: FFT size; F = n_fft // 2 + 1.
        rate: sample rate in Hz.
        band_semitones, band_bins: a template is positive up to this distance from each harmonic,
            the wider of the two. Two bins are the main lobe of a Hann window.
        shape: form of a band: "lobe", a Hann window's main lobe as wide as the band, or "flat".
        decay: harmonic h starts at h ** -decay.
        pitch_tolerance: semitones around the F0 in which templates may sound.
        frame_tolerance: frames before and after in which they may sound as well.
        min_hz: lower values of F0 count as silence. Published tracks hold values between 0 and a
            voice's F0 next to silence, where they were interpolated.
        per_source: a template belongs to one source only; else all sources that pass by its pitch
            use the same one, as in the paper.

    Returns:
        The model, in the dtype and on the device of `f0`; R >= 1 even if nobody sings.

    Raises:
        ValueError: a wrong shape, or settings out of range.
    """
    if f0.ndim != 3:
        raise UmssError(f"f0 must be [B, J, N], got {list(f0.shape)}")
    if n_fft < 2 or rate <= 0:
        raise UmssError(f"n_fft must be at least 2 and rate positive, got {n_fft} and {rate}")
    if min(band_semitones, decay, pitch_tolerance, frame_tolerance) < 0 or min_hz <= 0:
        raise UmssError(
            "band_semitones, decay, pitch_tolerance and frame_tolerance must not be negative and "
            f"min_hz must be positive; got {band_semitones}, {decay}, {pitch_tolerance}, "
            f"{frame_tolerance} and {min_hz}"
        )
    if band_bins < 1.0:
        raise UmssError(f"band_bins must be at least 1, or bands hold no bin; got {band_bins}")
    if shape not in ("lobe", "flat"):
        raise UmssError(f"shape must be 'lobe' or 'flat', got {shape!r}")
    voiced = (f0 >= min_hz) & (f0 < 0.5 * rate)
    grid = _convert_to_grid(f0.clamp(min=min_hz))
    reach = round(pitch_tolerance * STEPS_PER_SEMITONE)
    index, owner = _find_pitches(grid, voiced, reach, per_source=per_source)
    sounds = _find_sounding(grid, voiced, index, owner, reach, frame_tolerance).to(f0.dtype)
    total = sounds.sum(dim=1)
    pitches = torch.where(
        index > _NO_PITCH, _convert_to_hertz(index, f0.dtype), torch.zeros((), device=f0.device)
    )
    return PitchModel(
        templates=_build_templates(
            pitches,
            n_fft=n_fft,
            rate=rate,
            band_semitones=band_semitones,
            band_bins=band_bins,
            decay=decay,
            shape=shape,
        ),
        activations=(total > 0).to(f0.dtype),
        shares=sounds / total.clamp(min=1.0).unsqueeze(1),
        pitches=pitches,
    )


def _convert_to_grid(hertz: Tensor) -> Tensor:
    """MIDI number in tenths of a semitone, rounded, int64."""
    midi = 69.0 + 12.0 * torch.log2(hertz.double() / 440.0)
    return (STEPS_PER_SEMITONE * midi).round().long()


def _convert_to_hertz(index: Tensor, dtype: torch.dtype) -> Tensor:
    midi = index.double() / STEPS_PER_SEMITONE
    return (440.0 * 2.0 ** ((midi - 69.0) / 12.0)).to(dtype)


def _find_pitches(
    grid: Tensor, voiced: Tensor, reach: int, *, per_source: bool
) -> tuple[Tensor, Tensor]:
    """Pitches of each mixture, [B, R], and whose they are, -1 for all's, [B, R]."""
    n_batch, n_sources, _ = grid.shape
    lowest = int(grid.min().clamp(max=0)) if grid.numel() else 0
    size = int(grid.max()) - lowest + 1 + 2 * reach if grid.numel() else 1
    # One column more than there are pitches, for silent frames to write to.
    slot = torch.where(voiced, grid - lowest + reach, size)
    present = torch.zeros(n_batch, n_sources, size + 1, device=grid.device)
    present = present.scatter_(2, slot, 1.0)[..., :size]
    present = torch.nn.functional.max_pool1d(present, 2 * reach + 1, stride=1, padding=reach) > 0
    if not per_source:
        present = present.any(dim=1, keepdim=True)
    flat = present.flatten(1)
    n_pitches = max(int(flat.sum(dim=1).max()), 1) if n_batch else 1
    # Stable, so that within a mixture pitches ascend, source after source.
    order = torch.argsort(~flat, dim=1, stable=True)[:, :n_pitches]
    valid = flat.gather(1, order)
    index = torch.where(valid, order % size + lowest - reach, _NO_PITCH)
    owner = order // size if per_source else torch.full_like(order, -1)
    return index, torch.where(valid, owner, -1)


def _find_sounding(
    grid: Tensor, voiced: Tensor, index: Tensor, owner: Tensor, reach: int, frames: int
) -> Tensor:
    """Whether source j may use pitch r in frame n: [B, J, R, N]."""
    near = (grid.unsqueeze(2) - index[:, None, :, None]).abs() <= reach
    sources = torch.arange(grid.shape[1], device=grid.device)[None, :, None]
    mine = (owner.unsqueeze(1) == sources) | (owner.unsqueeze(1) < 0)
    sounds = near & voiced.unsqueeze(2) & (mine & (index > _NO_PITCH).unsqueeze(1)).unsqueeze(-1)
    if not frames:
        return sounds
    wide = torch.nn.functional.max_pool1d(
        sounds.flatten(1, 2).float(), 2 * frames + 1, stride=1, padding=frames
    )
    return wide.view_as(sounds) > 0


def _build_templates(
    pitches: Tensor,
    *,
    n_fft: int,
    rate: int,
    band_semitones: float,
    band_bins: float,
    decay: float,
    shape: str,
) -> Tensor:
    """Templates [B, F, R] of pitches [B, R] in Hz, 0 for none."""
    bins = torch.arange(n_fft // 2 + 1, device=pitches.device, dtype=pitches.dtype)
    hertz = (bins * (rate / n_fft))[None, :, None]
    fundamental = pitches.clamp(min=torch.finfo(pitches.dtype).eps).unsqueeze(1)
    # Every bin looks at its nearest harmonic only, so that no loop over harmonics is needed.
    number = (hertz / fundamental).round().clamp(min=1.0)
    centre = number * fundamental
    half = centre * (2.0 ** (band_semitones / 12.0) - 1.0)
    distance = (hertz - centre).abs() / half.clamp(min=band_bins * rate / n_fft)
    inside = (distance < 1.0) & (centre < 0.5 * rate) & (pitches > 0).unsqueeze(1)
    profile = _evaluate_hann_lobe(distance) if shape == "lobe" else torch.ones_like(distance)
    return torch.where(inside, profile * number**-decay, torch.zeros((), device=pitches.device))


def _evaluate_hann_lobe(distance: Tensor) -> Tensor:
    """Main lobe of a Hann window's transform, 1 at distance 0, falling to 0 at distance 1."""
    bins = 2.0 * distance
    gap = 1.0 - bins.square()
    near = gap.abs() < 1e-4  # sinc(b) / (1 - b^2) is 0 / 0 at one bin, where its limit is 1 / 2
    return torch.where(near, 0.5, torch.sinc(bins) / gap.masked_fill(near, 1.0)).clamp(min=0.0)
