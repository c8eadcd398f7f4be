"""What is made when it is first needed is made once, in a thread, whoever leaves meanwhile."""

import asyncio
from threading import Event, get_ident

import pytest

from harness.loops import on_a_loop
from serving.later import Later


def test_it_is_made_once_in_a_thread_when_it_is_asked_for() -> None:
    async def test() -> None:
        threads: list[int] = []

        def make() -> str:
            threads.append(get_ident())
            return "it"

        later = Later(make)
        assert (later.made, threads) == (None, [])
        assert await asyncio.gather(*(later.get() for _ in range(3))) == ["it"] * 3
        assert later.made == "it"
        assert len(threads) == 1
        assert threads[0] != get_ident()

    on_a_loop(test)


def test_whoever_leaves_does_not_stop_it() -> None:
    async def test() -> None:
        may = Event()

        def make() -> str:
            may.wait(30)
            return "it"

        later = Later(make)
        leaving, staying = (asyncio.create_task(later.get()) for _ in range(2))
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.sleep(0)
        assert later.made is None
        may.set()
        assert await staying == "it"
        assert leaving.cancelled()

    on_a_loop(test)


def test_what_cannot_be_made_is_tried_once_and_everyone_is_told() -> None:
    async def test() -> None:
        tries: list[int] = []

        def make() -> str:
            tries.append(1)
            raise ImportError("no module of that name")

        later = Later(make)
        for _ in range(2):
            with pytest.raises(ImportError, match="of that name"):
                await later.get()
        assert (tries, later.made) == ([1], None)

    on_a_loop(test)
