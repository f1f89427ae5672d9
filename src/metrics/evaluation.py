"""The evaluation table: one row per mixture, excerpt, voice, one-second frame and seed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
import pandas as pd
import torch

from ..errors import UmssError
from ..separator import Separation, Separator
from .bss import BSS_METRICS, bss_eval, choose_bss_engine
from .diagnosis import NOISE_DOMINATED, harmonic_share
from .frames import (
    SILENCE_ENERGY,
    SnrSettings,
    cut_one_second_frames,
    frame_energy,
    mel_cepstral_distance,
    si_sdr,
    spectral_snr,
)
from .speed import Stopwatch

# Columns that identify a row or describe its frame; all others are metrics.
_NO_METRICS = {
    "song",
    "mixture",
    "excerpt",
    "start",
    "source",
    "voice",
    "singer",
    "frame",
    "seed",
    "energy",
    "kept",
    "harmonic_share",
}


def evaluate(
    separator: Separator,
    batches: Iterable[dict[str, Any]],
    *,
    seeds: Sequence[int],
    bss: bool | str = False,
    snr: SnrSettings = SnrSettings(),  # noqa: B008 (frozen)
    stopwatch: Stopwatch | None = None,
) -> pd.DataFrame:
    """Separate every batch and score every one-second frame.

    Args:
        separator: the method to evaluate.
        batches: as served by `src.data.datamodule.MixtureDataModule`.
        seeds: seeds of the method's noise; a deterministic method runs once.
        bss: also compute SDR, ISR, SIR and SAR by BSS Eval v4: "museval" (or true; slow) or "fast",
            see `src.metrics.bss`.
        snr: STFT of the spectral SNR.
        stopwatch: measures the calls of the separator, after one warm-up call.

    Returns:
        One row per (mixture, excerpt, voice, frame, seed), with the columns song, mixture, excerpt,
        start, source, voice, singer, frame, seed, energy, kept, harmonic_share, si_sdr,
        si_sdr_improvement (over the mixture as estimate), spectral_snr, mel_cepstral_distance and,
        for methods that synthesise, synth_spectral_snr; metrics in dB. Energy and harmonic share
        describe the target. Frames with `kept` false are silent and must be left out of averages.

    Raises:
        UmssError: no seeds, no batches, an unknown `bss`, or an excerpt that is shorter than a
            frame or whose samples or F0 are not finite.
        FloatingPointError: the method returned samples that are not finite, or cannot be scored.
    """
    if not seeds:
        raise UmssError("seeds=[]: give at least one, e.g. seeds=[0]")
    engine = choose_bss_engine(bss)
    tables: list[pd.DataFrame] = []
    for batch in batches:
        _check(batch)
        if stopwatch is not None and not tables:  # warm-up: caches, compilation
            first = {key: values[:1] for key, values in batch.items()}
            _separate(separator, first, seeds[0], None)
        described, unprocessed = _describe(batch)
        for seed in seeds if separator.stochastic else seeds[:1]:
            result = _separate(separator, batch, seed, stopwatch)
            scores = _score(batch, result, unprocessed, rate=separator.rate, snr=snr, bss=engine)
            tables.append(_tabulate(batch, described | scores, seed))
    if not tables:
        raise UmssError("nothing to evaluate: the test set has no excerpt")
    return pd.concat(tables, ignore_index=True)


def name_excerpt(batch: dict[str, Any], index: int) -> str:
    """Name an excerpt of a batch in messages."""
    return (
        f"song {batch['song'][index]}, mixture {batch['mixture_name'][index]}, "
        f"excerpt {int(batch['excerpt'][index])}"
    )


def _find_first(bad: torch.Tensor) -> int | None:
    """Find the index of the first item of [B, ...] with a true value; None without any."""
    items = bad.flatten(1).any(1).nonzero()
    return int(items[0]) if len(items) else None


def _check(batch: dict[str, Any]) -> None:
    for key, what in (("mixture", "the mixture"), ("sources", "a stem"), ("f0", "the F0")):
        bad = _find_first(~torch.isfinite(batch[key]))
        if bad is not None:
            raise UmssError(
                f"{name_excerpt(batch, bad)}: {what} holds NaN or infinite values; repair the file "
                "or leave the song out (data.split)"
            )
    bad = _find_first(batch["f0"] < 0)
    if bad is not None:
        raise UmssError(f"{name_excerpt(batch, bad)}: negative F0; use 0 where a voice is silent")


def _separate(
    separator: Separator, batch: dict[str, Any], seed: int, stopwatch: Stopwatch | None
) -> Separation:
    # Every excerpt and every seed gets different noise.
    seeds = batch["seed"] + seed * 1_000_003
    mixture = batch["mixture"]
    with stopwatch.measure(mixture.numel() / separator.rate) if stopwatch else nullcontext():
        result = separator(mixture, batch["f0"], seed=seeds, sources=batch["sources"])
    bad = _find_first(~torch.isfinite(result.sources))
    if bad is not None:
        raise FloatingPointError(
            f"{type(separator).__name__} returned NaN or infinite samples for "
            f"{name_excerpt(batch, bad)}"
        )
    return result


def _describe(batch: dict[str, Any]) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Describe the targets and score the mixture (SI-SDR in dB), each [B, J, frames]."""
    target = cut_one_second_frames(batch["sources"])
    if not target.shape[2]:
        raise UmssError(
            f"{name_excerpt(batch, 0)} is shorter than a frame of one second; set "
            "data.excerpt_seconds to 1 or more"
        )
    described = {
        "energy": frame_energy(batch["sources"], batch["full_mix_peak"].unsqueeze(-1)),
        "harmonic_share": harmonic_share(target),
    }
    return described, si_sdr(cut_one_second_frames(batch["mixture"]).unsqueeze(1), target)


def _score(
    batch: dict[str, Any],
    result: Separation,
    unprocessed: torch.Tensor,
    *,
    rate: int,
    snr: SnrSettings,
    bss: str | None,
) -> dict[str, torch.Tensor]:
    """Compute every metric [B, J, frames], given the SI-SDR of the unprocessed mixture."""
    sources = batch["sources"]
    target, estimate = cut_one_second_frames(sources), cut_one_second_frames(result.sources)
    ratio = si_sdr(estimate, target)
    scores = {
        "si_sdr": ratio,
        "si_sdr_improvement": ratio - unprocessed,
        "spectral_snr": spectral_snr(estimate, target, n_fft=snr.n_fft, hop=snr.hop),
        "mel_cepstral_distance": mel_cepstral_distance(estimate, target),
    }
    if result.synthesised is not None:
        synthesised = cut_one_second_frames(result.synthesised)
        scores["synth_spectral_snr"] = spectral_snr(
            synthesised, target, n_fft=snr.n_fft, hop=snr.hop
        )
    if bss is not None:
        scores |= bss_eval(result.sources, sources, rate=rate, engine=bss)
    return scores


def _tabulate(batch: dict[str, Any], scores: dict[str, torch.Tensor], seed: int) -> pd.DataFrame:
    b, j, n = (index.ravel() for index in np.indices(scores["energy"].shape))
    table = pd.DataFrame(
        {
            "song": [batch["song"][i] for i in b],
            "mixture": [batch["mixture_name"][i] for i in b],
            "excerpt": np.asarray(batch["excerpt"])[b],
            "start": np.asarray(batch["start"])[b],
            "source": j,
            "voice": [batch["parts"][i][k] for i, k in zip(b, j, strict=True)],
            "singer": [batch["singers"][i][k] for i, k in zip(b, j, strict=True)],
            "frame": n,
            "seed": seed,
        }
    )
    for name, values in scores.items():
        table[name] = values.flatten().double().cpu().numpy()
    kept = table["energy"] >= SILENCE_ENERGY
    for name in (name for name in scores if name not in BSS_METRICS):
        bad = np.flatnonzero(~np.isfinite(table[name]) & kept)
        if len(bad):
            where = f"{name_excerpt(batch, b[bad[0]])}, voice {table['voice'][bad[0]]}"
            raise FloatingPointError(
                f"{where}, frame {n[bad[0]]}: {name} is {table[name][bad[0]]}; "
                "the estimate is out of the range of float32"
            )
    table.insert(table.columns.get_loc("energy") + 1, "kept", kept)
    return table


def summarise(frames: pd.DataFrame) -> dict[str, Any]:
    """Summarise the scores of the kept frames, overall and per voice.

    Returns:
        {"si_sdr": {"mean", "median", "q25", "q75", "n", "voices": {voice: the same}}, ...}
        for every metric of the table, over the frames in which it is defined and finite;
        "si_sdr_by_kind": {"harmonic": the same without voices, "noise": the same}, SI-SDR of frames
        whose target is mostly tones or mostly noise (`src.metrics.diagnosis.NOISE_DOMINATED`);
        and "frames": {"total", "kept"}, both counted once per seed.
    """
    kept = frames[frames["kept"]]
    summary: dict[str, Any] = {}
    for metric in (column for column in frames.columns if column not in _NO_METRICS):
        voices = kept.groupby("voice", sort=False)[metric]
        summary[metric] = {
            **_compute_statistics(kept[metric]),
            "voices": {str(voice): _compute_statistics(values) for voice, values in voices},
        }
    noise = kept["harmonic_share"] < NOISE_DOMINATED
    summary["si_sdr_by_kind"] = {
        "harmonic": _compute_statistics(kept["si_sdr"][~noise]),
        "noise": _compute_statistics(kept["si_sdr"][noise]),
    }
    summary["frames"] = {"total": len(frames), "kept": len(kept)}
    return summary


def _compute_statistics(values: pd.Series) -> dict[str, Any]:
    values = values[np.isfinite(values)]
    if values.empty:
        return {"mean": None, "median": None, "q25": None, "q75": None, "n": 0}
    return {
        "mean": float(values.mean()),
        "median": float(values.median()),
        "q25": float(values.quantile(0.25)),
        "q75": float(values.quantile(0.75)),
        "n": int(values.size),
    }
