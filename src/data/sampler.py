"""Samplers without state: item i of epoch e is addressed as (e, i) on every rank."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch.distributed as dist
from torch.utils.data import Dataset
from torch.utils.data.distributed import DistributedSampler


class _Indices(Dataset[tuple[int, ...]]):
    """Stand-in for the data set, of which a `DistributedSampler` only asks the length."""

    def __init__(self, n: int) -> None:
        self.n = n

    def __len__(self) -> int:
        return self.n


class EpochSampler(DistributedSampler[tuple[int, ...]]):
    """Yields (epoch, index), striped over the ranks of torch.distributed.

    Rank r takes items r, r + world, ... of the epoch's order, which depends on (seed, epoch)
    only: ranks agree without communication, and a resumed run continues exactly. Lightning calls
    `set_epoch` and, because this is a `DistributedSampler`, leaves the striping alone.

    Args:
        n: number of items of the data set.
        seed: seed of the order.
        shuffle: permute the items anew each epoch.
        pad: give every rank the same number of items by repeating the first ones; without it
            every item occurs exactly once and ranks may differ by one item.
        rank, world: stripe to take; by default those of the process group, if there is one.
    """

    def __init__(
        self,
        n: int,
        *,
        seed: int = 0,
        shuffle: bool = True,
        pad: bool = True,
        rank: int | None = None,
        world: int | None = None,
    ) -> None:
        super().__init__(_Indices(n), num_replicas=world or 1, rank=rank or 0, seed=seed)
        self.n = n
        self.shuffle = shuffle
        self.pad = pad
        self._stripe = None if world is None else (rank or 0, world)

    def _find_rank_and_world(self) -> tuple[int, int]:
        if self._stripe is not None:
            return self._stripe
        if dist.is_available() and dist.is_initialized():
            return dist.get_rank(), dist.get_world_size()
        return 0, 1

    def __iter__(self) -> Iterator[tuple[int, ...]]:
        rank, world = self._find_rank_and_world()
        order = np.arange(self.n)
        if self.shuffle:
            order = np.random.default_rng([self.seed, self.epoch]).permutation(self.n)
        if self.pad:
            order = np.resize(order, -(-self.n // world) * world)
        return iter([(self.epoch, int(index)) for index in order[rank::world]])

    def __len__(self) -> int:
        rank, world = self._find_rank_and_world()
        return -(-self.n // world) if self.pad else len(range(rank, self.n, world))


class EnsembleSampler(EpochSampler):
    """Yields (epoch, index, J): every batch has its own number of singers.

    J of a batch depends on (seed, epoch, number of the batch) only: ranks and resumed runs agree,
    and the n-th batches of all ranks have the same shape.

    Args:
        n: number of items of the data set.
        n_singers: values of J to draw from; a number given twice is drawn twice as often.
        batch_size: items per batch of the loader.
        seed, shuffle, pad, rank, world: see `EpochSampler`.
    """

    def __init__(
        self,
        n: int,
        n_singers: Sequence[int],
        batch_size: int,
        *,
        seed: int = 0,
        shuffle: bool = True,
        pad: bool = True,
        rank: int | None = None,
        world: int | None = None,
    ) -> None:
        super().__init__(n, seed=seed, shuffle=shuffle, pad=pad, rank=rank, world=world)
        self.n_singers = tuple(n_singers)
        self.batch_size = batch_size

    def __iter__(self) -> Iterator[tuple[int, ...]]:
        items = list(super().__iter__())
        # Four numbers, because items and orders are seeded with fewer (see
        # `np.random.SeedSequence`).
        rng = np.random.default_rng([self.seed, self.epoch, 0, 1])
        sizes = rng.choice(self.n_singers, size=-(-len(items) // self.batch_size))
        return iter([(*item, int(sizes[i // self.batch_size])) for i, item in enumerate(items)])
