"""How one opinion about F0 explains a mixture: scene, fitted spectra, tuned tracks, partials."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import NamedTuple, TypedDict

import torch
from torch import Tensor

from ..dsp.stft import stft
from ..threads import give_up_if_unwanted
from .descent import fit_spectra
from .partials import PartialSettings, find_partials
from .scene import (
    Scene,
    build_tails,
    count_to_cents,
    describe_nothing,
    find_scene,
    spread_lines,
)
from .spectra import FitSettings, FittedSpectra, compute_comb_spectra
from .tuning import TuningSettings, tune_tracks


class Excitation(NamedTuple):
    """What the envelopes of B mixtures multiply.

    Attributes:
        combs: [B, J, F, N] spectrograms, in the domain of the fit.
        gain: [B] by which they are louder than what `controls` sing.
        controls: parameters of a network's harmonics by name, [B, J, N, size] per frame or
            [B, J, size].
        rolled_off: whether they have the roll-off of voices already.
    """

    combs: Tensor
    gain: Tensor
    controls: dict[str, Tensor]
    rolled_off: bool


class Fit(NamedTuple):
    """The fit of B mixtures under one opinion about F0.

    Attributes:
        spectra: the fitted model.
        level: [B] mean of the combs, in the domain of the fit, of what `controls` sing.
        controls: those of `Excitation`.
    """

    spectra: FittedSpectra
    level: Tensor
    controls: dict[str, Tensor]


class Explanation(NamedTuple):
    """B mixtures as one opinion about F0 explains them.

    Attributes:
        f0: [B, J, N] Hz, tuned.
        fit: with the tracks as they were before.
        partials: [B, J, C, T] of the voices in the channels; zeros where none are looked for.
        amplitudes: [B, J, C, frames, size] of these partials (`src.fit.partials`).
        rest: [B, C, T], what they leave of the channels.
    """

    f0: Tensor
    fit: Fit
    partials: Tensor
    amplitudes: Tensor
    rest: Tensor


class _Grid(TypedDict):
    """What relates the fit's spectrograms to samples and F0 frames."""

    domain: float
    rate: int
    hop: int
    mask_hop: int


@dataclass(frozen=True)
class Explainer:
    """What explains mixtures under an opinion about F0; meaning as in `FitSeparator`.

    Attributes:
        spectra: how spectrograms are modelled and fitted.
        partials: how partials are estimated; None = not at all.
        tuning: how tracks are moved to the phases of the partials; None = they stay.
        singers_per_part: of one part for all, or of J parts; None = found.
        rooms: look for reverberation.
        rate: sample rate in Hz.
        hop: samples per F0 frame.
        n_fft: FFT size of spectrograms.
        mask_hop: their hop in samples.
    """

    spectra: FitSettings
    partials: PartialSettings | None
    tuning: TuningSettings | None
    singers_per_part: tuple[int, ...] | None
    rooms: bool
    rate: int
    hop: int
    n_fft: int
    mask_hop: int

    def compute_spectrum(self, signal: Tensor) -> Tensor:
        """Spectrogram |S|^domain that the fit explains: [..., T] to [..., F, N]."""
        magnitude = stft(signal, n_fft=self.n_fft, hop=self.mask_hop).abs()
        return magnitude.pow(self.spectra.domain)

    def excite(self, f0: Tensor, n_samples: int) -> Excitation:
        """Harmonics of amplitude 1 along tracks [B, J, N]."""
        combs = compute_comb_spectra(
            f0,
            n_samples,
            rate=self.rate,
            hop=self.hop,
            n_fft=self.n_fft,
            mask_hop=self.mask_hop,
            domain=self.spectra.domain,
        )
        return Excitation(combs, combs.new_ones(len(combs)), {}, rolled_off=False)

    def find_scene(self, spectrum: Tensor, excitation: Excitation, f0: Tensor) -> tuple[Scene, Fit]:
        """Find the scene of mixtures, and the fit in it.

        Args:
            spectrum: [B, F, N] of the mixtures (`compute_spectrum`).
            excitation: along the tracks.
            f0: [B, J, N] Hz, the tracks.

        Raises:
            UmssError: `singers_per_part` is for another number of parts.
        """
        scene = describe_nothing(f0)
        sections = self.singers_per_part is None
        if self.singers_per_part is not None:
            cents = count_to_cents(self.singers_per_part, f0.shape[1])
            scene = dataclasses.replace(scene, cents=f0.new_tensor(cents).expand(len(f0), -1))
        fit = self.fit(spectrum, excitation, scene)
        if not sections and not self.rooms:
            return scene, fit
        found = find_scene(
            spectrum,
            spread_lines(excitation.combs, scene.cents, domain=self.spectra.domain),
            fit.spectra,
            self.spectra,
            rate=self.rate,
            mask_hop=self.mask_hop,
            sections=sections,
            rooms=self.rooms,
        )
        if not sections:
            found = dataclasses.replace(found, cents=scene.cents)
        known = torch.equal(found.cents, scene.cents) and not bool(found.late.any())
        return found, fit if known else self.fit(spectrum, excitation, found)

    def fit(self, spectrum: Tensor, excitation: Excitation, scene: Scene) -> Fit:
        """Fit the model, from scratch, to spectrograms [B, F, N] of mixtures."""
        combs = spread_lines(excitation.combs, scene.cents, domain=self.spectra.domain)
        fitted = fit_spectra(
            spectrum,
            combs,
            self.spectra,
            rate=self.rate,
            rolled_off=excitation.rolled_off,
            tails=build_tails(scene, spectrum.shape[-1], frame_seconds=self.mask_hop / self.rate),
        )
        return Fit(fitted, combs.mean(dim=(1, 2, 3)) / excitation.gain, excitation.controls)

    def explain(
        self, mixture: Tensor, channels: Tensor, f0: Tensor, fit: Fit, scene: Scene
    ) -> Explanation:
        """Go on from a fit: tune its tracks, and find the partials along them.

        Args:
            mixture: [B, T].
            channels: [B, C, T] in which partials are found.
            f0: [B, J, N] Hz, the tracks.
            fit: with these tracks.
            scene: of the fit.
        """
        if self.partials is None:
            nothing = channels.new_zeros(*f0.shape[:2], *channels.shape[1:])
            return Explanation(f0, fit, nothing, nothing[..., None, :0], channels)
        give_up_if_unwanted()
        if self.tuning is not None:
            f0 = tune_tracks(mixture, f0, fit.spectra, self.tuning, **self._grid)
        found, amplitudes = find_partials(
            channels, f0, fit.spectra, self.partials, **self._grid, width=scene.cents
        )
        return Explanation(f0, fit, found, amplitudes, channels - found.sum(dim=1))

    @property
    def _grid(self) -> _Grid:
        return {
            "domain": self.spectra.domain,
            "rate": self.rate,
            "hop": self.hop,
            "mask_hop": self.mask_hop,
        }
