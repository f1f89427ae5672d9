"""Builds the training excerpts: the songs' own mixtures or dynamic mixing, maybe with F0 errors."""

from __future__ import annotations

from collections.abc import Sequence

from .excerpts import Regions, TrainExcerpts
from .f0_augmentation import F0Augmentation, WrongF0Excerpts
from .mixing import MixedExcerpts, Mixing
from .mixtures import Singers
from .sampler import EnsembleSampler, EpochSampler
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


def build_training_sampler(
    n_items: int, mixing: Mixing, batch_size: int, *, seed: int
) -> EpochSampler:
    """Build the sampler, which draws a new order every epoch; with mixing, also J of each batch."""
    if mixing.n_singers:
        return EnsembleSampler(n_items, mixing.n_singers, batch_size, seed=seed)
    return EpochSampler(n_items, seed=seed)
