"""Weights of batches in an accumulated step, against the mean over the step's excerpts."""

from __future__ import annotations

import itertools

import pytest

from src.training.accumulation import compute_step_share


@pytest.mark.parametrize(
    ("n_items", "batch_size", "accumulate"),
    [*itertools.product((1, 5, 12, 13), (1, 4, 5, 20), (1, 2, 3))],
)
def test_every_excerpt_of_a_step_counts_the_same(
    n_items: int, batch_size: int, accumulate: int
) -> None:
    batches = [
        range(n_items)[i : i + batch_size] for i in range(0, n_items, batch_size)
    ]  # as a loader cuts them
    for first in range(0, len(batches), accumulate):
        step = batches[first : first + accumulate]
        n_step = sum(map(len, step))
        for offset, batch in enumerate(step):
            share = compute_step_share(
                first + offset, accumulate=accumulate, batch_size=batch_size, n_items=n_items
            )
            # A batch's own mean counts 1 / len(batch) per excerpt.
            assert share / len(batch) == pytest.approx(1 / n_step)
