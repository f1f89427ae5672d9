"""F0 tracks moved to where the phases of the partials are, of all voices at once.

A track that is off by delta Hz turns the phase of partial h by 2 pi h delta tau within a window,
tau seconds from its middle. Where a least-squares frame (`src.fit.partials`) has found the partials
under the given tracks, the harmonic source's derivative with respect to F0 says what such a turn
adds to them, so that delta follows together with all amplitudes: a step of Gauss and Newton.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .sines import (
    Frames,
    Sines,
    SineSettings,
    build_sines,
    cut_frames,
    estimate_surroundings,
    find_nearest_frames,
    place_frames,
    thin,
)
from .spectra import FittedSpectra

# Cents by which a track is moved at most.
_REACH = 40.0


@dataclass(frozen=True)
class TuningSettings(SineSettings):
    """How tracks are tuned on the phases.

    Attributes:
        window, hop, highest, uncertainty: see `SineSettings`.
        deviation: expected error of the tracks, in cents (standard deviation of a prior around
            the given F0). The larger, the further a track moves on the same evidence.

    Raises:
        ValueError: a setting out of range.
    """

    window: int = 2048
    hop: int = 512
    deviation: float = 4.0

    section = "tuning"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_positive("deviation")


def tune_tracks(
    mixture: Tensor,
    f0: Tensor,
    fitted: FittedSpectra,
    settings: TuningSettings,
    *,
    domain: float,
    rate: int,
    hop: int,
    mask_hop: int,
) -> Tensor:
    """Move tracks to where the phases of their partials are, by at most 40 cents.

    In every frame the offsets delta of the J tracks and the amplitudes a of the sines S minimise
    |w (x - S a - D delta)|^2 + sum lambda a^2 + sum r (delta / sigma)^2, where D is the derivative
    of S a with respect to F0, lambda as in `src.fit.partials.estimate_partials`, r the power of
    w (x - S a), and sigma the deviation in Hz.

    Args:
        mixture: [B, T].
        f0: [B, J, N] Hz, 0 = silent.
        fitted: the mixtures as explained by these F0s.
        settings: see `TuningSettings`.
        domain: exponent of the magnitudes that were fitted.
        rate: sample rate in Hz.
        hop: samples per F0 frame.
        mask_hop: samples per frame of the fit.

    Returns:
        [B, J, N], silent where `f0` is.
    """
    n_samples = mixture.shape[-1]
    middle = place_frames(n_samples, settings.hop, mixture.device)
    weights = _weigh_frames(f0, len(middle), settings, hop=hop)
    nearest = find_nearest_frames(middle, hop, f0.shape[-1])
    powers = fitted.measure_powers(domain)
    factor = settings.choose_factor(rate, hop)
    coarse = settings.thin(factor)
    low = thin(mixture, factor)
    # What is not in the samples that remain is no partial either.
    beyond = _measure_power(mixture, len(middle), settings)
    beyond = (beyond - _measure_power(low, len(middle), coarse)).clamp(min=0.0)
    results = []
    for heard, high, tracks, voices, noise in zip(low, beyond, f0, *powers, strict=True):
        sines = build_sines(
            tracks,
            middle,
            n_samples,
            rate=rate,
            hop=hop,
            highest=settings.highest,
            factor=factor,
        )
        uncertainty = torch.full_like(middle, settings.uncertainty, dtype=heard.dtype)
        ratio = estimate_surroundings(
            sines, (voices, noise), middle, uncertainty, rate=rate, mask_hop=mask_hop
        )
        deviation = (2.0 ** (settings.deviation / 1200.0) - 1.0) * tracks[:, nearest]
        offsets = torch.zeros_like(deviation)
        for frames in cut_frames(
            heard[None], sines.signals, len(middle), window=coarse.window, hop=coarse.hop
        ):
            if bool(frames.sound.any()):
                offsets[:, frames.where] = _solve_offsets(
                    frames,
                    sines,
                    ratio[frames.where],
                    deviation[:, frames.where],
                    high[frames.where],
                    rate=rate,
                    factor=factor,
                )
        results.append(tracks + torch.where(tracks > 0, offsets @ weights, 0.0))
    reach = 2.0 ** (_REACH / 1200.0)
    return torch.stack(results).clamp(min=f0 / reach, max=f0 * reach)


def _measure_power(signal: Tensor, n_frames: int, settings: TuningSettings) -> Tensor:
    """Mean power of signals [..., T] in least-squares frames: [..., frames]."""
    window, hop = settings.window, settings.hop
    weights = torch.hann_window(window, dtype=signal.dtype, device=signal.device).square()
    margin = (window // 2, (n_frames - 1) * hop + window - window // 2 - signal.shape[-1])
    padded = torch.nn.functional.pad(signal.square(), margin)
    return padded.unfold(-1, window, hop) @ (weights / weights.sum())


def _solve_offsets(
    frames: Frames,
    sines: Sines,
    ratio: Tensor,
    deviation: Tensor,
    beyond: Tensor,
    *,
    rate: int,
    factor: int,
) -> Tensor:
    """Solve for the offsets [J, frames] in Hz of the tracks in a few frames.

    Args:
        frames: windowed recording and sines of these frames.
        sines: all M sines.
        ratio: [frames, M] relative power around each partial, see `estimate_surroundings`.
        deviation: [J, frames] expected error in Hz.
        beyond: [frames] power of what the recording has besides.
        rate: sample rate of the recording in Hz.
        factor: samples for which one of the frames' stands.
    """
    columns, heard = frames.columns, frames.heard
    window = columns.shape[-1]
    energy = torch.hann_window(window, dtype=columns.dtype, device=columns.device).square().sum()
    root = torch.linalg.cholesky(
        columns @ columns.mT + torch.diag_embed(0.5 * energy * ratio[:, frames.sound])
    )
    amplitudes = torch.cholesky_solve(columns @ heard.mT, root)
    left = heard - amplitudes.mT @ columns

    # d/dphi of a cos(h phi) + b sin(h phi) is h b cos(h phi) - h a sin(h phi).
    of_all = torch.zeros_like(ratio)
    of_all[:, frames.sound] = amplitudes[..., 0]
    turned = (of_all[:, sines.other] * sines.order)[:, frames.sound]
    whose = sines.voice[frames.sound] == torch.arange(len(deviation)).to(sines.voice)[:, None]
    seconds = (torch.arange(window, device=columns.device) - window // 2).to(columns)
    seconds *= factor / rate
    derivative = (turned.unsqueeze(1) * whose) @ columns * (2.0 * math.pi * seconds)

    # The amplitudes are eliminated; what remains is J equations per frame.
    shared = columns @ derivative.mT
    matrix = derivative @ derivative.mT - shared.mT @ torch.cholesky_solve(shared, root)
    power = left.square().sum(dim=-1) / energy + beyond.unsqueeze(-1)
    # All products of columns are as many times smaller as there are fewer samples.
    penalty = power.T / factor / deviation.square().clamp(min=1e-6)
    tiny = torch.finfo(matrix.dtype).tiny
    matrix = matrix + torch.diag_embed(penalty.T.clamp(min=tiny**0.5))
    offsets: Tensor = torch.linalg.solve(matrix.double(), (derivative @ left.mT).double())
    return offsets[..., 0].T.to(columns)


def _weigh_frames(f0: Tensor, n_frames: int, settings: TuningSettings, *, hop: int) -> Tensor:
    """Weigh least-squares frames for every frame of F0, [frames, N] with columns that sum to 1.

    The weight is the squared Hann window of a least-squares frame at the middle of the F0 frame.
    """
    place = torch.arange(f0.shape[-1], device=f0.device) * hop
    middle = torch.arange(n_frames, device=f0.device) * settings.hop
    distance = (place - middle.unsqueeze(-1)).abs() / settings.window
    shares = torch.cos(math.pi * distance.clamp(max=0.5)).pow(4).to(f0)
    return shares / shares.sum(dim=0)
