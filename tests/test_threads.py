"""Several things at the same time: in order, with the caller's settings, and nothing is left."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
import torch

from src.progress import listen, tell
from src.threads import give_up_if_unwanted, map_in_threads


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
def test_results_come_in_the_order_of_the_items(threads: int) -> None:
    torch.set_num_threads(threads)

    def work(item: int) -> int:
        time.sleep(0.01 * (item % 3))
        return item * item

    assert list(map_in_threads(work, range(10), most=4)) == [(k, k * k) for k in range(10)]
    assert list(map_in_threads(work, [], most=4)) == []


@pytest.mark.parametrize(
    ("threads", "most", "workers", "share"),
    [(1, 4, 1, 1), (3, 8, 3, 1), (8, 2, 2, 4), (5, 1, 1, 5)],
)
def test_threads_are_shared_and_given_back(
    threads: int, most: int, workers: int, share: int
) -> None:
    torch.set_num_threads(threads)
    together = threading.Barrier(workers)

    def work(_: int) -> tuple[int, int]:
        together.wait(30)  # nobody gets past this unless so many run at the same time
        return threading.get_ident(), torch.get_num_threads()

    found = [result for _, result in map_in_threads(work, range(2 * workers), most=most)]
    assert {count for _, count in found} == {share}
    assert len({thread for thread, _ in found}) == workers
    assert torch.get_num_threads() == threads
    if workers == 1:
        assert found[0][0] == threading.get_ident()


def test_calls_see_what_holds_for_their_caller() -> None:
    torch.set_num_threads(2)
    heard: list[float] = []

    def work(share: float) -> tuple[bool, bool]:
        tell(share)
        return torch.is_grad_enabled(), torch.is_inference_mode_enabled()

    for grad in (True, False):
        with torch.set_grad_enabled(grad), listen(heard.append):
            assert [x for _, x in map_in_threads(work, [0.1, 0.2], most=2)] == [(grad, False)] * 2
    with torch.inference_mode():
        assert [x for _, x in map_in_threads(work, [0.1], most=2)] == [(False, True)]
    assert sorted(heard) == [0.1, 0.1, 0.2, 0.2]


def test_no_more_items_are_read_than_work_needs() -> None:
    torch.set_num_threads(2)
    read = 0

    def items() -> Iterator[int]:
        nonlocal read
        while read < 99:
            read += 1
            yield read

    for done, _ in map_in_threads(lambda item: item, items(), most=8):
        assert read <= done + 2
    assert read == 99


@pytest.mark.parametrize("threads", [1, 3])
def test_an_error_comes_where_its_item_is_and_ends_the_work(threads: int) -> None:
    torch.set_num_threads(threads)
    begun: list[int] = []

    def work(item: int) -> int:
        begun.append(item)
        if item == 2:
            raise ValueError("the third")
        return item

    results = map_in_threads(work, range(50), most=3)
    assert [next(results), next(results)] == [(0, 0), (1, 1)]
    with pytest.raises(ValueError, match="the third"):
        next(results)
    assert max(begun) <= 2 + threads
    assert torch.get_num_threads() == threads
    assert not [t for t in threading.enumerate() if t.name.startswith("umss")]


@pytest.mark.parametrize("why", ["error", "closed"])
def test_work_that_nobody_waits_for_is_given_up(why: str) -> None:
    torch.set_num_threads(2)
    begun = threading.Event()

    def work(item: int) -> int:
        if item == 0:
            assert begun.wait(30)
            if why == "error":
                raise ValueError("the first")
            return item
        begun.set()
        for _ in range(6000):
            give_up_if_unwanted()
            time.sleep(0.01)
        raise AssertionError("ran for a minute")

    start = time.monotonic()
    results = map_in_threads(work, range(5), most=2)
    if why == "error":
        with pytest.raises(ValueError, match="the first"):
            next(results)
    else:
        assert next(results) == (0, 0)
        results.close()
    assert time.monotonic() - start < 30
    assert not [t for t in threading.enumerate() if t.name.startswith("umss")]
    give_up_if_unwanted()  # nothing happens here


def test_nothing_runs_on_where_nobody_wants_more() -> None:
    torch.set_num_threads(2)
    results = map_in_threads(lambda item: item, range(50), most=2)
    assert next(results) == (0, 0)
    results.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("umss")]
    assert torch.get_num_threads() == 2
