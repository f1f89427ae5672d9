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

from ..dsp.stft import average_around, stft
from ..errors import UmssError
from .sines import (
    Sines,
    SineSettings,
    build_sines,
    count_partials,
    cut_frames,
    estimate_surroundings,
    find_nearest_frames,
    place_frames,
    thin,
)
from .spectra import FittedSpectra

# Bounds of the second uncertainty, and the radius (frames of the spectrogram) of the average that
# it is computed from.
_UNCERTAINTIES, _AROUND = (0.01, 100.0), 4


@dataclass(frozen=True)
class PartialSettings(SineSettings):
    """How partials are estimated.

    Attributes:
        window, hop, highest: see `SineSettings`; F0 may move in a window, levels do not. Partials
            above `highest` are left to the masks.
        uncertainty: power of what the fit does not know about, relative to the fitted power, in
            the first of two estimates.
        left: factor of the second estimate, in which the uncertainty is this factor times the
            share of the recording's energy that remains when the partials of the first estimate
            are subtracted. 0 = there is no second estimate.

    Raises:
        ValueError: a setting out of range.
    """

    window: int = 4096
    hop: int = 1024
    left: float = 0.3

    section = "partials"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.left < 0:
            raise UmssError(f"partials.left={self.left} must not be negative")


@dataclass(frozen=True)
class _Equations:
    """Normal equations S^T S a = S^T x of a few frames, without regularisation.

    Attributes:
        frames: the frames, as a slice of all frames.
        sound: [M] bool, the m of all M sines that sound in these frames.
        matrix: [frames, m, m], S^T S.
        right: [frames, m, C], S^T x for C channels.
    """

    frames: slice
    sound: Tensor
    matrix: Tensor
    right: Tensor


def estimate_partials(
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
    """Estimate the voices' partials in recordings, as signals.

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
    return find_partials(
        channels, f0, fitted, settings, domain=domain, rate=rate, hop=hop, mask_hop=mask_hop
    )[0]


def find_partials(
    channels: Tensor,
    f0: Tensor,
    fitted: FittedSpectra,
    settings: PartialSettings,
    *,
    domain: float,
    rate: int,
    hop: int,
    mask_hop: int,
    width: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """As `estimate_partials`; also the amplitudes, [B, J, C, frames, 2 P], see `sing_partials`.

    Args:
        width: [B, J] cents by which the singers of a part scatter; None = one singer a part.
    """
    n_samples = channels.shape[-1]
    middle = place_frames(n_samples, settings.hop, channels.device)
    factor = settings.choose_factor(rate, hop, mask_hop)
    coarse = settings.thin(factor)
    sources = channels.new_zeros(len(f0), f0.shape[1], *channels.shape[1:])
    powers = fitted.measure_powers(domain)
    n_columns = 2 * count_partials(settings.highest)
    tables = channels.new_zeros(*sources.shape[:3], len(middle), n_columns)
    widths = len(f0) * [None] if width is None else width
    for heard, tracks, voices, noise, scatter, result, table in zip(
        thin(channels, factor), f0, *powers, widths, sources, tables, strict=True
    ):
        sines = build_sines(tracks, middle, n_samples, rate=rate, hop=hop, highest=settings.highest)
        if not len(sines.voice):
            continue
        few = sines.thin(factor)
        equations = _build_equations(heard, few.signals, len(middle), coarse)
        uncertainty = torch.full_like(middle, settings.uncertainty, dtype=heard.dtype)
        amplitudes = heard.new_zeros(len(sines.voice), len(heard), len(middle))
        for again in (False, True) if settings.left else (False,):
            if again:
                rest = heard - _sum_sines(few, amplitudes, coarse, len(result)).sum(dim=0)
                share = measure_share_left(
                    rest,
                    heard,
                    settings.highest,
                    rate=rate / factor,
                    hop=mask_hop // factor,
                    around=_AROUND,
                )
                frame = find_nearest_frames(middle, mask_hop, len(share))
                uncertainty = (settings.left * share).clamp(*_UNCERTAINTIES)[frame]
            ratio = estimate_surroundings(
                sines,
                (voices, noise),
                middle,
                uncertainty,
                rate=rate,
                mask_hop=mask_hop,
                width=scatter,
            )
            amplitudes = _solve_amplitudes(equations, ratio, coarse, n_channels=len(heard))
        result.copy_(_sum_sines(sines, amplitudes, settings, len(result)))
        table[sines.voice, :, :, sines.find_columns(settings.highest)] = amplitudes
    return sources, tables


def sing_partials(
    f0: Tensor,
    amplitudes: Tensor,
    n_samples: int,
    settings: PartialSettings,
    *,
    rate: int,
    hop: int,
) -> Tensor:
    """Sing the partials that `find_partials` found, once more: [B, J, T].

    Args:
        f0: [B, J, N] Hz, 0 = silent.
        amplitudes: [B, J, frames, 2 P]: of the cosines of partials 1 to P, then of the sines; at
            the frames of `place_frames`.
        n_samples: T.
        settings: see `PartialSettings`.
        rate: sample rate in Hz.
        hop: samples per F0 frame.
    """
    middle = place_frames(n_samples, settings.hop, f0.device)
    sources = f0.new_zeros(*f0.shape[:2], n_samples)
    for tracks, table, result in zip(f0, amplitudes, sources, strict=True):
        sines = build_sines(tracks, middle, n_samples, rate=rate, hop=hop, highest=settings.highest)
        if len(sines.voice):
            own = table[sines.voice, :, sines.find_columns(settings.highest)].unsqueeze(1)
            result.copy_(_sum_sines(sines, own, settings, len(result))[:, 0])
    return sources


def _sum_sines(
    sines: Sines, amplitudes: Tensor, settings: PartialSettings, n_voices: int
) -> Tensor:
    """Multiply sines by their amplitudes [M, C, frames] and sum those of each voice: [J, C, T]."""
    hop, n_samples = settings.hop, sines.signals.shape[-1]
    n_frames = amplitudes.shape[-1]
    # Every block of `hop` samples lies in the same few windows, each with another part of w^2.
    n_parts = -(-settings.window // hop)
    n_blocks = n_frames + n_parts - 1
    weights = torch.hann_window(settings.window, dtype=amplitudes.dtype, device=amplitudes.device)
    padding = n_parts * hop - settings.window
    parts = torch.nn.functional.pad(weights.square(), (0, padding)).view(n_parts, hop)
    before = settings.window // 2
    blocks = torch.nn.functional.pad(sines.signals, (before, n_blocks * hop - before - n_samples))
    voices = torch.arange(n_voices, device=sines.voice.device)
    own = amplitudes * (sines.voice == voices.unsqueeze(-1))[..., None, None]

    def gather_around(x: Tensor) -> Tensor:
        """Of [..., frames] those in whose windows a block lies: [..., blocks, parts]."""
        # Part p of the window around frame n is block n + p.
        return torch.nn.functional.pad(x, 2 * [n_parts - 1]).unfold(-1, n_parts, 1).flip(-1)

    levels = gather_around(own).permute(3, 0, 2, 4, 1).flatten(1, 3)
    summed = levels @ blocks.view(-1, n_blocks, hop).transpose(0, 1)
    summed = (summed.view(n_blocks, n_voices, -1, n_parts, hop) * parts).sum(dim=-2)
    total = gather_around(torch.ones_like(amplitudes[0, 0])) @ parts
    sung = (summed.permute(1, 2, 0, 3) / total).flatten(-2)
    return sung[..., before : before + n_samples]


def measure_share_left(
    rest: Tensor, whole: Tensor, highest: float, *, rate: float, hop: int, around: int = 0
) -> Tensor:
    """Measure which share of a recording's energy below `highest` Hz its rest has, over time.

    Args:
        rest: [..., C, T] the channels minus what was found in them; leading dimensions broadcast.
        whole: [..., C, T] the channels.
        highest: Hz.
        rate: sample rate in Hz.
        hop: distance of the frames, samples.
        around: radius in frames of the averages of both energies.

    Returns:
        [..., N], frame n centred on sample n * hop; 0 to 1 unless the rest is louder.
    """
    left, all_ = (
        average_around(_measure_energy_below(x, highest, rate=rate, hop=hop), around)
        for x in (rest, whole)
    )
    return left / all_.clamp(min=torch.finfo(all_.dtype).tiny)


def _measure_energy_below(signal: Tensor, highest: float, *, rate: float, hop: int) -> Tensor:
    """Energy of signals [..., C, T] below `highest` Hz, of all channels, at n * hop: [..., N]."""
    n_fft = 4 * hop
    spectrum = stft(signal, n_fft=n_fft, hop=hop)[..., : 1 + round(highest / rate * n_fft), :]
    return spectrum.abs().square().sum(dim=(-3, -2))


def _build_equations(
    channels: Tensor, sines: Tensor, n_frames: int, settings: PartialSettings
) -> list[_Equations]:
    """Set up the equations of the amplitudes of sines [M, T] in channels [C, T]."""
    return [
        _Equations(
            part.where,
            part.sound,
            part.columns @ part.columns.mT,
            part.columns @ part.heard.mT,
        )
        for part in cut_frames(channels, sines, n_frames, window=settings.window, hop=settings.hop)
    ]


def _solve_amplitudes(
    equations: Sequence[_Equations], ratio: Tensor, settings: PartialSettings, *, n_channels: int
) -> Tensor:
    """Solve for the amplitudes [M, C, frames], regularised by the ratio [frames, M].

    The penalty on a squared amplitude is its ratio (`estimate_surroundings`) times the energy of a
    sine under the window.
    """
    window = torch.hann_window(settings.window, dtype=ratio.dtype, device=ratio.device)
    energy = 0.5 * float(window.square().sum())
    amplitudes = ratio.new_zeros(ratio.shape[1], n_channels, len(ratio))
    for part in equations:
        weights = energy * ratio[part.frames][:, part.sound]
        factor = torch.linalg.cholesky(part.matrix + torch.diag_embed(weights))
        solution = torch.cholesky_solve(part.right, factor)
        amplitudes[part.sound, :, part.frames] = solution.permute(1, 2, 0)
    return amplitudes
