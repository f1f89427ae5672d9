"""Voices as sums of sines along their F0, told apart by their phases.

Masks give every bin of a spectrogram to the voices in proportion to their levels, and the partials
of two voices often share a bin. Here each partial is a sine of known, moving frequency, whose
amplitude and phase follow from the recording by least squares, for all partials of all voices at
once. A fit (`src.fit.spectra`) says beforehand how strong every partial is, and how much around it
is none of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from src.dsp.harmonic import harmonic_phase, interpolate_f0
from src.dsp.stft import stft
from src.fit.spectra import FittedSpectra

# Frames that are solved at a time, with the sines that sound in them.
_BLOCK = 16
# Bounds of lambda, so that all systems can be solved.
_LEAST, _MOST = 1e-6, 1e6
# Bounds of the uncertainty, and the radius in frames of the spectrogram of its estimate.
_UNCERTAINTIES, _AROUND = (0.01, 100.0), 4
# Hz; a track near zero would have any number of partials.
_LOWEST = 60.0


@dataclass(frozen=True)
class PartialSettings:
    """How partials are estimated.

    Attributes:
        window: length of the least-squares frames, samples; F0 may move in them, levels do not.
        hop: their distance, samples.
        highest: Hz; partials above are left to the masks.
        uncertainty: power of what the model does not know about, relative to the model's own, as
            guessed at first.
        left: then it is this times the share of the energy that the partials have left; 0 = the
            first guess stays.

    Raises:
        ValueError: a setting out of range.
    """

    window: int = 4096
    hop: int = 1024
    highest: float = 1500.0
    uncertainty: float = 0.05
    left: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.hop <= self.window // 2:
            raise ValueError(
                f"partials.hop={self.hop} must be positive and at most half of "
                f"partials.window={self.window}"
            )
        if self.highest <= 0 or self.uncertainty <= 0:
            raise ValueError(
                f"partials.highest={self.highest} and partials.uncertainty={self.uncertainty} "
                "must be positive"
            )
        if self.left < 0:
            raise ValueError(f"partials.left={self.left} must not be negative")


@dataclass(frozen=True)
class _Sines:
    """Cosines and sines of the partials of one mixture.

    Attributes:
        signals: [M, T], zero where the voice is silent or the partial too high.
        voice: [M] whose they are.
        frequency: [M, frames] Hz, in the middle of the least-squares frames.
    """

    signals: Tensor
    voice: Tensor
    frequency: Tensor


@dataclass(frozen=True)
class _Equations:
    """Normal equations of a few frames, without regularisation.

    Attributes:
        frames: which ones.
        sound: [M] the m sines that sound in them.
        matrix: [frames, m, m].
        right: [frames, m, C] for the channels.
    """

    frames: slice
    sound: Tensor
    matrix: Tensor
    right: Tensor


def partials(
    channels: Tensor,
    f0: Tensor,
    fitted: FittedSpectra,
    settings: PartialSettings,
    *,
    domain: float,
    rate: int,
    hop: int,
    mask_hop: int,
) -> Tensor:
    """The voices' partials in recordings.

    In every frame, the amplitudes a of the sines S minimise |w (x - S a)|^2 + sum lambda a^2, where
    w is a Hann window and lambda the ratio of what surrounds a partial to the partial itself,
    both as fitted. Between frames, amplitudes are interpolated with the weights w^2.

    Args:
        channels: [B, C, T]; every channel has amplitudes of its own.
        f0: [B, J, N] Hz, 0 = silent.
        fitted: the mixtures of the channels as explained by these F0s.
        settings: see `PartialSettings`.
        domain: exponent of the magnitudes that were fitted.
        rate: sample rate in Hz.
        hop: samples per F0 frame.
        mask_hop: samples per frame of the fit.

    Returns:
        [B, J, C, T].
    """
    n_samples = channels.shape[-1]
    middle = torch.arange(0, n_samples + settings.hop - 1, settings.hop, device=channels.device)
    middle = middle.clamp(max=n_samples - 1)
    sources = channels.new_zeros(len(f0), f0.shape[1], *channels.shape[1:])
    for heard, tracks, voices, noise, result in zip(
        channels, f0, fitted.voices, fitted.noise, sources, strict=True
    ):
        sines = _sines(tracks, middle, n_samples, rate=rate, hop=hop, highest=settings.highest)
        if not len(sines.voice):
            continue
        equations = _normal_equations(heard, sines.signals, len(middle), settings)
        frame = (middle / mask_hop).round().long().clamp(max=noise.shape[-1] - 1)
        powers = [x[..., frame].pow(2.0 / domain) for x in (voices, noise)]
        guess = torch.full_like(frame, settings.uncertainty, dtype=heard.dtype)
        _fill(result, equations, sines, powers, guess, settings, rate)
        if settings.left:
            share = _share_left(heard, result, settings, rate=rate, hop=mask_hop)
            better = (settings.left * share).clamp(*_UNCERTAINTIES)[frame]
            _fill(result, equations, sines, powers, better, settings, rate)
    return sources


def _fill(
    result: Tensor,
    equations: Sequence[_Equations],
    sines: _Sines,
    powers: Sequence[Tensor],
    uncertainty: Tensor,
    settings: PartialSettings,
    rate: int,
) -> None:
    """Partials of all voices, into `result` [J, C, T]."""
    voices, noise = powers
    ratio = _surroundings(sines, voices, noise, rate=rate, uncertainty=uncertainty)
    amplitudes = _solved(equations, ratio, settings, n_channels=result.shape[1])
    for j, voice in enumerate(result):
        own = sines.voice == j
        if bool(own.any()):
            level = _over_time(amplitudes[own], settings, result.shape[-1])
            voice.copy_((sines.signals[own].unsqueeze(1) * level).sum(dim=0))


def energy_below(signal: Tensor, highest: float, *, rate: int, hop: int) -> Tensor:
    """Energy of signals [..., C, T] below `highest` Hz, of all channels, at n * hop: [..., N]."""
    n_fft = 4 * hop
    spectrum = stft(signal, n_fft=n_fft, hop=hop)[..., : 1 + round(highest / rate * n_fft), :]
    return spectrum.abs().square().sum(dim=(-3, -2))


def mean_around(x: Tensor, radius: int) -> Tensor:
    """Means of [..., N] over the frames up to `radius` before and after, where there are any."""
    radius = min(radius, x.shape[-1] - 1)
    mean = torch.nn.functional.avg_pool1d(
        x.reshape(-1, 1, x.shape[-1]),
        2 * radius + 1,
        stride=1,
        padding=radius,
        count_include_pad=False,
    )
    return mean.view_as(x)


def _share_left(
    heard: Tensor, found: Tensor, settings: PartialSettings, *, rate: int, hop: int
) -> Tensor:
    """Share of the energy [N] of channels [C, T] that partials [J, C, T] leave, where they lie."""
    rest, all_ = (
        mean_around(energy_below(x, settings.highest, rate=rate, hop=hop), _AROUND)
        for x in (heard - found.sum(dim=0), heard)
    )
    return rest / all_.clamp(min=torch.finfo(all_.dtype).tiny)


def _sines(
    f0: Tensor, middle: Tensor, n_samples: int, *, rate: int, hop: int, highest: float
) -> _Sines:
    """Sines of all partials below `highest` of tracks [J, N]."""
    signals, voice, frequency = [f0.new_zeros(0, n_samples)], [], [f0.new_zeros(0, len(middle))]
    place = torch.arange(n_samples, device=f0.device, dtype=torch.float64) / hop
    nearest = place.round().long().clamp(max=f0.shape[-1] - 1)
    for j, track in enumerate(f0.double()):
        if not bool((track > 0).any()):
            continue
        active = (track > 0)[nearest]
        along = interpolate_f0(_without_gaps(track), hop=hop, n_samples=n_samples)
        count = int(highest / max(_LOWEST, float(track[track > 0].min())))
        order = torch.arange(1, count + 1, dtype=torch.float64, device=f0.device).unsqueeze(-1)
        phase = harmonic_phase(along, rate=rate).to(f0)
        # Powers of e^(i phase), one product each, in place of a cosine and a sine.
        partial = torch.polar(torch.ones_like(phase), phase).expand(count, -1).cumprod(dim=0)
        sounds = active & (order * along < highest)
        signals += [x * sounds for x in (partial.real, partial.imag)]
        frequency += 2 * [(order * along[middle]).to(f0)]
        voice += 2 * count * [j]
    return _Sines(torch.cat(signals), torch.tensor(voice, device=f0.device), torch.cat(frequency))


def _without_gaps(track: Tensor) -> Tensor:
    """A track [N] whose silences are bridged by straight lines, and held at both ends."""
    frames = torch.arange(len(track), device=track.device)
    known = torch.nonzero(track > 0)[:, 0]
    after = torch.searchsorted(known, frames).clamp(max=len(known) - 1)
    before = (torch.searchsorted(known, frames, right=True) - 1).clamp(min=0)
    left, right = known[before], known[after]
    share = (frames - left) / (right - left).clamp(min=1)
    return track[left] + share.clamp(0.0, 1.0) * (track[right] - track[left])


def _surroundings(
    sines: _Sines, voices: Tensor, noise: Tensor, *, rate: int, uncertainty: Tensor
) -> Tensor:
    """Power around a partial, relative to its own: [frames, M].

    From the fitted powers of the voices [J, F, frames] and of the noise [F, frames], and the
    uncertainty [frames].
    """
    n_bins, n_frames = noise.shape
    bins = (sines.frequency * (2 * (n_bins - 1) / rate)).round().long().clamp(1, n_bins - 2)
    frame = torch.arange(n_frames, device=noise.device)
    around = (noise + uncertainty * (voices.sum(dim=0) + noise))[bins, frame]
    # The top of the partial may be a bin beside.
    tops = [voices[sines.voice.unsqueeze(-1), bins + k, frame] for k in (-1, 0, 1)]
    top = torch.stack(tops).amax(dim=0)
    return (around / top.clamp(min=torch.finfo(top.dtype).tiny)).clamp(_LEAST, _MOST).T


def _normal_equations(
    channels: Tensor, sines: Tensor, n_frames: int, settings: PartialSettings
) -> list[_Equations]:
    """Equations of the amplitudes of sines [M, T] in channels [C, T]."""
    length, hop = settings.window, settings.hop
    window = torch.hann_window(length, dtype=sines.dtype, device=sines.device)
    margin = (length // 2, (n_frames - 1) * hop + length - length // 2 - sines.shape[-1])
    padded = torch.nn.functional.pad(sines, margin)
    heard = torch.nn.functional.pad(channels, margin)
    equations = []
    for first in range(0, n_frames, _BLOCK):
        last = min(first + _BLOCK, n_frames)
        stretch = slice(first * hop, (last - 1) * hop + length)
        sound = padded[:, stretch].any(dim=-1)
        columns = padded[sound, stretch].unfold(-1, length, hop).transpose(0, 1) * window
        target = heard[:, stretch].unfold(-1, length, hop).transpose(0, 1) * window
        matrix, right = columns @ columns.mT, columns @ target.mT
        equations.append(_Equations(slice(first, last), sound, matrix, right))
    return equations


def _solved(
    equations: Sequence[_Equations], ratio: Tensor, settings: PartialSettings, *, n_channels: int
) -> Tensor:
    """Amplitudes [M, C, frames], regularised by the ratio [frames, M]."""
    window = torch.hann_window(settings.window, dtype=ratio.dtype, device=ratio.device)
    energy = 0.5 * float(window.square().sum())
    amplitudes = ratio.new_zeros(ratio.shape[1], n_channels, len(ratio))
    for part in equations:
        weights = energy * ratio[part.frames][:, part.sound]
        factor = torch.linalg.cholesky(part.matrix + torch.diag_embed(weights))
        solution = torch.cholesky_solve(part.right, factor)
        amplitudes[part.sound, :, part.frames] = solution.permute(1, 2, 0)
    return amplitudes


def _over_time(amplitudes: Tensor, settings: PartialSettings, n_samples: int) -> Tensor:
    """Amplitudes [M, C, frames] of frames centred on n * hop, at every sample: [M, C, T]."""
    window = torch.hann_window(settings.window, dtype=amplitudes.dtype, device=amplitudes.device)
    kernel = window.square().view(1, 1, -1)
    kept = slice(settings.window // 2, settings.window // 2 + n_samples)
    flat = amplitudes.reshape(-1, 1, amplitudes.shape[-1])
    total, weight = (
        torch.nn.functional.conv_transpose1d(x, kernel, stride=settings.hop)[..., kept]
        for x in (flat, torch.ones_like(flat[:1]))
    )
    return (total / weight).view(*amplitudes.shape[:2], n_samples)
