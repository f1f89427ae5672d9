"""Epoch sampler: order, striping, padding."""

from __future__ import annotations

from collections import Counter

import pytest
from torch.utils.data.distributed import DistributedSampler

from src.data.sampler import EpochSampler


def test_order_depends_on_seed_and_epoch_only() -> None:
    def order(seed: int, epoch: int) -> list[tuple[int, int]]:
        sampler = EpochSampler(20, seed=seed)
        sampler.set_epoch(epoch)
        return list(sampler)

    assert order(0, 4) == order(0, 4)
    assert [i for _, i in order(0, 4)] != [i for _, i in order(0, 5)]
    assert [i for _, i in order(0, 4)] != [i for _, i in order(1, 4)]
    assert {e for e, _ in order(0, 4)} == {4}
    assert sorted(i for _, i in order(0, 4)) == list(range(20))


def test_without_shuffling_items_come_in_order() -> None:
    assert [i for _, i in EpochSampler(5, shuffle=False)] == list(range(5))


@pytest.mark.parametrize("n", [1, 2, 7, 12, 13])
@pytest.mark.parametrize("world", [1, 2, 3])
@pytest.mark.parametrize("shuffle", [False, True])
def test_ranks_share_the_items(n: int, world: int, shuffle: bool) -> None:
    for pad in (False, True):
        stripes = []
        for rank in range(world):
            sampler = EpochSampler(n, shuffle=shuffle, pad=pad, rank=rank, world=world, seed=3)
            sampler.set_epoch(2)
            stripes.append([i for _, i in sampler])
            assert len(stripes[-1]) == len(sampler)
        counts = Counter(i for stripe in stripes for i in stripe)
        assert set(counts) == set(range(n))
        if pad:
            assert len({len(stripe) for stripe in stripes}) == 1
            assert sum(counts.values()) - n < world
        else:
            assert set(counts.values()) == {1}


def test_lightning_leaves_it_alone() -> None:
    assert isinstance(EpochSampler(3), DistributedSampler)
