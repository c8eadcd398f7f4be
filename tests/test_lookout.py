"""A lookout looks again as long as somebody comes, as often as it may, and while there is room."""

import asyncio

from harness.loops import on_a_loop
from serving.lookout import LOOKS, Lookout


def turns_until_quiet(comes: int, *, room: int = 1000) -> int:
    """How many turns of the loop it takes if somebody comes in each of the first ones."""
    taken: list[int] = []

    async def test() -> None:
        came = turn = 0
        lookout = Lookout(lambda: came < room, lambda: taken.append(turn))
        lookout.look()
        assert lookout.is_looking
        lookout.look()
        while lookout.is_looking:
            turn += 1
            if came < comes:
                came += 1
                lookout.saw()
            await asyncio.sleep(0)

    on_a_loop(test)
    (turns,) = taken  # it is told once
    return turns


def test_it_is_quiet_at_once_when_nobody_comes() -> None:
    assert turns_until_quiet(0) == 1


def test_it_looks_again_as_long_as_somebody_comes() -> None:
    assert turns_until_quiet(3) == 4


def test_it_looks_no_more_often_than_it_may() -> None:
    assert turns_until_quiet(10 * LOOKS) == LOOKS + 1


def test_it_does_not_look_for_those_for_whom_there_is_no_room() -> None:
    assert turns_until_quiet(10, room=4) == 4
