"""What a separator in training makes of fixed validation excerpts: sounds, pictures, scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..baselines.masks import CombSeparator
from ..dsp.stft import apply_masks, soft_masks, stft
from ..metrics.frames import SILENCE_ENERGY, cut_one_second_frames, frame_energy, si_sdr

MIXTURE = "mixture"
RESYNTHESISED = "resynthesised"


@dataclass(frozen=True)
class Track:
    """One sound of an excerpt.

    Attributes:
        voice: whose it is; `MIXTURE` and `RESYNTHESISED` (the sum of what the model synthesises)
            are no single singer's.
        singer: who sings; None for mixtures.
        samples: [T].
        f0: [J, N] Hz, the tracks to draw on its spectrogram.
        names: of the tracks.
        si_sdr: mean over its audible 1-s frames, dB; None for mixtures, without stems, and where
            the singer is silent.
        si_sdr_comb: the same of the comb's estimate.
    """

    voice: str
    singer: str | None
    samples: Tensor
    f0: Tensor
    names: Sequence[str]
    si_sdr: float | None = None
    si_sdr_comb: float | None = None


@torch.no_grad()
def separate_excerpt(model: torch.nn.Module, batch: dict[str, Any]) -> list[Track]:
    """Separate the one excerpt of a batch (see `src.data.items`).

    Args:
        model: maps mixture [1, T], F0 [1, J, N] (Hz) and seed [1] to (sources [1, J, T],
            parameters).
        batch: of one excerpt.

    Returns:
        The mixture, the resynthesised mixture, and the masked estimate of every voice, on the CPU.
    """
    synthesised, _ = model(batch["mixture"], batch["f0"], batch["seed"])
    mixture = batch["mixture"].float()
    estimates = apply_masks(mixture, soft_masks(stft(synthesised.float()).abs())).float().cpu()
    resynthesised = synthesised.float().sum(dim=1).cpu()
    mixture, f0 = mixture.cpu(), batch["f0"].float().cpu()
    voices, singers = batch["parts"][0], batch["singers"][0]
    scores: Sequence[tuple[float | None, float | None]] = [(None, None)] * len(voices)
    if "sources" in batch:
        comb = CombSeparator()(mixture, f0, seed=batch["seed"].cpu())
        scores = score_voices(batch, estimates, comb.sources)
    return [
        Track(MIXTURE, None, mixture[0], f0[0], voices),
        Track(RESYNTHESISED, None, resynthesised[0], f0[0], voices),
        *(
            Track(voice, singers[j], estimates[0, j], f0[0, j : j + 1], [voice], *scores[j])
            for j, voice in enumerate(voices)
        ),
    ]


def score_voices(
    batch: dict[str, Any], estimates: Tensor, comb: Tensor
) -> list[tuple[float | None, float | None]]:
    """Compute the mean SI-SDR (dB) of audible frames of every voice: ours, and the comb's.

    Args:
        batch: of one excerpt, with `sources` [1, J, T].
        estimates, comb: [1, J, T].
    """
    target = batch["sources"].float().cpu()
    peak = batch["full_mix_peak"].float().cpu().unsqueeze(-1)
    audible = frame_energy(target, peak) >= SILENCE_ENERGY
    frames = cut_one_second_frames(target)
    ours, theirs = (si_sdr(cut_one_second_frames(e), frames) for e in (estimates, comb))
    return [
        (float(ours[0, j][kept].mean()), float(theirs[0, j][kept].mean()))
        if kept.any()
        else (None, None)
        for j, kept in enumerate(audible[0])
    ]
