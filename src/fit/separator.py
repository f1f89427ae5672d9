"""`separator=fit`: sources by models that are fitted to the mixture itself."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, TypedDict

import numpy as np
import torch
from torch import Tensor

from ..dsp.spatial import PlaceSettings, separate_by_place
from ..dsp.stft import soft_masks, stft
from ..dsp.tracks import remove_glides
from ..errors import UmssError
from ..f0.retune import retune
from ..separator import MASK_POWERS, Separation, Separator
from .hypotheses import F0Opinions, weigh_opinions
from .partials import PartialSettings, average_around, find_partials, measure_share_left
from .rendering import FitRenderer
from .scene import (
    Scene,
    build_tails,
    check_counts,
    count_to_cents,
    describe_nothing,
    find_scene,
    spread_lines,
)
from .spectra import FitSettings, FittedSpectra, compute_comb_spectra, fit_spectra
from .together import share_what_both_sing
from .tuning import TuningSettings, tune_tracks

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


class _Grid(TypedDict):
    """What relates the fit's spectrograms to samples and F0 frames."""

    domain: float
    rate: int
    hop: int
    mask_hop: int


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
        tracks = [remove_glides(f0)]
        spectrum = self._compute_spectrum(mixture)
        scene, first = self._find_scene(mixture, spectrum, tracks[0])
        # A single singer gets the whole mixture under any F0.
        if self.opinions is not None and f0.shape[1] > 1:
            tracks += [remove_glides(x) for x in self.opinions(mixture, f0)]
        # Each from scratch: from the first fit the others would stay near it, and look too good.
        others = [self._fit(spectrum, self._excite(mixture, x), scene) for x in tracks[1:]]
        results = [first, *others]
        fits = [x.spectra for x in results]
        controls, level = results[0].controls, results[0].level
        tracks = [self._tune(mixture, *pair) for pair in zip(tracks, fits, strict=True)]
        pairs = [
            self._find_partials(channels, x, fitted, scene.cents)
            for x, fitted in zip(tracks, fits, strict=True)
        ]
        found = [sources for sources, _ in pairs]
        rests = [channels - x.sum(dim=1) for x in found]
        against = self.evidence * torch.stack([fitted.divergence for fitted in fits])
        if self.partials is not None:
            left = measure_share_left(
                torch.stack(rests),
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
        weights = weigh_opinions(against, frames=self.evidence_frames, trust=self.trust)
        separated = torch.zeros_like(found[0])
        mean = torch.zeros_like(fits[0].voices)
        for weight, fitted, parts, rest in zip(weights, fits, found, rests, strict=True):
            masks = self._share_out(fitted)
            mean.addcmul_(masks, weight[:, None, None])
            shares = [self.apply(channel, masks) for channel in rest.unbind(1)]
            over_time = _spread_over_samples(weight, self.mask_hop, channels.shape[-1])
            separated.addcmul_(parts + torch.stack(shares, dim=2), over_time)
        separated = share_what_both_sing(separated, f0, hop=self.hop)
        if channels.shape[1] > 1 and self.places is not None:
            pairs_of_mixtures = zip(channels, separated, strict=True)
            separated = torch.stack(
                [separate_by_place(*pair, self.places) for pair in pairs_of_mixtures]
            )
        frames = torch.arange(f0.shape[-1], device=f0.device) * self.hop // self.mask_hop
        parameters = {
            "envelope_cosines": fits[0].envelope.transpose(2, 3)[:, :, frames],
            "noise_cosines": _repeat_for_voices(
                fits[0].noise_envelope.transpose(1, 2)[:, frames], f0
            ),
            "tuned_f0": tracks[0].unsqueeze(-1),
            "section_cents": scene.cents[:, :, None, None].expand(-1, -1, f0.shape[-1], -1),
            "reverberation": _repeat_for_voices(
                torch.stack([scene.seconds, scene.late], dim=-1)
                .unsqueeze(1)
                .expand(-1, f0.shape[-1], -1),
                f0,
            ),
        }
        if len(tracks) > 1:
            parameters["f0_weights"] = _repeat_for_voices(weights.permute(1, 2, 0)[:, frames], f0)
        # The voices sing what is known of them under the given F0s.
        scale = _measure_scale(spectrum, level)
        parameters["scale"] = scale.unsqueeze(1).expand(-1, f0.shape[1], -1)
        parameters |= controls
        sines = {"partials": _listen(pairs[0][1], channels, mixture)} if self.partials else {}
        renderer = FitRenderer(**self._describe())
        voices = renderer.render(f0, parameters, sines, seed, mixture.shape[-1])
        return Separation(separated, mean, voices, parameters, sines)

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

    def _tune(self, mixture: Tensor, f0: Tensor, fitted: FittedSpectra) -> Tensor:
        """Tracks [B, J, N] moved to where the phases of the partials are."""
        if self.partials is None or self.tuning is None:
            return f0
        return tune_tracks(mixture, f0, fitted, self.tuning, **self._grid)

    def _find_partials(
        self, channels: Tensor, f0: Tensor, fitted: FittedSpectra, cents: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Partials [B, J, C, T] of the voices in channels [B, C, T], and their amplitudes.

        Args:
            cents: [B, J] by which the singers of a part scatter.
        """
        if self.partials is None:
            sources = channels.new_zeros(*f0.shape[:2], *channels.shape[1:])
            return sources, sources[..., None, :0]
        return find_partials(channels, f0, fitted, self.partials, **self._grid, width=cents)

    @property
    def _grid(self) -> _Grid:
        return {
            "domain": self.spectra.domain,
            "rate": self.rate,
            "hop": self.hop,
            "mask_hop": self.mask_hop,
        }

    def _weigh_evidence(self, left: Tensor) -> Tensor:
        """Factor on the evidence in each frame, [B, N] from 0 to 1.

        Where even the best opinion's partials leave much of the energy, as in strong reverberation,
        the differences between opinions say little about which is right.

        Args:
            left: [K, B, N] share of the energy that each opinion's partials leave.
        """
        best = average_around(left, self.evidence_frames).amin(dim=0)
        return (self.doubt / best).clamp(max=1.0).square()

    def _find_scene(self, mixture: Tensor, spectrum: Tensor, f0: Tensor) -> tuple[Scene, Fit]:
        """The scene of mixtures [B, T] with F0 tracks [B, J, N], and the fit that it is for."""
        excitation = self._excite(mixture, f0)
        scene = describe_nothing(f0)
        sections = self.singers_per_part is None
        if self.singers_per_part is not None:
            cents = count_to_cents(self.singers_per_part, f0.shape[1])
            scene = dataclasses.replace(scene, cents=f0.new_tensor(cents).expand(len(f0), -1))
        fit = self._fit(spectrum, excitation, scene)
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
        return found, fit if known else self._fit(spectrum, excitation, found)

    def _excite(self, mixture: Tensor, f0: Tensor) -> Excitation:
        """What the envelopes of F0 tracks [B, J, N] multiply in mixtures [B, T]."""
        combs = compute_comb_spectra(
            f0,
            mixture.shape[-1],
            rate=self.rate,
            hop=self.hop,
            n_fft=self.n_fft,
            mask_hop=self.mask_hop,
            domain=self.spectra.domain,
        )
        return Excitation(combs, combs.new_ones(len(combs)), {}, rolled_off=False)

    def _fit(self, spectrum: Tensor, excitation: Excitation, scene: Scene) -> Fit:
        """Fit the model to spectrograms [B, F, N] of mixtures (`_compute_spectrum`)."""
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

    def _compute_spectrum(self, signal: Tensor) -> Tensor:
        """Spectrogram |S|^domain that the fit explains: [..., T] to [..., F, N]."""
        magnitude = stft(signal, n_fft=self.n_fft, hop=self.mask_hop).abs()
        return magnitude.pow(self.spectra.domain)

    def _share_out(self, fitted: FittedSpectra) -> Tensor:
        # What no harmonic explains is shared by all.
        wet = fitted.voices if fitted.wet is None else fitted.wet
        voices = wet + fitted.noise.unsqueeze(1) / wet.shape[1]
        return soft_masks(voices, power=MASK_POWERS[self.mask] / self.spectra.domain)


def _measure_scale(spectrum: Tensor, level: Tensor) -> Tensor:
    """Measure the mean of spectrograms [B, F, N], relative to a level [B] and by itself: [B, 2]."""
    mean = spectrum.mean(dim=(1, 2))
    tiny = torch.finfo(level.dtype).tiny
    relative = torch.where(level > tiny, mean / level.clamp(min=tiny), 0.0)
    return torch.stack([relative, mean], dim=-1)


def _listen(amplitudes: Tensor, channels: Tensor, mixture: Tensor) -> Tensor:
    """Mix amplitudes [B, J, C, frames, size] as the channels [B, C, T] are mixed: without C."""
    if channels.shape[1] == 1:
        return amplitudes[:, :, 0]
    heard = channels.double()
    products = heard @ heard.mT
    target = heard @ mixture.double().unsqueeze(-1)
    weights = (torch.linalg.pinv(products, rtol=1e-10, hermitian=True) @ target).to(amplitudes)
    return torch.einsum("bjcns,bc->bjns", amplitudes, weights.squeeze(-1))


def _retune_tracks(mixture: Tensor, f0: Tensor) -> Tensor:
    """Retune tracks [B, J, N] on the partials of mixtures [B, T] (`src.f0.retune`)."""
    tuned = [
        retune(samples, tracks.T).T
        for samples, tracks in zip(mixture.cpu().numpy(), f0.cpu().numpy(), strict=True)
    ]
    return torch.from_numpy(np.stack(tuned)).to(f0)


def _spread_over_samples(weights: Tensor, hop: int, n_samples: int) -> Tensor:
    """Interpolate weights [B, N] of frames centred on n * hop linearly to samples, [B, 1, 1, T]."""
    size = (weights.shape[-1] - 1) * hop + 1
    lines = torch.nn.functional.interpolate(
        weights.unsqueeze(1), size=size, mode="linear", align_corners=True
    )
    held = torch.nn.functional.pad(lines, (0, max(0, n_samples - size)), mode="replicate")
    return held[..., :n_samples].unsqueeze(1)


def _repeat_for_voices(x: Tensor, f0: Tensor) -> Tensor:
    """Repeat a parameter [B, N, size] of the mixtures for each of J voices: [B, J, N, size]."""
    return x.unsqueeze(1).expand(-1, f0.shape[1], -1, -1)
