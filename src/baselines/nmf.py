"""NMF1: score-informed non-negative matrix factorisation of the mixture's magnitude spectrogram.

Ewert & Müller, "Using score-informed constraints for NMF-based source separation" (ICASSP 2012),
with F0 tracks in place of the score as in the UMSS paper, section IV-C: templates and activations
start from the F0s, zeros stay zeros, and activations belong to the sources whose F0 made them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..dsp.stft import soft_masks, stft
from ..dsp.tracks import remove_glides, resample_f0
from ..errors import UmssError
from ..separator import MASK_POWERS, Estimate, Separator
from .pitch_model import build_pitch_model


def factorise_by_kl(
    v: Tensor,
    w: Tensor,
    h: Tensor,
    n_iterations: int,
    *,
    prior: Tensor | float = 0.0,
    fixed_iterations: int = 0,
) -> tuple[Tensor, Tensor, Tensor]:
    """Factorise V by W H, with multiplicative updates for the Kullback-Leibler divergence.

    One iteration updates H, then W (Lee & Seung 2001); neither can raise the divergence, and zeros
    of W and H stay zeros. With a prior the objective is D(V | W H) + sum_r prior D(W0_r | W_r),
    the posterior of a Poisson model with gamma-distributed templates; it does not rise either.

    Args:
        v: [B, F, N], not negative.
        w: [B, F, R] and h: [B, R, N], where to start from, not negative.
        n_iterations: number of iterations.
        prior: [B] or a number: how strongly templates are held to their start W0, whose columns
            are taken to sum to 1. It counts like activations that sum to this value.
        fixed_iterations: in the first iterations only H is updated.

    Returns:
        W, with columns that sum to 1 (or 0), H, and the objective before the first and after each
        iteration, [n_iterations + 1, B]. Bins in which W H is 0 from the start are left out of it.

    Raises:
        ValueError: shapes do not fit, negative values, or a negative number of iterations.
    """
    _check(v, w, h, n_iterations)
    weight = torch.as_tensor(prior, dtype=v.dtype, device=v.device).reshape(-1, 1, 1)
    # Far below any model value that matters, far enough above 0 for V / floor to be finite.
    floor = torch.finfo(v.dtype).tiny ** 0.5
    w, h = _normalise(w, h)
    start, model = w, w @ h
    v = torch.where(model > 0, v, 0.0)
    objective = [_compute_objective(v, model, start, w, weight, floor)]
    for i in range(n_iterations):
        gain = w.mT @ (v / model.clamp(min=floor))
        h = h * gain / w.sum(dim=1).unsqueeze(2).clamp(min=floor)
        model = w @ h
        if i >= fixed_iterations:
            numerator = w * ((v / model.clamp(min=floor)) @ h.mT) + weight * start
            total = h.sum(dim=2).unsqueeze(1) + weight
            # A template that never sounds is kept as it is.
            w = torch.where(total > floor, numerator / total.clamp(min=floor), w)
            model = w @ h
        objective.append(_compute_objective(v, model, start, w, weight, floor))
    w, h = _normalise(w, h)
    return w, h, torch.stack(objective)


def compute_kl_divergence(v: Tensor, model: Tensor, *, floor: float) -> Tensor:
    """Generalised Kullback-Leibler divergence, summed over the last two axes.

    Args:
        v: [..., F, N], not negative.
        model: [..., F, N], not negative.
        floor: lower values of the model count as this one, so that the result is finite.

    Returns:
        [...], the sum of v ln(v / model) - v + model.
    """
    return (torch.xlogy(v, v / model.clamp(min=floor)) - v + model).sum(dim=(-2, -1))


class Nmf1Separator(Separator):
    """NMF1: KL-NMF from F0 tracks, then soft masks over the reconstructions of the sources.

    Args:
        mask: "magnitude" or "power".
        n_iterations: of `factorise_by_kl`.
        fixed_iterations: number of them that leave the templates alone.
        prior_frames: how strongly templates keep to their initial form: as if each had already
            been heard in that many frames of a singer of average level. 0 is the published method,
            whose templates are free inside their bands.
        band_semitones, band_bins, shape, decay, pitch_tolerance, frame_tolerance, min_hz,
            per_source: see `src.baselines.pitch_model.build_pitch_model`.
        floor: each source's frames get this share of their mean magnitude in every bin, so that
            bins which no harmonic explains are shared by level. 0 leaves them to the residual.

    Raises:
        ValueError: settings out of range.
    """

    def __init__(
        self,
        *,
        mask: str = "magnitude",
        n_iterations: int = 10,
        fixed_iterations: int = 2,
        prior_frames: float = 10.0,
        band_semitones: float = 0.1,
        band_bins: float = 2.0,
        shape: str = "lobe",
        decay: float = 1.0,
        pitch_tolerance: float = 0.1,
        frame_tolerance: int = 2,
        min_hz: float = 60.0,
        per_source: bool = False,
        floor: float = 1e-3,
    ) -> None:
        super().__init__(mask=mask)
        if min(n_iterations, fixed_iterations, prior_frames, floor) < 0:
            raise UmssError(
                "n_iterations, fixed_iterations, prior_frames and floor must not be negative; got "
                f"{n_iterations}, {fixed_iterations}, {prior_frames} and {floor}"
            )
        self.n_iterations = n_iterations
        self.fixed_iterations = fixed_iterations
        self.prior_frames = prior_frames
        self.band_semitones = band_semitones
        self.band_bins = band_bins
        self.shape = shape
        self.decay = decay
        self.pitch_tolerance = pitch_tolerance
        self.frame_tolerance = frame_tolerance
        self.min_hz = min_hz
        self.per_source = per_source
        self.floor = floor

    def estimate(
        self, mixture: Tensor, f0: Tensor, seed: Tensor, sources: Tensor | None
    ) -> Estimate:
        magnitude = stft(mixture, n_fft=self.n_fft, hop=self.mask_hop).abs()
        peak = magnitude.amax(dim=(1, 2), keepdim=True)
        magnitude = magnitude / peak.masked_fill(peak == 0, 1.0)
        reconstructed = self.reconstruct(magnitude, f0.to(magnitude))
        if self.floor:
            level = reconstructed.mean(dim=2, keepdim=True)
            reconstructed = reconstructed + self.floor * level
        return Estimate(soft_masks(reconstructed, power=MASK_POWERS[self.mask]))

    def reconstruct(self, magnitude: Tensor, f0: Tensor) -> Tensor:
        """Magnitude spectrograms of the sources.

        Shape:
            - magnitude: [B, F, N], the mixture's
            - f0: [B, J, M] on the separator's F0 frames
            - output: [B, J, F, N]
        """
        n_sources, n_frames = f0.shape[1], magnitude.shape[-1]
        f0 = remove_glides(f0, min_hz=self.min_hz)
        start = build_pitch_model(
            resample_f0(f0, n_frames, hop=self.hop, frame_hop=self.mask_hop),
            n_fft=self.n_fft,
            rate=self.rate,
            band_semitones=self.band_semitones,
            band_bins=self.band_bins,
            shape=self.shape,
            decay=self.decay,
            pitch_tolerance=self.pitch_tolerance,
            frame_tolerance=self.frame_tolerance,
            min_hz=self.min_hz,
            per_source=self.per_source,
        )
        frame_level = magnitude.sum(dim=(1, 2)) / (n_frames * n_sources)
        templates, activations, _ = factorise_by_kl(
            magnitude,
            start.templates,
            start.activations,
            self.n_iterations,
            prior=self.prior_frames * frame_level,
            fixed_iterations=self.fixed_iterations,
        )
        return templates.unsqueeze(1) @ (start.shares * activations.unsqueeze(1))


def _normalise(w: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
    """The same product with columns of W that sum to 1; a column of zeros stays."""
    total = w.sum(dim=1, keepdim=True)
    return w / total.masked_fill(total == 0, 1.0), h * total.mT


def _compute_objective(
    v: Tensor, model: Tensor, start: Tensor, w: Tensor, weight: Tensor, floor: float
) -> Tensor:
    held = weight.flatten() * compute_kl_divergence(start, w, floor=floor)
    return compute_kl_divergence(v, model, floor=floor) + held


def _check(v: Tensor, w: Tensor, h: Tensor, n_iterations: int) -> None:
    fits = v.ndim == w.ndim == h.ndim == 3 and (
        w.shape[:2] == v.shape[:2] and h.shape == (v.shape[0], w.shape[2], v.shape[2])
    )
    if not fits:
        raise UmssError(
            "V, W and H must be [B, F, N], [B, F, R] and [B, R, N]; got "
            f"{list(v.shape)}, {list(w.shape)} and {list(h.shape)}"
        )
    if n_iterations < 0:
        raise UmssError(f"n_iterations must not be negative, got {n_iterations}")
    for name, values in (("V", v), ("W", w), ("H", h)):
        # Also false for NaN.
        if not bool((values >= 0).all()):
            raise UmssError(f"{name} must hold no negative values and no NaN")
