"""A page of excerpts that were evaluated: what the numbers sound like."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pandas as pd

from ..separator import Separator
from .content import Page, Recording, Scores, Track
from .results import MIXTURE, RESIDUAL


def describe_excerpts(
    title: str,
    separator: Separator,
    batches: Iterable[dict[str, Any]],
    frames: pd.DataFrame,
    *,
    count: int,
    seed: int,
) -> Page:
    """Describe a page of the first excerpt of each of the first songs, with its true stems.

    Args:
        title: of the page.
        separator: the method.
        batches: as served by `src.data.datamodule.MixtureDataModule`; read until there are enough.
        frames: table of `src.metrics.evaluation.evaluate`.
        count: number of excerpts.
        seed: of the method's noise.
    """
    recordings = [_describe(separator, item, frames, seed=seed) for item in _choose(batches, count)]
    return Page(title, recordings, "Excerpts of the test set, with what was wanted beside them.")


def _choose(batches: Iterable[dict[str, Any]], count: int) -> Iterator[dict[str, Any]]:
    """Choose batches of one item, the first of each song."""
    songs: list[str] = []
    for batch in batches:
        for index, song in enumerate(batch["song"]):
            if song not in songs:
                songs.append(song)
                yield {key: values[index : index + 1] for key, values in batch.items()}
            if len(songs) == count:
                return


def _describe(
    separator: Separator, item: dict[str, Any], frames: pd.DataFrame, *, seed: int
) -> Recording:
    """Separate one item and describe how it is heard."""
    seeds = item["seed"] + seed * 1_000_003  # as the evaluation has them
    result = separator(item["mixture"], item["f0"], seed=seeds, sources=item["sources"])
    mixture, sources, f0 = (item[key][0].numpy() for key in ("mixture", "sources", "f0"))
    estimates = result.sources[0].cpu().numpy()
    names = [str(part) for part in item["parts"][0]]
    tracks = [Track(MIXTURE, mixture, "mixture")]
    tracks += [Track(n, s, "stem", f) for n, s, f in zip(names, estimates, f0, strict=True)]
    tracks.append(Track(RESIDUAL, mixture - estimates.sum(axis=0), "residual"))
    tracks += [Track(n, s, "reference") for n, s in zip(names, sources, strict=True)]
    start = float(np.asarray(item["start"])[0]) / separator.rate
    return Recording(
        f"{item['song'][0]}, from {start:.1f} s",
        separator.rate,
        tracks,
        scores=_list_scores(item, frames, names),
        frame_seconds=separator.hop / separator.rate,
    )


def _list_scores(item: dict[str, Any], frames: pd.DataFrame, names: list[str]) -> Scores:
    """List the SI-SDR of the singers of an excerpt, means over its frames that are not silent."""
    here = frames["kept"] & (frames["excerpt"] == int(np.asarray(item["excerpt"])[0]))
    for column, key in (("song", "song"), ("mixture", "mixture_name")):
        here &= frames[column] == item[key][0]
    rows = []
    for j, name in enumerate(names):
        kept = frames[here & (frames["source"] == j)]
        means = [kept[column].mean() for column in ("si_sdr", "si_sdr_improvement")]
        rows.append([name, *("-" if np.isnan(mean) else f"{mean:.2f}" for mean in means)])
    caption = "SI-SDR in dB, means over frames of a second"
    return Scores(caption, ["singer", "stem", "better than the mixture by"], rows)
