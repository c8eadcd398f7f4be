"""Long work is done beside the loop, and very long work one at a time."""

import asyncio
from threading import Barrier, Event, current_thread

import pytest

from serving.offload import HUGE_BYTES, THREADS, Offload

PATIENCE = 10.0


def test_long_work_is_done_side_by_side() -> None:
    meeting = Barrier(THREADS)

    async def test() -> list[int]:
        offload = Offload()
        try:
            return await asyncio.gather(*(offload.run(lambda: meeting.wait(PATIENCE), 1) for _ in range(THREADS)))
        finally:
            offload.close()

    assert sorted(asyncio.run(test())) == list(range(THREADS))


def test_very_long_work_is_done_one_after_the_other_and_holds_no_other_up() -> None:
    async def test() -> None:
        offload = Offload()
        gate, first, begun = Event(), Event(), []

        def work(number: int) -> str:
            begun.append(number)
            first.set()
            assert gate.wait(PATIENCE)
            return current_thread().name

        huge = [asyncio.create_task(offload.run(lambda n=number: work(n), HUGE_BYTES)) for number in range(3)]  # type: ignore[misc]
        # Meanwhile the loop goes on, and so does what is merely long.
        assert await asyncio.wait_for(offload.run(lambda: first.wait(PATIENCE), HUGE_BYTES - 1), PATIENCE)
        assert begun == [0]
        gate.set()
        assert len(set(await asyncio.gather(*huge))) == 1
        assert begun == [0, 1, 2]
        offload.close()

    asyncio.run(test())


def test_what_fails_is_raised() -> None:
    async def test() -> None:
        offload = Offload()
        try:
            await offload.run(lambda: 1 // 0, 1)
        finally:
            offload.close()

    with pytest.raises(ZeroDivisionError):
        asyncio.run(test())
