"""Samplers without state: item i of epoch e is addressed as (e, i) on every rank."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch.distributed as dist
from numpy.typing import NDArray
from torch.utils.data import Dataset, Sampler
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

    @property
    def world(self) -> int:
        """Number of ranks that share the items."""
        return self._find_rank_and_world()[1]

    def draw_order(self) -> NDArray[np.int64]:
        """Draw the order of all items in this epoch, those of all ranks: [n]."""
        if self.shuffle:
            return np.random.default_rng([self.seed, self.epoch]).permutation(self.n)
        return np.arange(self.n)

    def take_stripe(self, order: NDArray[np.int64]) -> list[tuple[int, ...]]:
        """Take this rank's items out of an order [n]."""
        rank, world = self._find_rank_and_world()
        if self.pad:
            order = np.resize(order, -(-len(order) // world) * world)
        return [(self.epoch, int(index)) for index in order[rank::world]]

    def __iter__(self) -> Iterator[tuple[int, ...]]:
        return iter(self.take_stripe(self.draw_order()))

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


class EqualSizeBatches(Sampler[list[tuple[int, ...]]]):
    """Yields batches of items that have the same number of singers, in the order of a sampler.

    A batch is due when the sampler has yielded enough items of one size; what remains of each size
    makes a smaller batch at the end. All ranks have as many batches, of equal lengths.

    Args:
        sampler: order of the items, and this process's share of them.
        sizes: J of every item.
        batch_size: items per batch and rank.
    """

    def __init__(self, sampler: EpochSampler, sizes: Sequence[int], batch_size: int) -> None:
        self.sampler = sampler  # under this name, Lightning tells it the epoch
        self.sizes = np.array(sizes)
        self.batch_size = batch_size

    def _list_batches(self) -> list[list[tuple[int, ...]]]:
        order = self.sampler.draw_order()
        size = self.sizes[order]
        block = self.batch_size * self.sampler.world
        cut: list[tuple[int, NDArray[np.int64]]] = []
        for value in np.unique(size):
            places = np.flatnonzero(size == value)
            for i in range(0, len(places), block):
                chosen = places[i : i + block]
                # Incomplete blocks are due at the end of the order.
                due = int(chosen[-1]) if len(chosen) == block else len(order)
                cut.append((due, chosen))
        blocks = [chosen for _, chosen in sorted(cut, key=lambda entry: entry[0])]
        batches = [self.sampler.take_stripe(order[chosen]) for chosen in blocks]
        return [batch for batch in batches if batch]

    def __iter__(self) -> Iterator[list[tuple[int, ...]]]:
        return iter(self._list_batches())

    def __len__(self) -> int:
        return len(self._list_batches())

    def list_lengths(self) -> list[int]:
        """List how many items each batch of this epoch has."""
        return [len(batch) for batch in self._list_batches()]
