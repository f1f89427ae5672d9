"""Fits source spectrograms to a mixture's: levels first, then envelopes, by descent."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..dsp.control import interpolate_frames
from ..dsp.noise import rolloff_fir
from ..dsp.stft import average_around
from ..threads import give_up_if_unwanted
from .adam import Adam, differentiate_changes
from .spectra import (
    FitSettings,
    FittedSpectra,
    Problem,
    compute_divergence,
    pose_problem,
)

# Bins from so many Hz on are fitted in sums of a few.
_POOLED_FROM, _POOLED = 4000.0, 4
_BLOCK = 64  # frames
# How often levels are balanced, the factor by which they change at most, and the frames on each
# side over which that is averaged.
_UPDATES, _MOST, _AROUND = 10, 1e3, 3


def fit_spectra(
    mixture: Tensor,
    combs: Tensor,
    settings: FitSettings,
    *,
    rate: int,
    rolled_off: bool = False,
    tails: Tensor | None = None,
) -> FittedSpectra:
    """Fit envelopes and noise to the spectrogram of each mixture.

    Minimises the generalised Kullback-Leibler divergence, sum X ln(X / V) - X + V, of the model
    V = sum over voices comb * exp(envelope) + exp(noise) from the spectrogram X, plus the squared
    changes of the coefficients in time. Mixtures of a batch do not influence each other.

    Args:
        mixture: [B, F, N] spectrogram |S|^domain, not negative.
        combs: [B, J, F, N] what the envelopes multiply, in the same domain
            (`compute_comb_spectra`).
        settings: see `FitSettings`.
        rate: sample rate in Hz.
        rolled_off: the combs have their roll-off already, and begin with a flat envelope.
        tails: [B, N, N] of the room (`src.fit.scene.build_tails`), whose reverberation adds to the
            power of every voice; None = no room.
    """
    batch, n_voices, n_bins, n_frames = combs.shape
    problem = pose_problem(mixture, combs, settings, rate=rate, tails=tails)
    # Both start with the fixed roll-off of the paper's harmonics, the voices equally loud.
    taps = rolloff_fir(rate=rate).double()
    rolloff = torch.fft.rfft(taps, n=2 * (n_bins - 1)).abs().clamp(min=1e-4)
    tilt = settings.domain * rolloff.log()[:n_bins].to(mixture)
    basis, noise_basis = problem.basis, problem.noise_basis
    first = torch.zeros_like(basis[0]) if rolled_off else _solve_coefficients(tilt, basis)
    # Harmonics are as far apart as ever up there, and envelopes as smooth.
    pooled = problem.pool(round(_POOLED_FROM / rate * 2 * (n_bins - 1)), _POOLED)
    pooled = pooled.thin(settings.stride)
    n_fitted = pooled.target.shape[1]
    envelope = first[:, None].expand(batch, n_voices, -1, n_fitted).clone()
    level = (torch.exp(basis @ first) * problem.combs).sum(dim=1).mean(dim=(1, 2))
    envelope[:, :, 0] -= level.clamp(min=1e-6).log().view(-1, 1, 1)
    noise = (
        _solve_coefficients(0.5 * tilt, noise_basis)[:, None].expand(batch, -1, n_fitted).clone()
    )
    noise[:, 0] += settings.noise_level
    balance_levels(pooled, envelope, noise)
    descend(pooled, envelope, noise, settings.max_iterations, settings.learning_rate)
    envelope, noise = (
        interpolate_frames(x, hop=settings.stride, n_samples=n_frames).contiguous()
        for x in (envelope, noise)
    )
    return describe(problem, envelope, noise)


def balance_levels(problem: Problem, envelope: Tensor, noise: Tensor) -> None:
    """Give every voice and the noise the level that they need, frame by frame.

    Changes the first of the coefficients [B, J, D, N] and [B, D', N] by a few multiplicative
    updates of the divergence (Lee and Seung, "Algorithms for non-negative matrix factorization",
    NIPS 2000), averaged over neighbouring frames. The descent gets further from there, and in
    fewer steps.
    """
    voices, rest = problem.explain(envelope, noise)
    parts = torch.cat([voices, rest.unsqueeze(1)], dim=1)
    total = parts.sum(dim=-1)
    # A voice without F0 needs no level; it gets that of its neighbouring frames.
    sounds = (total > 0).to(total)
    total = total.clamp(min=torch.finfo(total.dtype).tiny)
    gain = torch.ones_like(total)
    for _ in range(_UPDATES):
        model = torch.einsum("bkn,bknf->bnf", gain, parts) + problem.floor
        wanted = torch.einsum("bknf,bnf->bkn", parts, problem.target / model) / total
        gain *= wanted.clamp(1.0 / _MOST, _MOST)
    change = average_around(sounds * gain.clamp(1.0 / _MOST, _MOST).log(), _AROUND)
    change /= average_around(sounds, _AROUND).clamp(min=1e-6)
    envelope[:, :, 0] += change[:, :-1]
    noise[:, 0] += change[:, -1]


def _solve_coefficients(target: Tensor, basis: Tensor) -> Tensor:
    """Solve basis [F, D] @ c = target [F] for c [D] by least squares."""
    # The last bits of a decomposition differ from run to run; single precision never sees them.
    return torch.linalg.lstsq(basis.double(), target.double()[:, None]).solution[:, 0].to(target)


def descend(
    problem: Problem, envelope: Tensor, noise: Tensor, iterations: int, learning_rate: float
) -> None:
    """Fit coefficients [B, J, D, N] and [B, D', N], which are written into, by Adam."""
    settings, smoothness = problem.settings, problem.smoothness
    optimisers = Adam(envelope), Adam(noise)
    active = problem.target.new_ones(len(problem.target))
    previous = torch.full_like(active, math.inf)
    late: Tensor | None = None
    parts = problem.cut(_BLOCK)
    of_envelope, of_noise = torch.empty_like(envelope), torch.empty_like(noise)
    for step in range(iterations):
        if problem.tails is not None and step % 5 == 0:
            # The reverberation follows the voices with a delay; its own gradient is left out.
            late = problem.reverberate(problem.explain(envelope, noise)[0])
        measured = step % 10 == 0
        if measured:
            give_up_if_unwanted()
        value = problem.measure_roughness(envelope, noise) if measured else previous
        for frames, part in parts:
            divergence, *slopes = part.differentiate(
                envelope[..., frames],
                noise[..., frames],
                None if late is None else late[:, :, frames],
                measured=measured,
            )
            of_envelope[..., frames], of_noise[..., frames] = slopes
            if divergence is not None:
                value = value + divergence
        if measured:
            active = active * ((previous - value).abs() > settings.tolerance * value)
            previous = value
            if not bool(active.any()):
                break
        of_envelope += smoothness * differentiate_changes(envelope)
        of_noise += settings.noise_smoothness * differentiate_changes(noise)
        fall = 0.1 + 0.45 * (1.0 + math.cos(math.pi * step / iterations))
        for optimiser, gradient in zip(optimisers, (of_envelope, of_noise), strict=True):
            optimiser.step(gradient, fall * learning_rate, active)


def describe(problem: Problem, envelope: Tensor, noise: Tensor) -> FittedSpectra:
    """What coefficients [B, J, D, N] and [B, D', N] say of a problem."""
    target = problem.target
    voices, rest = problem.explain(envelope, noise)
    wet = voices
    if problem.tails is not None:
        wet = problem.wet(voices, problem.reverberate(voices))[0]
    model = wet.sum(dim=1).add_(rest).add_(problem.floor)
    distance = compute_divergence(target.mT, model.mT)
    value = distance.sum(dim=1) + problem.measure_roughness(envelope, noise)
    heard = None if problem.tails is None else wet.mT
    return FittedSpectra(voices.mT, rest.mT, envelope, noise, distance, value, heard)
