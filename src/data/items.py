"""One excerpt of one mixture as tensors, and batches of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NotRequired, TypedDict

import numpy as np
import torch

from .mixtures import Mixture, find_full_mix_keys
from .readers.base import HOP
from .store import PreparedSong


class Item(TypedDict):
    """One excerpt of one mixture; T samples, J sources, N frames.

    mixture [T] and sources [J, T] (highest first) are divided by max |mixture|, f0 is [J, N] in
    Hz (0 = silent). `full_mix_peak` is the peak of all parts sung together, at the same scale.
    Songs without stems have no sources.
    """

    mixture: torch.Tensor
    sources: NotRequired[torch.Tensor]
    f0: torch.Tensor
    seed: torch.Tensor
    song: str
    mixture_name: str
    excerpt: int
    start: int
    parts: tuple[str, ...]
    singers: tuple[str, ...]
    full_mix_peak: float


def load_item(
    song: PreparedSong,
    mixture: Mixture,
    start: int,
    length: int,
    kind: str,
    seed: int,
    excerpt: int,
) -> Item:
    """Cut one excerpt out of the memory maps.

    Args:
        song, mixture: the song and the singers.
        start: first sample, a multiple of 256.
        length: T, samples.
        kind: kind of F0, see `PreparedSong.f0`.
        seed: seed of random numbers for this item.
        excerpt: the excerpt's number.
    """
    stop = start + length
    sources = None
    if song.has_stems:
        sources = np.stack([song.audio(key)[start:stop] for key in mixture.keys])
        mix = sources.sum(axis=0)
        everybody = mix + sum(
            song.audio(key)[start:stop]
            for key in find_full_mix_keys(song, mixture)
            if key not in mixture.keys
        )
    else:
        mix = everybody = song.recording()[start:stop]
    scale = float(np.abs(mix).max()) or 1.0
    first = start // HOP
    f0 = song.f0(mixture.keys, kind, first, first - (-length // HOP))
    item = Item(
        mixture=torch.from_numpy(mix / np.float32(scale)),
        f0=torch.from_numpy(np.ascontiguousarray(f0.T)),
        seed=torch.tensor(seed, dtype=torch.int64),
        song=song.name,
        mixture_name=mixture.name,
        excerpt=excerpt,
        start=start,
        parts=tuple(part for part, _ in mixture.keys),
        singers=tuple(singer for _, singer in mixture.keys),
        full_mix_peak=float(np.abs(everybody).max()) / scale,
    )
    if sources is not None:
        item["sources"] = torch.from_numpy(sources / np.float32(scale))
    return item


def collate(items: Sequence[Item]) -> dict[str, Any]:
    """Stack items to a batch: tensors and numbers become tensors [B, ...], text becomes lists.

    A batch has what all of its items have.
    """
    batch: dict[str, Any] = {}
    for key in (key for key in items[0] if all(key in item for item in items)):
        values: list[Any] = [item[key] for item in items]  # type: ignore[literal-required]
        if isinstance(values[0], torch.Tensor):
            batch[key] = torch.stack(values)
        elif isinstance(values[0], (int, float)):
            batch[key] = torch.tensor(values)
        else:
            batch[key] = values
    return batch
