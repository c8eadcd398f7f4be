"""Deadlines on a real loop, with an alarm that is set for the oldest alone."""

import asyncio
from dataclasses import dataclass
from time import monotonic

from serving.waiting import Waiting

PATIENCE = 10.0
SOON = 0.02


@dataclass(eq=False)
class Request:
    """One with a deadline."""

    deadline: float


def in_seconds(seconds: float) -> Request:
    return Request(monotonic() + seconds)


async def given_up(*requests: Request, removed: tuple[Request, ...] = (), until: int) -> list[Request]:
    """Those that are given up, once they are so many."""
    late: list[Request] = []
    enough = asyncio.Event()

    def give_up(request: Request) -> None:
        late.append(request)
        if len(late) == until:
            enough.set()

    waiting: Waiting[Request] = Waiting(give_up)
    for request in requests:
        waiting.add(request)
    for request in removed:
        assert waiting.remove(request)
        assert not waiting.remove(request)
    await asyncio.wait_for(enough.wait(), PATIENCE)
    assert not any(waiting.remove(request) for request in late)
    return late


def test_they_are_given_up_in_order_and_none_too_early() -> None:
    first, second, third = in_seconds(SOON), in_seconds(2 * SOON), in_seconds(3 * SOON)
    late = asyncio.run(given_up(first, second, third, until=3))
    assert late == [first, second, third]
    assert monotonic() >= third.deadline


def test_whoever_has_an_answer_is_not_given_up() -> None:
    first, second, later = in_seconds(SOON), in_seconds(SOON), in_seconds(PATIENCE)
    assert asyncio.run(given_up(first, second, later, removed=(first,), until=1)) == [second]


def test_one_that_comes_after_all_others_have_gone_has_an_alarm_too() -> None:
    async def test() -> list[Request]:
        late: list[Request] = []
        done = asyncio.Event()

        def give_up(request: Request) -> None:
            late.append(request)
            done.set()

        waiting: Waiting[Request] = Waiting(give_up)
        for _ in range(2):
            done.clear()
            waiting.add(in_seconds(SOON))
            await asyncio.wait_for(done.wait(), PATIENCE)
        return late

    assert len(asyncio.run(test())) == 2
