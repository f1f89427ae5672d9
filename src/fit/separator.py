"""`separator=fit`: sources by models that are fitted to the mixture itself."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Sequence
from typing import Any, Literal, TypedDict

import numpy as np
import torch
from torch import Tensor

from ..dsp.control import interpolate_frames
from ..dsp.spatial import PlaceSettings, separate_by_place
from ..dsp.stft import average_around, soft_masks
from ..dsp.tracks import remove_glides
from ..errors import UmssError
from ..f0.retune import retune
from ..separator import MASK_POWERS, Separation, Separator
from .explaining import Excitation, Explainer, Explanation
from .hypotheses import F0Opinions, weigh_opinions
from .parameters import gather_parameters, mix_amplitudes
from .partials import PartialSettings, measure_share_left
from .rendering import FitRenderer
from .scene import check_counts
from .spectra import FitSettings, FittedSpectra
from .together import share_what_both_sing
from .tuning import TuningSettings

# Frozen: what every separator begins with can be shared.
_PARTIALS, _TUNING, _SPECTRA = PartialSettings(), TuningSettings(), FitSettings()
_PLACES = PlaceSettings()


class FitOptions(TypedDict, total=False):
    """Options of `FitSeparator`, for subclasses that hand them on; defaults and meaning there."""

    opinions: F0Opinions | Literal["default"] | None
    evidence: float
    residual_evidence: float
    doubt: float
    evidence_frames: int
    trust: float
    retune: bool
    partials: PartialSettings | None
    tuning: TuningSettings | None
    singers_per_part: int | Sequence[int] | None
    rooms: bool
    places: PlaceSettings | None
    spectra: FitSettings
    mask: str
    n_fft: int
    mask_hop: int


class FitSeparator(Separator):
    """Harmonics under smooth envelopes, fitted to each mixture.

    With `partials`, the voices' partials are estimated as sines and subtracted from the mixture
    first; masks then share out the rest among the voices (`src.fit.partials`). With `opinions`, the
    mixture is also explained with other F0 tracks than the given ones, and the results are averaged
    (`src.fit.hypotheses`).

    Args:
        opinions: where other F0 tracks come from; "default" = `F0Opinions()`; None = the given
            tracks alone, so that nothing that was learned takes part.
        evidence: log-odds against an opinion per unit of the divergence of its fit; spectrograms
            are relative to the mixture's mean.
        residual_evidence: log-odds against it per factor e in the energy that its partials leave.
        doubt: share of the energy that the best opinion's partials may leave; where it is more,
            evidence counts less, by the square of the ratio.
        evidence_frames: radius of their average in time, in frames.
        trust: weight of the given F0s before any evidence; every opinion has 1.
        retune: move the given F0s to where the partials are (`src.f0.retune`).
        partials: how partials are estimated; None = masks alone.
        tuning: how all tracks, the opinions' too, are moved to where the phases of the partials
            are; None = they stay. Without effect on masks alone.
        singers_per_part: how many singers sing each part, one number or one per part; None = found
            from the width of the partials.
        rooms: look for reverberation, which then belongs to the voice that caused it.
        places: how voices are told apart by where they are, in recordings of several channels;
            None = each channel by itself. Without effect on mono recordings.
        spectra: how spectrograms are modelled and fitted.
        mask: "magnitude" or "power".
        n_fft: FFT size of spectrograms and masks.
        mask_hop: their hop in samples.
        device: where a subclass's network computes; the fit runs where the mixture lies.

    Raises:
        ValueError: a setting out of range.
    """

    def __init__(
        self,
        *,
        opinions: F0Opinions | Literal["default"] | None = "default",
        evidence: float = 0.03,
        residual_evidence: float = 8.0,
        doubt: float = 0.1,
        evidence_frames: int = 2,
        trust: float = 2.0,
        retune: bool = True,
        partials: PartialSettings | None = _PARTIALS,
        tuning: TuningSettings | None = _TUNING,
        singers_per_part: int | Sequence[int] | None = None,
        rooms: bool = True,
        places: PlaceSettings | None = _PLACES,
        spectra: FitSettings = _SPECTRA,
        mask: str = "power",
        n_fft: int = 2048,
        mask_hop: int = 512,
        device: str = "cpu",
    ) -> None:
        super().__init__(mask=mask, device=device)
        if min(evidence, residual_evidence, evidence_frames) < 0:
            raise UmssError(
                f"evidence={evidence}, residual_evidence={residual_evidence} and "
                f"evidence_frames={evidence_frames} must not be negative"
            )
        if min(trust, doubt) <= 0:
            raise UmssError(f"trust={trust} and doubt={doubt} must be positive")
        self.opinions = F0Opinions() if opinions == "default" else opinions
        self.evidence = evidence
        self.residual_evidence = residual_evidence
        self.doubt = doubt
        self.evidence_frames = evidence_frames
        self.trust = trust
        self.retune = retune
        self.partials = partials
        self.tuning = tuning
        self.singers_per_part = check_counts(singers_per_part)
        self.rooms = rooms
        self.places = places
        self.spectra = spectra
        self.n_fft = n_fft
        self.mask_hop = mask_hop

    def separate(
        self,
        mixture: Tensor,
        f0: Tensor,
        seed: Tensor,
        sources: Tensor | None,
        channels: Tensor,
    ) -> Separation:
        if self.retune:
            f0 = _retune_tracks(mixture, f0)
        explainer = self._explainer
        spectrum = explainer.compute_spectrum(mixture)
        given = remove_glides(f0)
        tracks = [given, *self._ask_others(mixture, f0)]
        excitation, *others = self._excite(mixture, tracks)
        scene, first = explainer.find_scene(spectrum, excitation, given)
        # Each from scratch: from the first fit the others would stay near it, and look too good.
        fits = [first, *(explainer.fit(spectrum, x, scene) for x in others)]
        explanations = [
            explainer.explain(mixture, channels, x, fit, scene)
            for x, fit in zip(tracks, fits, strict=True)
        ]
        weights = self._weigh(explanations, channels)
        separated, masks = self._average(explanations, weights)
        separated = share_what_both_sing(separated, f0, hop=self.hop)
        separated = self._tell_places_apart(channels, separated)
        # The voices sing what is known of them under the given F0s.
        known = explanations[0]
        parameters = gather_parameters(
            known, scene, weights, spectrum, hop=self.hop, mask_hop=self.mask_hop
        )
        sines = {}
        if self.partials is not None:
            sines["partials"] = mix_amplitudes(known.amplitudes, channels, mixture)
        renderer = FitRenderer(**self._describe())
        voices = renderer.render(f0, parameters, sines, seed, mixture.shape[-1])
        return Separation(separated, masks, voices, parameters, sines)

    def beside_accompaniment(self) -> FitSeparator:
        """The given tracks alone: opinions would hear the instruments as singers."""
        alone = copy.copy(self)
        alone.opinions = None
        return alone

    def describe_voice(self) -> dict[str, Any]:
        return {"kind": "fit", **self._describe()}

    def _describe(self) -> dict[str, Any]:
        """Describe the voices as arguments of `FitRenderer`."""
        return {
            "rate": self.rate,
            "hop": self.hop,
            "domain": self.spectra.domain,
            "n_fft": self.n_fft,
            "envelope_cosines": self.spectra.envelope_cosines,
            "noise_cosines": self.spectra.noise_cosines,
            "partials": None if self.partials is None else dataclasses.asdict(self.partials),
            "network": None,
        }

    @property
    def _explainer(self) -> Explainer:
        return Explainer(
            spectra=self.spectra,
            partials=self.partials,
            tuning=self.tuning,
            singers_per_part=self.singers_per_part,
            rooms=self.rooms,
            rate=self.rate,
            hop=self.hop,
            n_fft=self.n_fft,
            mask_hop=self.mask_hop,
        )

    def _excite(self, mixture: Tensor, tracks: Sequence[Tensor]) -> list[Excitation]:
        """What the envelopes of each of several tracks [B, J, N] multiply in mixtures [B, T]."""
        return [self._explainer.excite(f0, mixture.shape[-1]) for f0 in tracks]

    def _ask_others(self, mixture: Tensor, f0: Tensor) -> list[Tensor]:
        """Other opinions about the tracks [B, J, N] of mixtures [B, T]."""
        # A single singer gets the whole mixture under any F0.
        if self.opinions is None or f0.shape[1] == 1:
            return []
        return [remove_glides(x) for x in self.opinions(mixture, f0)]

    def _weigh(self, explanations: Sequence[Explanation], channels: Tensor) -> Tensor:
        """Weights [K, B, N] of K explanations of channels [B, C, T], by how good each is."""
        against = self.evidence * torch.stack([x.fit.spectra.divergence for x in explanations])
        if self.partials is not None:
            left = measure_share_left(
                torch.stack([x.rest for x in explanations]),
                channels,
                self.partials.highest,
                rate=self.rate,
                hop=self.mask_hop,
            )
            # A thousandth is what even the right partials leave; where the recording is silent,
            # any partial leaves more than it found.
            left = (left + 1e-3).clamp(max=1e3)
            against += self.residual_evidence * left.log()
            against *= self._weigh_evidence(left)
        return weigh_opinions(against, frames=self.evidence_frames, trust=self.trust)

    def _weigh_evidence(self, left: Tensor) -> Tensor:
        """Factor on the evidence in each frame, [B, N] from 0 to 1.

        Where even the best opinion's partials leave much of the energy, as in strong reverberation,
        the differences between opinions say little about which is right.

        Args:
            left: [K, B, N] share of the energy that each opinion's partials leave.
        """
        best = average_around(left, self.evidence_frames).amin(dim=0)
        return (self.doubt / best).clamp(max=1.0).square()

    def _average(
        self, explanations: Sequence[Explanation], weights: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Average what K explanations separate with weights [K, B, N].

        Returns:
            Sources [B, J, C, T], and the masks [B, J, F, N] of what partials leave.
        """
        separated = torch.zeros_like(explanations[0].partials)
        mean = torch.zeros_like(explanations[0].fit.spectra.voices)
        for weight, explanation in zip(weights, explanations, strict=True):
            masks = self._share_out(explanation.fit.spectra)
            mean.addcmul_(masks, weight[:, None, None])
            shares = [self.apply(channel, masks) for channel in explanation.rest.unbind(1)]
            over_time = interpolate_frames(
                weight[:, None, None], hop=self.mask_hop, n_samples=separated.shape[-1]
            )
            separated.addcmul_(explanation.partials + torch.stack(shares, dim=2), over_time)
        return separated, mean

    def _share_out(self, fitted: FittedSpectra) -> Tensor:
        # What no harmonic explains is shared by all.
        wet = fitted.voices if fitted.wet is None else fitted.wet
        voices = wet + fitted.noise.unsqueeze(1) / wet.shape[1]
        return soft_masks(voices, power=MASK_POWERS[self.mask] / self.spectra.domain)

    def _tell_places_apart(self, channels: Tensor, separated: Tensor) -> Tensor:
        """Sources [B, J, C, T] of channels [B, C, T], told apart by where they are, too."""
        if channels.shape[1] == 1 or self.places is None:
            return separated
        pairs = zip(channels, separated, strict=True)
        return torch.stack([separate_by_place(*pair, self.places) for pair in pairs])


def _retune_tracks(mixture: Tensor, f0: Tensor) -> Tensor:
    """Retune tracks [B, J, N] on the partials of mixtures [B, T] (`src.f0.retune`)."""
    tuned = [
        retune(samples, tracks.T).T
        for samples, tracks in zip(mixture.cpu().numpy(), f0.cpu().numpy(), strict=True)
    ]
    return torch.from_numpy(np.stack(tuned)).to(f0)
