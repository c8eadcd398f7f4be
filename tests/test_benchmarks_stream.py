"""Requests of several kinds as they wait: what may be run together, and that callers wait for one another."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from benchmarks.stream import ORDERS, Stream
from harness.loops import DEADLINE_SECONDS

KINDS = (0, 1, 2, 1)


def test_the_oldest_goes_first_with_those_like_it() -> None:
    stream = Stream(KINDS, 4, "oldest")
    assert stream.take() == (0, 1)
    assert stream.take() == (1, 2)


def test_or_the_kind_of_which_most_wait() -> None:
    stream = Stream(KINDS, 4, "most")
    assert stream.take() == (1, 2)
    assert stream.take() == (0, 1)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("callers", [1, 2])
def test_no_more_are_at_hand_than_there_are_callers_and_all_get_their_turn(order: str, callers: int) -> None:
    stream = Stream(KINDS, callers, order)
    taken = []
    for _ in range(20):
        kind, rows = stream.take()
        assert rows <= callers
        taken += [kind] * rows
        stream.give_back(rows)
    assert set(taken) == set(KINDS)
    assert abs(taken.count(1) - len(taken) / 2) <= callers


def test_who_finds_nobody_waits_for_a_run_to_end() -> None:
    stream = Stream(KINDS, 1, "oldest")
    assert stream.take() == (0, 1)
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(stream.take)
        assert not other.done()
        stream.give_back(1)
        assert other.result(DEADLINE_SECONDS) == (1, 1)
