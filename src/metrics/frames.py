"""Metrics on non-overlapping one-second frames (paper section V-A)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torchaudio
from torch import Tensor

from ..dsp.stft import stft
from ..ranges import check_whole

# A frame whose target has less energy than this, at the level of a full mix with peak 1, is silent.
SILENCE_ENERGY = 10.0


@dataclass(frozen=True)
class SnrSettings:
    """STFT of the spectral SNR, samples. The paper does not say; its released code has 512 and 256.

    Raises:
        UmssError: a size out of range.
    """

    n_fft: int = 2048
    hop: int = 256

    def __post_init__(self) -> None:
        check_whole("spectral_snr.n_fft", self.n_fft, 16, 16_384)
        check_whole("spectral_snr.hop", self.hop, 1, self.n_fft)


def cut_one_second_frames(x: Tensor, *, rate: int = 16_000) -> Tensor:
    """Cut [..., T] into whole one-second frames [..., T // rate, rate]; a remainder is dropped."""
    n_frames = x.shape[-1] // rate
    return x[..., : n_frames * rate].unflatten(-1, (n_frames, rate))


def _scale_invariant_ratio(estimate: Tensor, target: Tensor) -> Tensor:
    """10 log10(|a s|^2 / |a s - e|^2 + 1e-8) over the last dimension, a = <e, s> / <s, s>.

    The distortion is at least 1e-15 of the signal, so that exact estimates score 150 dB instead of
    infinity, which would make every mean infinite.
    """
    estimate, target = estimate.double(), target.double()
    tiny = torch.finfo(target.dtype).tiny
    projection = (estimate * target).sum(-1, keepdim=True)
    scaled = projection / target.square().sum(-1, keepdim=True).clamp(min=tiny) * target
    signal = scaled.square().sum(-1)
    distortion = (scaled - estimate).square().sum(-1)
    distortion = distortion.maximum(1e-15 * signal).clamp(min=tiny)
    return 10.0 * torch.log10(signal / distortion + 1e-8)


def si_sdr(estimate: Tensor, target: Tensor) -> Tensor:
    """Scale-invariant signal-to-distortion ratio in dB, without mean removal.

    An estimate of exactly zero scores -80 dB, the floor of the formula.

    Shape:
        - estimate, target: [..., T]
        - output: [...] float64

    References:
        Le Roux et al., "SDR - half-baked or well done?", ICASSP 2019; protocol of the paper.
    """
    return _scale_invariant_ratio(estimate, target)


def spectral_snr(estimate: Tensor, target: Tensor, *, n_fft: int = 2048, hop: int = 256) -> Tensor:
    """Scale-invariant SNR of magnitude spectrograms in dB, for estimates whose phase is free.

    Shape:
        - estimate, target: [..., T]
        - output: [...] float64
    """
    found = stft(estimate, n_fft=n_fft, hop=hop).abs().flatten(-2)
    wanted = stft(target, n_fft=n_fft, hop=hop).abs().flatten(-2)
    return _scale_invariant_ratio(found, wanted)


def mel_cepstral_distance(
    estimate: Tensor, target: Tensor, *, rate: int = 16_000, order: int = 13
) -> Tensor:
    """Mel cepstral distance in dB: how much spectral envelopes differ, whatever the phase.

    Root of twice the summed squared differences of mel cepstral coefficients 1 ... `order` (the
    level is left out), averaged over the frames of a 1024/256 STFT with 80 mel bands. Bands
    below -80 dB of the target's strongest count as -80 dB.

    Shape:
        - estimate, target: [..., T]
        - output: [...] float64
    """
    n_mels = 80
    spectrogram = torchaudio.transforms.MelSpectrogram(
        rate, n_fft=1024, hop_length=256, n_mels=n_mels, pad_mode="constant"
    ).to(target.device)
    wanted, found = spectrogram(target.float()), spectrogram(estimate.float())
    floor = 1e-8 * wanted.amax(dim=(-2, -1), keepdim=True).clamp(min=1e-12)
    difference = torch.log(wanted.maximum(floor)) - torch.log(found.maximum(floor))
    # Orthonormal DCT of log power, rescaled to cepstral coefficients of log magnitude.
    dct = torchaudio.functional.create_dct(order + 1, n_mels, norm="ortho").to(difference)
    transformed = torch.einsum("...mn,mk->...kn", difference, dct)[..., 1:, :].double()
    cepstrum = transformed / math.sqrt(2.0 * n_mels)
    distance = (2.0 * cepstrum.square().sum(dim=-2)).sqrt().mean(dim=-1)
    return 10.0 / math.log(10.0) * distance


def frame_energy(target: Tensor, full_mix_peak: Tensor | float, *, rate: int = 16_000) -> Tensor:
    """Energy of one-second target frames after scaling the mix of all voices to peak 1.

    Args:
        target: [..., T].
        full_mix_peak: largest magnitude of the mix of all voices in the excerpt, at the scale of
            `target`; a number or broadcastable to the leading dimensions of `target`.

    Returns:
        [..., frames]; frames below `SILENCE_ENERGY` count as silent.
    """
    energy = cut_one_second_frames(target, rate=rate).double().square().sum(-1)
    peak = torch.as_tensor(full_mix_peak, dtype=energy.dtype, device=energy.device)
    level = peak.square().clamp(min=torch.finfo(energy.dtype).tiny)
    return energy / (level.unsqueeze(-1) if level.ndim else level)
