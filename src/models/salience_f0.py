"""F0 of the four voices as a part of a model: networks, hard decisions, straight-through gradients.

After Chouteau, Torres and Richard, "A fully differentiable model for unsupervised singing voice
separation", ICASSP 2024: the multi-F0 network of Cuesta et al. (Late/Deep) yields the salience of a
mixture, the VOAS network of Cuesta and Gómez splits it into one map for soprano, alto, tenor and
bass each, and a voice sings at the maximum of its map if that reaches the voice's threshold. See
docs/fd.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torchaudio
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ..dsp.tracks import HOP, RATE
from ..errors import UmssError
from ..f0.published.cuesta import LateDeep
from ..f0.published.hcqt import BINS_PER_OCTAVE, LOWEST, N_BINS, HarmonicCqt, count_frames
from ..f0.published.hcqt import RATE as HCQT_RATE
from ..f0.published.voas import VOICES, VoasCnn
from .fd_decisions import choose_strongest, find_parabola_top, replace_gradient, resample_decisions
from .fd_layers import read_or_draw_weights

THRESHOLDS = {"soprano": 0.23, "alto": 0.17, "tenor": 0.15, "bass": 0.17}
RANGES = {
    "soprano": (259.0, 880.0),
    "alto": (189.0, 659.0),
    "tenor": (145.0, 440.0),
    "bass": (90.0, 290.0),
}
_CENTS_PER_BIN = 1200.0 / BINS_PER_OCTAVE


@dataclass(frozen=True)
class VoiceF0:
    """F0 of J voices of B mixtures, and the maps that it was read from.

    Attributes:
        f0: [B, J, N] Hz on the 16-ms grid, 0 where silent; from the highest voice to the lowest.
        voicing: [B, J, N], 1 where a voice sings and 0 elsewhere.
        salience: [B, F, M] of the mixture, 0 to 1, on the frames of the HCQT.
        voices: [B, 4, F, M], salience of soprano, alto, tenor and bass.
        committed: [B, 4, F, M], 1 in the bin that was chosen, 0 elsewhere; no gradient.
    """

    f0: Tensor
    voicing: Tensor
    salience: Tensor
    voices: Tensor
    committed: Tensor


class SalienceF0(nn.Module):
    """Mixtures to the F0 of their voices, differentiable throughout.

    The statistics of the batch normalisations stay as they are, also in training.

    Args:
        late_deep: .npz file of published weights of the salience network, or None for random ones.
        voas: the same for the network that splits the salience.
        thresholds: by voice, the least salience of a singing voice.
        ranges: by voice, lowest and highest F0 in Hz (the loss `outside_ranges` reads them).
        within_ranges: look for a voice in its range only.
        refine: place F0 at the top of the parabola through the chosen bin and its neighbours,
            instead of in the middle of the bin (20 cents wide).
        temperature: of the softmax over a voice's salience that the gradient of F0 goes through.
        train: what learns: "all", "voices" (the second network alone) or "none".
        recompute: one mixture at a time, whose inner values are computed again in the backward
            pass (activation checkpointing): the memory of one mixture (0.5 GB per second of audio)
            instead of the batch, and one more forward pass.

    Raises:
        ValueError: missing or wrong weights, or options that make no sense.
    """

    mask: Tensor
    thresholds: Tensor

    def __init__(
        self,
        *,
        late_deep: str | Path | None = None,
        voas: str | Path | None = None,
        thresholds: Mapping[str, float] | None = None,
        ranges: Mapping[str, Sequence[float]] | None = None,
        within_ranges: bool = False,
        refine: bool = True,
        temperature: float = 0.05,
        train: str = "all",
        recompute: bool = False,
    ) -> None:
        super().__init__()
        if train not in ("all", "voices", "none"):
            raise UmssError(f"train must be all, voices or none; got {train!r}")
        if not temperature > 0:
            raise UmssError(f"temperature must be positive, got {temperature}")
        limits = _order_by_voice("ranges", RANGES if ranges is None else ranges)
        least = _order_by_voice("thresholds", THRESHOLDS if thresholds is None else thresholds)
        self.within_ranges = within_ranges
        self.refine = refine
        self.temperature = temperature
        self.recompute = recompute
        self.cqt = HarmonicCqt()
        self.late_deep = LateDeep(read_or_draw_weights(late_deep)).requires_grad_(train == "all")
        self.voas = VoasCnn(read_or_draw_weights(voas)).requires_grad_(train != "none")
        self.register_buffer("mask", build_range_mask(limits), persistent=False)
        self.register_buffer("thresholds", torch.tensor(least)[:, None], persistent=False)

    def train(self, mode: bool = True) -> SalienceF0:
        """Training mode, in which the batch normalisations keep their published statistics."""
        super().train(mode)
        self.late_deep.eval()
        self.voas.eval()
        return self

    def forward(self, mixture: Tensor, n_singers: int) -> VoiceF0:
        """F0 of the J strongest voices of mixtures.

        Args:
            mixture: [B, T] at 16 kHz.
            n_singers: J, 1 to 4. Below 4, the voices that are found most often.

        Raises:
            ValueError: a number of singers that the networks do not know.
        """
        if not 1 <= n_singers <= len(VOICES):
            raise UmssError(
                f"n_singers={n_singers}: the fully differentiable model knows soprano, alto, tenor "
                "and bass, one singer each; set n_singers to 4 or less, or use another model"
            )
        salience, voices = self.compute_maps(*self.compute_features(mixture))
        f0, voicing, place = self.decide(voices)
        chosen = choose_strongest(voicing.detach(), voices.detach().amax(2), n_singers)
        n_frames = -(-mixture.shape[-1] // HOP)
        row = chosen.unsqueeze(-1).expand(-1, -1, f0.shape[-1])
        tracks = resample_decisions(f0.gather(1, row), voicing.gather(1, row), n_frames)
        kept = torch.zeros_like(voicing[:, :, 0]).scatter_(1, chosen, 1.0).unsqueeze(-1)
        committed = torch.zeros_like(voices.detach())
        committed.scatter_(2, place.unsqueeze(2), (voicing.detach() * kept).unsqueeze(2))
        return VoiceF0(*tracks, salience, voices, committed)

    @torch.no_grad()
    def compute_features(self, mixture: Tensor) -> tuple[Tensor, Tensor]:
        """Level and phase differential [B, H, F, M] of mixtures [B, T] at 16 kHz."""
        with torch.autocast(mixture.device.type, enabled=False):
            # Filter of the quality that librosa calls kaiser_best; sample 0 stays at sample 0.
            audio = torchaudio.functional.resample(
                mixture.float(),
                RATE,
                HCQT_RATE,
                lowpass_filter_width=64,
                rolloff=0.9475937167399596,
                resampling_method="sinc_interp_kaiser",
                beta=14.769656459379492,
            )
            pyramid = self.cqt.decimate(audio)
            n_frames = count_frames(audio.shape[-1])
            return self.cqt.features(pyramid, self.cqt.peak(pyramid, n_frames), 0, n_frames)

    def compute_maps(self, level: Tensor, advance: Tensor) -> tuple[Tensor, Tensor]:
        """Salience [B, F, M] and that of every voice [B, 4, F, M] of features [B, H, F, M]."""
        if not (self.recompute and torch.is_grad_enabled()):
            return self._run_networks(level, advance)
        items = [
            checkpoint(self._run_networks, *item, use_reentrant=False, preserve_rng_state=False)
            for item in zip(level.split(1), advance.split(1), strict=True)
        ]
        salience, voices = zip(*items, strict=True)
        return torch.cat(salience), torch.cat(voices)

    def _run_networks(self, level: Tensor, advance: Tensor) -> tuple[Tensor, Tensor]:
        salience = self.late_deep(level, advance)
        return salience.float(), self.voas(salience).float()

    def decide(self, voices: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """F0 and voicing of every voice and frame.

        The values are decisions: the bin of the maximum, and whether that reaches the threshold.
        The gradients are those of something smooth: F0 passes its gradient to the mean of the bins'
        pitches (cents), weighted by a softmax of their salience; voicing to the maximum itself.

        Args:
            voices: [B, 4, F, M].

        Returns:
            F0 [B, 4, M] in Hz, 0 where silent; voicing [B, 4, M], 0 or 1; chosen bin [B, 4, M].
        """
        heard = voices * self.mask[..., None] if self.within_ranges else voices
        peak, place = heard.max(dim=2)
        voicing = replace_gradient((peak >= self.thresholds).to(peak.dtype), peak)
        bins = torch.arange(N_BINS, device=voices.device, dtype=voices.dtype)
        top = place.to(voices.dtype)
        if self.refine:
            top = top + find_parabola_top(heard.detach(), place)
        mean = torch.einsum("bvfm,f->bvm", (heard / self.temperature).softmax(dim=2), bins)
        cents = _CENTS_PER_BIN * replace_gradient(top, mean)
        f0 = LOWEST * torch.exp2(cents / 1200.0)
        return torch.where(voicing > 0, f0, torch.zeros_like(f0)), voicing, place


def build_range_mask(limits: Sequence[Sequence[float]]) -> Tensor:
    """1 in the bins of each voice's range (Hz), 0 elsewhere, float32 [V, F].

    Raises:
        ValueError: a range whose lower end is not a positive number below its upper end.
    """
    bins = torch.arange(N_BINS, dtype=torch.float64)
    rows = []
    for low, high in limits:
        if not 0 < low < high:
            raise UmssError(f"ranges: [{low}, {high}] must be [lowest, highest] in Hz")
        ends = BINS_PER_OCTAVE * torch.log2(torch.tensor([low, high], dtype=torch.float64) / LOWEST)
        rows.append((bins >= ends[0].round()) & (bins <= ends[1].round()))
    return torch.stack(rows).float()


def compute_f0_losses(found: VoiceF0, mask: Tensor) -> dict[str, Tensor]:
    """Losses that keep the maps of the voices meaningful; all are means of squares.

    - salience: the voices together must be the salience of the mixture (no gradient to that).
    - range: no voice outside its range.
    - commitment: a voice's map must look like the decision that was taken on it, a single bin.

    Args:
        found: from `SalienceF0`.
        mask: [4, F], 1 inside the ranges.
    """
    voices = found.voices
    return {
        "salience": (voices.sum(dim=1) - found.salience.detach()).square().mean(),
        "range": (voices * (1.0 - mask)[..., None]).square().mean(),
        "commitment": (voices - found.committed).square().mean(),
    }


def _order_by_voice(name: str, values: Mapping[str, Any]) -> list[Any]:
    if set(values) != set(VOICES):
        raise UmssError(f"{name} must name {', '.join(VOICES)}; got {', '.join(values) or 'none'}")
    return [values[voice] for voice in VOICES]
