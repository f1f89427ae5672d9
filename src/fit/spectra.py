"""Source spectrograms as harmonics under a smooth envelope, fitted to a mixture's spectrogram.

The paper (section III-C) names the optimisation of the source parameters on the test mixture itself
and leaves it out. Here the parameters are the coefficients of log envelopes in cosines over mel
frequency, and what is compared are spectrograms, so that every gradient is a matrix product.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..dsp.harmonic import count_harmonics, harmonic_source
from ..dsp.stft import stft
from ..errors import UmssError
from ..ranges import check_whole

# Least value of a model, relative to the mixture's mean.
_FLOOR = 1e-6


@dataclass(frozen=True)
class FitSettings:
    """How spectrograms are modelled and fitted.

    Attributes:
        domain: exponent of the magnitudes that are compared and added: 1 magnitude, 2 power.
        envelope_cosines: D, cosines over mel frequency per voice and frame.
        noise_cosines: the same for the noise that the voices share.
        envelope_smoothness: weight of the squared change of each coefficient from frame to frame.
        level_smoothness: the same for the first coefficient, a voice's level.
        noise_smoothness: the same for the noise.
        noise_level: logarithm of the noise's first level, relative to the mixture.
        stride: every how manieth frame is fitted; the coefficients of those between follow from
            their neighbours'.
        max_iterations: steps of the optimiser.
        learning_rate: of Adam, in units of the coefficients; falls to a tenth.
        tolerance: a mixture is done when ten steps change its objective by less than this share.

    Raises:
        ValueError: a setting out of range.
    """

    domain: float = 1.0
    envelope_cosines: int = 24
    noise_cosines: int = 8
    envelope_smoothness: float = 2000.0
    level_smoothness: float = 150.0
    noise_smoothness: float = 20.0
    noise_level: float = -6.0
    stride: int = 2
    max_iterations: int = 100
    learning_rate: float = 0.1
    tolerance: float = 1e-3

    def __post_init__(self) -> None:
        if not 0.0 < self.domain <= 2.0:
            raise UmssError(f"domain must lie in (0, 2], got {self.domain}")
        for name in ("envelope_cosines", "noise_cosines", "stride", "max_iterations"):
            check_whole(name, getattr(self, name), 1, 2**20)
        for name in (
            "envelope_smoothness", "level_smoothness", "noise_smoothness", "tolerance",
        ):  # fmt: skip
            if getattr(self, name) < 0:
                raise UmssError(f"{name} must not be negative, got {getattr(self, name)}")
        if self.learning_rate <= 0:
            raise UmssError(f"learning_rate must be positive, got {self.learning_rate}")


@dataclass(frozen=True)
class FittedSpectra:
    """The model of B mixtures, in the domain of the fit and in units of the mixture's mean.

    Attributes:
        voices: [B, J, F, N] spectrograms of the harmonics.
        noise: [B, F, N] what no harmonic explains.
        envelope: [B, J, D, N] coefficients of the log envelopes.
        noise_envelope: [B, D', N] coefficients of the log noise.
        divergence: [B, N] of the model from the mixture, see `compute_divergence`.
        objective: [B] divergence and smoothness at the end.
        wet: [B, J, F, N] the voices with the reverberation that they caused; None = there is none.
    """

    voices: Tensor
    noise: Tensor
    envelope: Tensor
    noise_envelope: Tensor
    divergence: Tensor
    objective: Tensor
    wet: Tensor | None = None

    def measure_powers(self, domain: float) -> tuple[Tensor, Tensor]:
        """Powers of the direct sound of the voices [B, J, F, N] and of all other sound [B, F, N].

        Args:
            domain: exponent of the magnitudes that were fitted.
        """
        voices, noise = (x.pow(2.0 / domain) for x in (self.voices, self.noise))
        if self.wet is None:
            return voices, noise
        return voices, noise + (self.wet.pow(2.0 / domain) - voices).clamp(min=0.0).sum(dim=1)


def build_mel_cosines(n_bins: int, count: int, *, rate: int) -> Tensor:
    """Build the basis of log envelopes: cosines over mel frequency, [F, count]; the first is 1.

    Column k is cos(pi k m / M) of the mel frequency m of each bin, M that of the highest bin.
    """
    hertz = torch.linspace(0.0, 0.5 * rate, n_bins, dtype=torch.float64)
    mel = torch.log1p(hertz / 700.0)
    order = torch.arange(count, dtype=torch.float64)
    return torch.cos(math.pi * order * (mel / mel[-1]).unsqueeze(-1)).float()


def compute_comb_spectra(
    f0: Tensor, n_samples: int, *, rate: int, hop: int, n_fft: int, mask_hop: int, domain: float
) -> Tensor:
    """Compute spectrograms of harmonics that all have amplitude 1.

    Args:
        f0: [B, J, frames] Hz, 0 = silent.
        n_samples: length of the signals.
        rate: sample rate in Hz.
        hop: samples per F0 frame.
        n_fft, mask_hop: STFT, samples.
        domain: exponent of the magnitudes.

    Returns:
        [B, J, F, N].
    """
    # As many times the harmonic source as it has harmonics: it divides by their number.
    amplitude = count_harmonics(f0, rate=rate, max_harmonics=101)
    comb = harmonic_source(f0, amplitude, n_samples=n_samples, hop=hop, rate=rate)
    return stft(comb, n_fft=n_fft, hop=mask_hop).abs().pow(domain)


@dataclass(frozen=True)
class Problem:
    """What is fitted: spectrograms relative to their means, frames before bins.

    Attributes:
        target: [B, N, F].
        combs: [B, J, N, F].
        basis, noise_basis: [F, D], [F, D'] of the log envelopes.
        width: [F], how many bins of a spectrogram each bin sums.
        tails: [B, N, N] of `src.fit.scene.build_tails`, None = no room.
        settings: see `FitSettings`.
    """

    target: Tensor
    combs: Tensor
    basis: Tensor
    noise_basis: Tensor
    width: Tensor
    tails: Tensor | None
    settings: FitSettings

    def reverberate(self, voices: Tensor) -> Tensor:
        """Powers of the reverberation of voices [B, J, N, F]."""
        assert self.tails is not None
        powers = voices.pow(2.0 / self.settings.domain)
        return self.tails.mT.unsqueeze(1) @ powers

    def wet(self, voices: Tensor, late: Tensor) -> tuple[Tensor, Tensor]:
        """Voices [B, J, N, F] with their reverberation, and the share of the direct power."""
        powers = voices.pow(2.0 / self.settings.domain)
        total = powers + late
        direct = powers / total.clamp(min=torch.finfo(total.dtype).tiny)
        return total.pow(0.5 * self.settings.domain), direct

    def crop(self, n_bins: int) -> Problem:
        """The problem of the lowest bins alone."""
        return replace(
            self,
            target=self.target[..., :n_bins].contiguous(),
            combs=self.combs[..., :n_bins].contiguous(),
            basis=self.basis[:n_bins],
            noise_basis=self.noise_basis[:n_bins],
            width=self.width[:n_bins],
        )

    def pool(self, first: int, size: int) -> Problem:
        """The problem of sums of `size` bins from bin `first` on; fewer bins cost less."""
        n_bins = self.target.shape[-1]
        index = torch.arange(n_bins, device=self.target.device)
        pool = torch.where(index < first, index, first + (index - first) // size)
        n_pools = int(pool[-1]) + 1

        def add(x: Tensor) -> Tensor:
            return x.new_zeros(*x.shape[:-1], n_pools).index_add_(-1, pool, x)

        width = add(self.width)
        return replace(
            self,
            target=add(self.target),
            combs=add(self.combs),
            basis=(add(self.basis.T) / width).T.contiguous(),
            noise_basis=(add(self.noise_basis.T) / width).T.contiguous(),
            width=width,
        )

    def thin(self, stride: int) -> Problem:
        """The problem of every `stride`-th frame, which costs as many times less.

        Frames overlap, so that those between say little of their own; a steady change of the
        coefficients costs as much as before.
        """
        settings = replace(
            self.settings,
            envelope_smoothness=self.settings.envelope_smoothness / stride,
            level_smoothness=self.settings.level_smoothness / stride,
            noise_smoothness=self.settings.noise_smoothness / stride,
        )
        # A frame stands for the reverberation of those that are left out, too.
        tails = None if self.tails is None else stride * self.tails[:, ::stride, ::stride]
        return replace(
            self,
            target=self.target[:, ::stride].contiguous(),
            combs=self.combs[:, :, ::stride].contiguous(),
            tails=tails,
            settings=settings,
        )

    def choose(self, index: int) -> Problem:
        """The problem of one of the mixtures."""
        one = slice(index, index + 1)
        tails = None if self.tails is None else self.tails[one]
        return replace(self, target=self.target[one], combs=self.combs[one], tails=tails)

    def explain(self, envelope: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Voices [B, J, N, F] and noise [B, N, F] of coefficients."""
        voices = torch.exp(envelope.mT @ self.basis.T).mul_(self.combs)
        return voices, torch.exp(noise.mT @ self.noise_basis.T).mul_(self.width)

    @property
    def floor(self) -> Tensor:
        """The least value [F] of a model."""
        return _FLOOR * self.width

    def cut(self, size: int) -> list[tuple[slice, Problem]]:
        """The problem in blocks of frames, which stay in the processor's cache."""
        n_frames = self.target.shape[1]
        parts = [slice(n, min(n + size, n_frames)) for n in range(0, n_frames, size)]
        return [
            (part, replace(self, target=self.target[:, part], combs=self.combs[:, :, part]))
            for part in parts
        ]

    def differentiate(
        self, envelope: Tensor, noise: Tensor, late: Tensor | None, *, measured: bool
    ) -> tuple[Tensor | None, Tensor, Tensor]:
        """Differentiate the divergence of coefficients [B, J, D, N] and [B, D', N].

        Args:
            envelope, noise: the coefficients.
            late: [B, J, N, F] powers of the reverberation; None = no room.
            measured: whether the divergence itself is wanted.

        Returns:
            The divergence [B] or None, and the gradients, shaped like the coefficients.
        """
        voices, rest = self.explain(envelope, noise)
        wet, direct = (voices, None) if late is None else self.wet(voices, late)
        model = wet.sum(dim=1).add_(rest).add_(self.floor)
        divergence = compute_divergence(self.target.mT, model.mT).sum(dim=1) if measured else None
        slope = 1.0 - self.target / model
        change = voices if direct is None else wet.mul_(direct)
        of_envelope = (change.mul_(slope.unsqueeze(1)) @ self.basis).mT
        return divergence, of_envelope, (rest.mul_(slope) @ self.noise_basis).mT

    @property
    def smoothness(self) -> Tensor:
        weights = torch.full((self.basis.shape[1], 1), self.settings.envelope_smoothness)
        weights[0] = self.settings.level_smoothness
        return weights.to(self.basis)

    def measure_roughness(self, envelope: Tensor, noise: Tensor) -> Tensor:
        """Penalty [B] on the changes of coefficients in time."""
        changes = (self.smoothness * envelope.diff(dim=-1).square()).sum(dim=(1, 2, 3))
        of_noise = noise.diff(dim=-1).square().sum(dim=(1, 2))
        return 0.5 * (changes + self.settings.noise_smoothness * of_noise)


def pose_problem(
    mixture: Tensor,
    combs: Tensor,
    settings: FitSettings,
    *,
    rate: int,
    tails: Tensor | None = None,
) -> Problem:
    """Pose the problem of `fit_spectra`."""
    tiny = torch.finfo(mixture.dtype).tiny
    size = combs.shape[-2]
    # Frames before bins: products with the basis are several times as fast.
    target = mixture / mixture.mean(dim=(1, 2), keepdim=True).clamp(min=tiny)
    combs = combs / combs.mean(dim=(1, 2, 3), keepdim=True).clamp(min=tiny)
    basis, noise_basis = (
        build_mel_cosines(size, count, rate=rate).to(mixture)
        for count in (settings.envelope_cosines, settings.noise_cosines)
    )
    target, combs = target.mT.contiguous(), combs.mT.contiguous()
    width = torch.ones_like(basis[:, 0])
    return Problem(target, combs, basis, noise_basis, width, tails, settings)


def compute_divergence(mixture: Tensor, model: Tensor) -> Tensor:
    """Compute the generalised Kullback-Leibler divergence per frame.

    Args:
        mixture: [B, F, N], not negative.
        model: [B, F, N], positive.

    Returns:
        [B, N], sum over bins of X ln(X / V) - X + V.
    """
    excess = torch.xlogy(mixture, mixture) - mixture * model.log()
    return (excess - mixture + model).sum(dim=1)
