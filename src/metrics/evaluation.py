"""The evaluation table: one row per mixture, excerpt, voice, one-second frame and seed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd
import torch

from src.metrics.bss import bss_eval
from src.metrics.frames import (
    SILENCE_ENERGY,
    frame_energy,
    mel_cepstral_distance,
    one_second_frames,
    si_sdr,
    spectral_snr,
)
from src.separator import Separator


def evaluate(
    separator: Separator, batches: Iterable[dict[str, Any]], *, seeds: Sequence[int], bss: bool
) -> pd.DataFrame:
    """Separate every batch and score every frame.

    Args:
        separator: the method.
        batches: as served by `src.data.datamodule.MixtureDataModule`.
        seeds: seeds of the method's noise; a method without random numbers runs once.
        bss: also compute SDR, ISR, SIR and SAR by BSS Eval v4 (museval; slow).

    Returns:
        One row per (mixture, excerpt, voice, frame, seed), with the columns song, mixture, excerpt,
        start, source, voice, singer, frame, seed, energy, kept, si_sdr, spectral_snr,
        mel_cepstral_distance and, for methods that synthesise, synth_spectral_snr; all in dB but
        the energy. Frames with `kept` false are silent and not to be averaged over.

    Raises:
        FloatingPointError: the method returned samples that are not finite.
    """
    tables = []
    for batch in batches:
        for seed in seeds if separator.stochastic else seeds[:1]:
            tables.append(_score(separator, batch, seed, bss=bss))
    return pd.concat(tables, ignore_index=True)


def _score(separator: Separator, batch: dict[str, Any], seed: int, *, bss: bool) -> pd.DataFrame:
    sources = batch["sources"]
    # Every excerpt has noise of its own, and other noise for every seed.
    seeds = batch["seed"] + seed * 1_000_003
    result = separator(batch["mixture"], batch["f0"], seed=seeds, sources=sources)
    if not torch.isfinite(result.sources).all():
        raise FloatingPointError(
            f"{type(separator).__name__} returned NaN or infinite samples for "
            f"{batch['song'][0]}, {batch['mixture_name'][0]} and following"
        )
    energy = frame_energy(sources, batch["full_mix_peak"].unsqueeze(-1))
    target, estimate = one_second_frames(sources), one_second_frames(result.sources)
    scores = {
        "energy": energy,
        "si_sdr": si_sdr(estimate, target),
        "spectral_snr": spectral_snr(estimate, target),
        "mel_cepstral_distance": mel_cepstral_distance(estimate, target),
    }
    if result.synthesised is not None:
        synthesised = one_second_frames(result.synthesised)
        scores["synth_spectral_snr"] = spectral_snr(synthesised, target)
    if bss:
        scores |= bss_eval(result.sources, sources, rate=separator.rate)
    return _tabulate(batch, scores, seed)


def _tabulate(batch: dict[str, Any], scores: dict[str, torch.Tensor], seed: int) -> pd.DataFrame:
    n_batch, n_sources, n_frames = scores["energy"].shape
    b, j, n = (
        index.flatten().tolist()
        for index in torch.meshgrid(
            torch.arange(n_batch), torch.arange(n_sources), torch.arange(n_frames), indexing="ij"
        )
    )
    table = pd.DataFrame(
        {
            "song": [batch["song"][i] for i in b],
            "mixture": [batch["mixture_name"][i] for i in b],
            "excerpt": [int(batch["excerpt"][i]) for i in b],
            "start": [int(batch["start"][i]) for i in b],
            "source": j,
            "voice": [batch["parts"][i][k] for i, k in zip(b, j, strict=True)],
            "singer": [batch["singers"][i][k] for i, k in zip(b, j, strict=True)],
            "frame": n,
            "seed": seed,
        }
    )
    for name, values in scores.items():
        table[name] = values.flatten().double().numpy()
    table.insert(table.columns.get_loc("energy") + 1, "kept", table["energy"] >= SILENCE_ENERGY)
    return table


def summarise(frames: pd.DataFrame) -> dict[str, Any]:
    """Statistics of the kept frames, overall and per voice.

    Returns:
        {"si_sdr": {"mean", "median", "q25", "q75", "n", "voices": {voice: the same}}, ...}
        for every metric of the table, and "frames": {"total", "kept"}, both counted once
        per seed.
    """
    kept = frames[frames["kept"]]
    known = {
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
    }
    summary: dict[str, Any] = {}
    for metric in (column for column in frames.columns if column not in known):
        voices = kept.groupby("voice", sort=False)[metric]
        summary[metric] = {
            **_statistics(kept[metric]),
            "voices": {str(voice): _statistics(values) for voice, values in voices},
        }
    summary["frames"] = {"total": len(frames), "kept": len(kept)}
    return summary


def _statistics(values: pd.Series) -> dict[str, Any]:
    if values.empty:
        return {"mean": None, "median": None, "q25": None, "q75": None, "n": 0}
    return {
        "mean": float(values.mean()),
        "median": float(values.median()),
        "q25": float(values.quantile(0.25)),
        "q75": float(values.quantile(0.75)),
        "n": int(values.size),
    }
