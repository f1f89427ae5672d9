"""Partials as sines along F0 tracks, and how strong a fit expects each of them to be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import torch
from torch import Tensor
from torchaudio.functional import resample

from ..dsp.harmonic import harmonic_phase, interpolate_f0
from ..dsp.stft import check_hop
from ..errors import UmssError

# Frames per block: their equations are set up at once, for the sines that sound in any of them.
_BLOCK = 16
# Bounds of the relative power around a partial, so that all equations can be solved.
_LEAST, _MOST = 1e-6, 1e6
# Hz; a track near zero would have any number of partials.
_LOWEST = 60.0
# Samples are left out as long as so many times the highest partial remain; the filter then keeps
# all partials, and nothing that would be taken for one, to 80 dB.
_ENOUGH = 2.5
_ROLLOFF, _ZEROS, _BETA = 0.97, 32, 9.0
# Cents: a line as wide as this is twice as uncertain as that of one singer.
_WIDE = 5.0


@dataclass(frozen=True)
class SineSettings:
    """How the partials of least-squares frames are found.

    Attributes:
        window: length of the frames, samples.
        hop: their distance, samples.
        highest: Hz; partials above are left out.
        uncertainty: power of what the fit does not know about, relative to its own.

    Raises:
        ValueError: a setting out of range.
    """

    window: int
    hop: int
    highest: float = 1500.0
    uncertainty: float = 0.05

    section: ClassVar[str] = "sines"

    def __post_init__(self) -> None:
        check_hop(self.section, self.hop, self.window, name="window")
        self.require_positive("highest", "uncertainty")

    def require_positive(self, *names: str) -> None:
        """Raise a ValueError that names the first of these settings that is not positive."""
        for name in names:
            if getattr(self, name) <= 0:
                raise UmssError(
                    f"{self.section}.{name} must be positive, got {getattr(self, name)}"
                )

    def choose_factor(self, rate: int, *hops: int) -> int:
        """Choose how many samples one stands for: partials are slow, and fewer samples do.

        Args:
            rate: sample rate in Hz.
            hops: of other frames that must lie on samples that remain.
        """
        for factor in (16, 8, 4, 2):
            even = all(size % factor == 0 for size in (self.window, self.hop, *hops))
            if even and rate >= factor * _ENOUGH * self.highest:
                return factor
        return 1

    def thin(self, factor: int) -> Self:
        """The same frames of signals of which every `factor`-th sample is kept."""
        return replace(self, window=self.window // factor, hop=self.hop // factor)


def thin(signal: Tensor, factor: int) -> Tensor:
    """Low-pass signals [..., T] and keep every `factor`-th sample."""
    return resample(
        signal,
        factor,
        1,
        lowpass_filter_width=_ZEROS,
        rolloff=_ROLLOFF,
        resampling_method="sinc_interp_kaiser",
        beta=_BETA,
    )


@dataclass(frozen=True)
class Frames:
    """A few least-squares frames of a recording, under a Hann window w.

    Attributes:
        where: the frames, as a slice of all frames.
        sound: [M] bool, the m of all M sines that sound in these frames.
        columns: [frames, m, window] these sines, times w.
        heard: [frames, C, window] the recording, times w.
    """

    where: slice
    sound: Tensor
    columns: Tensor
    heard: Tensor


@dataclass(frozen=True)
class Sines:
    """Cosines and sines of the partials of one mixture.

    Attributes:
        signals: [M, samples], zero where the voice is silent or the partial too high.
        voice: [M] index of the voice that each belongs to.
        order: [M] number of the partial, 1 = F0; positive for cosines, negative for sines.
        other: [M] index of the sine that belongs to a cosine, and of the cosine to a sine.
        frequency: [M, frames] Hz, in the middle of the least-squares frames.
    """

    signals: Tensor
    voice: Tensor
    order: Tensor
    other: Tensor
    frequency: Tensor

    def thin(self, factor: int) -> Sines:
        """These sines, every `factor`-th sample of them."""
        return replace(self, signals=self.signals[:, ::factor])

    def find_columns(self, highest: float) -> Tensor:
        """Find the columns [M] of a table of cosines and then sines of all possible partials."""
        sine = torch.where(self.order < 0, count_partials(highest), 0)
        return self.order.abs() - 1 + sine


def count_partials(highest: float) -> int:
    """Count the partials P below `highest` Hz that the lowest track may have."""
    return int(highest / _LOWEST)


def place_frames(n_samples: int, hop: int, device: torch.device) -> Tensor:
    """Place frames over a recording: [frames] their middle samples, every `hop` up to its end."""
    return torch.arange(0, n_samples + hop - 1, hop, device=device).clamp(max=n_samples - 1)


def find_nearest_frames(middle: Tensor, hop: int, n_frames: int) -> Tensor:
    """Find, of frames centred on samples n * hop, the ones nearest to the samples `middle`."""
    return (middle / hop).round().long().clamp(max=n_frames - 1)


def build_sines(
    f0: Tensor,
    middle: Tensor,
    n_samples: int,
    *,
    rate: int,
    hop: int,
    highest: float,
    factor: int = 1,
) -> Sines:
    """Build cosines and sines of all partials below `highest` Hz of F0 tracks.

    Args:
        f0: [J, N] Hz, 0 = silent.
        middle: [frames] of the least-squares frames, samples.
        n_samples: T.
        rate: sample rate in Hz.
        hop: samples per F0 frame.
        highest: Hz.
        factor: every how manieth sample is kept.
    """
    kept = slice(None, None, factor)
    n_kept = -(-n_samples // factor)
    signals, frequency = [f0.new_zeros(0, n_kept)], [f0.new_zeros(0, len(middle))]
    voice: list[int] = []
    orders: list[int] = []
    other: list[int] = []
    place = torch.arange(n_samples, device=f0.device, dtype=torch.float64)[kept] / hop
    nearest = place.round().long().clamp(max=f0.shape[-1] - 1)
    for j, track in enumerate(f0.double()):
        if not bool((track > 0).any()):
            continue
        active = (track > 0)[nearest]
        along = interpolate_f0(_bridge_gaps(track), hop=hop, n_samples=n_samples)
        count = int(highest / max(_LOWEST, float(track[track > 0].min())))
        order = torch.arange(1, count + 1, dtype=torch.float64, device=f0.device).unsqueeze(-1)
        phase = harmonic_phase(along, rate=rate)[kept].to(f0)
        # Powers of e^(i phase), one product each, in place of a cosine and a sine.
        partial = torch.polar(torch.ones_like(phase), phase).expand(count, -1).cumprod(dim=0)
        sounds = active & (order * along[kept] < highest)
        signals += [x * sounds for x in (partial.real, partial.imag)]
        frequency += 2 * [(order * along[middle]).to(f0)]
        cosines = range(len(voice), len(voice) + count)
        other += [*(i + count for i in cosines), *cosines]
        voice += 2 * count * [j]
        orders += [*range(1, count + 1), *range(-1, -count - 1, -1)]
    whose, number, partner = (
        torch.tensor(x, dtype=torch.int64, device=f0.device) for x in (voice, orders, other)
    )
    return Sines(torch.cat(signals), whose, number, partner, torch.cat(frequency))


def cut_frames(
    channels: Tensor, sines: Tensor, n_frames: int, *, window: int, hop: int
) -> Iterator[Frames]:
    """Cut channels [C, T] and sines [M, T] into windowed frames, one block of frames at a time."""
    hann = torch.hann_window(window, dtype=sines.dtype, device=sines.device)
    margin = (window // 2, (n_frames - 1) * hop + window - window // 2 - sines.shape[-1])
    padded = torch.nn.functional.pad(sines, margin)
    heard = torch.nn.functional.pad(channels, margin)
    for first in range(0, n_frames, _BLOCK):
        last = min(first + _BLOCK, n_frames)
        stretch = slice(first * hop, (last - 1) * hop + window)
        sound = padded[:, stretch].any(dim=-1)
        columns, target = (
            x.unfold(-1, window, hop).transpose(0, 1) * hann
            for x in (padded[sound, stretch], heard[:, stretch])
        )
        yield Frames(slice(first, last), sound, columns, target)


def _bridge_gaps(track: Tensor) -> Tensor:
    """A track [N] whose silences are bridged by straight lines, and held at both ends."""
    frames = torch.arange(len(track), device=track.device)
    known = torch.nonzero(track > 0)[:, 0]
    after = torch.searchsorted(known, frames).clamp(max=len(known) - 1)
    before = (torch.searchsorted(known, frames, right=True) - 1).clamp(min=0)
    left, right = known[before], known[after]
    share = (frames - left) / (right - left).clamp(min=1)
    return track[left] + share.clamp(0.0, 1.0) * (track[right] - track[left])


def estimate_surroundings(
    sines: Sines,
    fitted: tuple[Tensor, Tensor],
    middle: Tensor,
    uncertainty: Tensor,
    *,
    rate: int,
    mask_hop: int,
    width: Tensor | None = None,
) -> Tensor:
    """Estimate the power of everything else around each partial, relative to the partial's power.

    Args:
        sines: M cosines and sines.
        fitted: powers of the voices, [J, F, N], and of the noise, [F, N].
        middle: [frames] of the least-squares frames, samples.
        uncertainty: [frames] power of what the fit does not know about, relative to its own.
        rate: sample rate in Hz.
        mask_hop: samples per frame of the fit.
        width: [J] cents by which the singers of a part scatter, None = one singer a part. The wider
            a line, the less of it is a sine, and the larger the uncertainty.

    Returns:
        [frames, M].
    """
    frame = find_nearest_frames(middle, mask_hop, fitted[1].shape[-1])
    voices, noise = (x[..., frame] for x in fitted)
    n_bins = len(noise)
    bins = (sines.frequency * (2 * (n_bins - 1) / rate)).round().long().clamp(1, n_bins - 2)
    column = torch.arange(len(middle), device=noise.device)
    everything = (voices.sum(dim=0) + noise)[bins, column]
    if width is not None:
        everything = everything * (1.0 + (width / _WIDE).square())[sines.voice].unsqueeze(-1)
    around = noise[bins, column] + uncertainty * everything
    # The top of the partial may be a bin beside.
    tops = [voices[sines.voice.unsqueeze(-1), bins + k, column] for k in (-1, 0, 1)]
    top = torch.stack(tops).amax(dim=0)
    return (around / top.clamp(min=torch.finfo(top.dtype).tiny)).clamp(_LEAST, _MOST).T
