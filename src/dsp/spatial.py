"""Where sources are: their covariance between channels, and what it says about who sounds.

A source at one place reaches every channel with a level and a phase of its own, and through a room
by many ways. At one frequency, all that is a covariance matrix of the channels: R, of full rank,
constant in time, times the source's power v in every frame. Duong, Vincent and Gribonval
("Under-determined reverberant audio source separation using a full-rank spatial covariance model",
IEEE TASLP 18, 2010) estimate both by expectation and maximisation; the powers here are updated as
by Sawada, Kameoka, Araki and Ueda ("Multichannel extensions of non-negative matrix factorization
with complex-valued data", IEEE TASLP 21, 2013), by the whole ratio instead of its square root.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import UmssError
from .stft import check_hop, frame_stft, istft, stft

# Relative to the mean power of the recording in a bin: of a source that is silent, and of noise
# that is the same in all channels.
_SILENT, _NOISE = 1e-10, 1e-6
# Share of a covariance that is the same in all channels, so that it can be inverted.
_DIFFUSE = 1e-3
# Factor by which a step changes a power at most.
_STEP = 1e4


@dataclass(frozen=True)
class PlaceSettings:
    """How sources are told apart by their places.

    Attributes:
        iterations: how often powers and covariances are updated.
        trust: weight of the first powers, 0 to 1: after every update, the geometric mean of them
            and the updated ones is taken. 0 = they are a beginning alone.
        unlike, alike: how far apart places are (`compare_places`) from which on they decide alone,
            and up to which the first estimates stay as they are; in between, both are mixed.
        n_fft, hop: of the spectrograms, samples.

    Raises:
        UmssError: a setting out of range.
    """

    iterations: int = 10
    trust: float = 0.1
    unlike: float = 0.5
    alike: float = 0.15
    n_fft: int = 4096
    hop: int = 1024

    def __post_init__(self) -> None:
        if self.iterations < 1 or not 0.0 <= self.trust <= 1.0:
            raise UmssError(
                f"places.iterations={self.iterations} must be at least 1, and "
                f"places.trust={self.trust} lie between 0 and 1"
            )
        if not 0.0 <= self.alike < self.unlike:
            raise UmssError(
                f"places.alike={self.alike} must be less than places.unlike={self.unlike}, and not "
                "negative"
            )
        check_hop("places", self.hop, self.n_fft)


def separate_by_place(channels: Tensor, stems: Tensor, settings: PlaceSettings) -> Tensor:
    """Separate a recording once more, by the places of the sources that were found.

    Powers v and covariances R begin as those of the stems; then they explain the recording ever
    better, by the likelihood of Gaussians of zero mean with the covariance sum v R. A multichannel
    Wiener filter, v R (sum v R)^-1, gives the sources. Where all come from one place, as in a mono
    recording on several channels, the stems stay what they are.

    Args:
        channels: [C, T], two or more.
        stems: [J, C, T] first estimates of the sources in all channels, which sum to the channels.
        settings: see `PlaceSettings`.

    Returns:
        [J, C, T]; sums to the recording, but for noise at -60 dB.
    """
    n_fft, hop = settings.n_fft, settings.hop
    heard = stft(channels, n_fft=n_fft, hop=hop).permute(1, 2, 0).contiguous()
    scale = heard.abs().square().mean()
    if len(stems) < 2 or not bool(scale > 0):
        return stems
    found = stft(stems, n_fft=n_fft, hop=hop).permute(2, 0, 3, 1).contiguous()
    first = found.abs().square().mean(dim=-1).mT + _SILENT * scale
    # The louder a source is beside the others, the more its stem says about its place.
    weighted = found * first.sum(dim=-1).rsqrt()[:, None, :, None]
    places = _normalise(weighted.mT @ weighted.conj())
    apart = compare_places(places, first.sum(dim=1))
    share = (apart - settings.alike) / (settings.unlike - settings.alike)
    if share <= 0.0:
        return stems
    power = first
    for _ in range(settings.iterations):
        inverse, explained = _explain(heard, power, places, _NOISE * scale)
        power, places = _update(inverse, explained, power, places)
        power = power.pow(1.0 - settings.trust) * first.pow(settings.trust) + 1e-12 * scale
    _, explained = _explain(heard, power, places, _NOISE * scale)
    filtered = power.mT.unsqueeze(-1) * (explained.unsqueeze(1) @ places.mT)
    spectra = filtered.permute(1, 3, 0, 2)
    separated = istft(spectra, channels.shape[-1], n_fft=n_fft, hop=hop)
    return stems + min(share, 1.0) * (separated - stems)


def compare_places(places: Tensor, energy: Tensor) -> float:
    """Compare the places of sources: how far apart they are, beside how wide each is.

    Of every two sources, 1 minus the correlation of their covariances, over the share of their
    energy that is not in their main direction; both averaged over pairs and bins. 0 = one place;
    from 1 on, the sources differ more from each other than their sound is spread by room and noise.

    Args:
        places: [F, J, C, C] covariances.
        energy: [F, J] of the sources.
    """
    flat = places.flatten(-2)
    flat = flat / flat.abs().square().sum(dim=-1, keepdim=True).sqrt()
    alike = (flat @ flat.mH).real
    strengths = torch.linalg.eigvalsh(places)
    width = 1.0 - strengths[..., -1] / strengths.sum(dim=-1)
    weights = energy.sqrt().unsqueeze(-1) * energy.sqrt().unsqueeze(-2)
    weights = weights.triu(diagonal=1)
    between = (weights * (1.0 - alike)).sum()
    within = 0.5 * (weights * (width.unsqueeze(-1) + width.unsqueeze(-2))).sum()
    return float(between / within.clamp(min=1e-30))


def _update(
    inverse: Tensor, explained: Tensor, power: Tensor, places: Tensor
) -> tuple[Tensor, Tensor]:
    """Update powers [F, N, J] and covariances [F, J, C, C] by what `_explain` gave."""
    n_channels = explained.shape[-1]
    towards = explained.unsqueeze(1) @ places.mT
    there = (explained.conj().unsqueeze(1) * towards).real.sum(dim=-1).mT
    flat = inverse.flatten(-2)
    expected = (flat @ places.mT.flatten(-2).mT).real
    share = power / power.sum(dim=-1, keepdim=True)
    outer = (explained.unsqueeze(-1) * explained.conj().unsqueeze(-2)).flatten(-2)
    change = (share * power).mT.to(flat) @ (outer - flat)
    change = change / share.sum(dim=1).clamp(min=1e-12).unsqueeze(-1)
    moved = places + places @ change.unflatten(-1, (n_channels, n_channels)) @ places
    ratio = (there / expected.clamp(min=1e-30)).clamp(1.0 / _STEP, _STEP)
    return power * ratio, _normalise(0.5 * (moved + moved.mH))


def _explain(heard: Tensor, power: Tensor, places: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """Invert the covariance of the recording, and apply it.

    Args:
        heard: [F, N, C] spectrogram.
        power: [F, N, J] of the sources.
        places: [F, J, C, C] covariances.
        noise: power that is the same in all channels.

    Returns:
        [F, N, C, C] inverse, and [F, N, C] the inverse times the spectrogram.
    """
    n_channels = heard.shape[-1]
    covariance = power.to(places) @ places.flatten(-2)
    covariance = covariance.unflatten(-1, 2 * [n_channels])
    covariance.diagonal(dim1=-2, dim2=-1).add_(noise)
    inverse = _invert(covariance)
    return inverse, (inverse @ heard.unsqueeze(-1)).squeeze(-1)


def _invert(matrix: Tensor) -> Tensor:
    """Invert Hermitian matrices [..., C, C]; two by two in closed form, ten times as fast."""
    if matrix.shape[-1] != 2:
        return torch.linalg.inv(matrix)
    a, b, c, d = matrix.flatten(-2).unbind(-1)
    turned = torch.stack([d, -b, -c, a], dim=-1)
    return (turned / (a * d - b * c).real.unsqueeze(-1)).unflatten(-1, (2, 2))


def _normalise(covariance: Tensor) -> Tensor:
    """Covariances [..., C, C] of mean power 1, a thousandth of it the same in all channels."""
    mean = covariance.diagonal(dim1=-2, dim2=-1).real.mean(dim=-1).clamp(min=1e-30)
    scaled = covariance / mean[..., None, None]
    scaled.diagonal(dim1=-2, dim2=-1).add_(_DIFFUSE)
    return scaled / (1.0 + _DIFFUSE)


@dataclass(frozen=True)
class Place:
    """What the partials of one voice have in the channels beside the first.

    Attributes:
        level: [C - 1, N, P] dB above the first channel.
        phase: [C - 1, N, P] radians before the first channel, -pi to pi.
        coherence: [C - 1, N, P] 0 to 1: how far one source explains what is heard there.
        power: [N, P] mean power of the channels, 0 where there is no partial; with that, the rest
            means nothing and is 0.
    """

    level: Tensor
    phase: Tensor
    coherence: Tensor
    power: Tensor


def measure_place(
    channels: Tensor,
    f0: Tensor,
    *,
    rate: int,
    hop: int,
    n_partials: int = 8,
    n_fft: int = 2048,
) -> Place:
    """Measure where a voice is, frame by frame, from level and phase of its partials.

    Args:
        channels: [C, T], two or more.
        f0: [N] Hz, 0 = silent; N = ceil(T / hop).
        rate: sample rate in Hz.
        hop: samples per F0 frame.
        n_partials: P.
        n_fft: size of the frames, samples; the bin of a partial and its two neighbours are heard.
    """
    spectra = frame_stft(channels, n_fft=n_fft, hop=hop)
    order = torch.arange(1, n_partials + 1, device=f0.device)
    bins = (f0.unsqueeze(-1) * order * (n_fft / rate)).round().long()
    n_bins = spectra.shape[1]
    sounds = (bins > 1) & (bins < n_bins - 1)
    frame = torch.arange(len(f0), device=f0.device)[:, None, None]
    near = bins.clamp(1, n_bins - 2).unsqueeze(-1) + torch.arange(-1, 2, device=f0.device)
    heard = spectra[:, near, frame]
    powers = heard.abs().square().sum(dim=-1)
    product = (heard[1:] * heard[:1].conj()).sum(dim=-1)
    tiny = torch.finfo(powers.dtype).tiny
    level = 10.0 * (powers[1:].clamp(min=tiny) / powers[:1].clamp(min=tiny)).log10()
    coherence = product.abs() / (powers[1:] * powers[:1]).sqrt().clamp(min=tiny)
    silent = ~sounds
    return Place(
        level.masked_fill(silent, 0.0),
        product.angle().masked_fill(silent, 0.0),
        coherence.clamp(max=1.0).masked_fill(silent, 0.0),
        powers.mean(dim=0).masked_fill(silent, 0.0),
    )
