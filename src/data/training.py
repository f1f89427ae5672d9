"""Builds the training excerpts and the loaders.

Excerpts are of the songs' own mixtures or of dynamic mixing, maybe with F0 errors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from .excerpts import FixedExcerpts, Regions, TrainExcerpts
from .f0_augmentation import F0Augmentation, WrongF0Excerpts
from .items import Item, collate
from .mixing import MixedExcerpts, Mixing
from .mixtures import Singers
from .sampler import EnsembleSampler, EpochSampler, EqualSizeBatches
from .store import PreparedSong

# Random excerpts per 10-s part and epoch (paper: three times more for the small set).
PER_PART = {"full": 4, "small": 12}
TrainingSet = TrainExcerpts | MixedExcerpts | WrongF0Excerpts


def build_training_set(
    songs: Sequence[PreparedSong],
    n_singers: int,
    kind: str,
    *,
    size: str,
    cross_singers: bool,
    mixing: Mixing,
    f0_augmentation: F0Augmentation,
    seed: int,
    singers: Singers,
    regions: Regions | None,
    excerpt_samples: int,
) -> TrainingSet:
    """Build the training excerpts of an epoch.

    Args:
        songs: prepared songs.
        n_singers: J, unless `mixing` has its own.
        kind: kind of F0, see `PreparedSong.f0`.
        size: "full" or "small": excerpts per epoch.
        cross_singers: see `src.data.mixtures.list_mixtures`.
        mixing: dynamic mixing; off if its `n_singers` is None.
        f0_augmentation: errors in the F0; off with probability 0.
        seed, singers, regions, excerpt_samples: see `TrainExcerpts`.
    """
    excerpts: TrainExcerpts | MixedExcerpts
    if mixing.n_singers:
        excerpts = MixedExcerpts(
            songs,
            kind,
            mixing,
            seed=seed,
            per_part=PER_PART[size],
            singers=singers,
            regions=regions,
            excerpt_samples=excerpt_samples,
        )
    else:
        excerpts = TrainExcerpts(
            songs,
            n_singers,
            kind,
            seed=seed,
            per_part=PER_PART[size],
            singers=singers,
            cross_singers=cross_singers,
            regions=regions,
            excerpt_samples=excerpt_samples,
        )
    if f0_augmentation.probability > 0:
        return WrongF0Excerpts(excerpts, f0_augmentation)
    return excerpts


def list_sizes(dataset: Dataset[Item]) -> list[int] | None:
    """List J of every item; None where J is drawn for every batch, by dynamic mixing."""
    inner = dataset.excerpts if isinstance(dataset, WrongF0Excerpts) else dataset
    return inner.sizes if isinstance(inner, (TrainExcerpts, FixedExcerpts)) else None


def build_loader(
    dataset: Dataset[Item],
    sampler: EpochSampler,
    *,
    batch_size: int,
    num_workers: int,
    pin_memory: bool,
    seed: int,
) -> DataLoader[Item]:
    """Build the loader; every batch has mixtures of one number of singers.

    Args:
        dataset: excerpts.
        sampler: their order.
        batch_size, num_workers, pin_memory: see `torch.utils.data.DataLoader`.
        seed: of the workers.
    """
    sizes = list_sizes(dataset)
    batches: dict[str, Any] = {"batch_size": batch_size, "sampler": sampler}
    if sizes is not None and len(set(sizes)) > 1:
        batches = {"batch_sampler": EqualSizeBatches(sampler, sizes, batch_size)}
    return DataLoader(
        dataset,
        **batches,
        num_workers=num_workers,
        collate_fn=collate,
        pin_memory=pin_memory,
        persistent_workers=num_workers > 0,
        # Its own generator, so that worker seeds are not drawn from the global one.
        generator=torch.Generator().manual_seed(seed),
    )


def build_sampler(n_items: int, mixing: Mixing, batch_size: int, *, seed: int) -> EpochSampler:
    """Build the sampler, which draws a new order every epoch; with mixing, also J of each batch."""
    if mixing.n_singers:
        return EnsembleSampler(n_items, mixing.n_singers, batch_size, seed=seed)
    return EpochSampler(n_items, seed=seed)
