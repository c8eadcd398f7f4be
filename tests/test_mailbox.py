"""Calls for a loop that is not there yet."""

import asyncio
import threading

import pytest

from harness.loops import on_a_loop
from serving.mailbox import Mailbox


def test_calls_are_made_on_the_loop_in_order_those_before_it_first() -> None:
    mailbox = Mailbox()
    made: list[tuple[int, threading.Thread]] = []

    def call(*numbers: int) -> None:
        for number in numbers:
            mailbox.call(lambda told: made.append((told, threading.current_thread())), number)

    call(0, 1, 2)
    assert not made

    async def test() -> None:
        loop = asyncio.get_running_loop()
        mailbox.open(loop)
        await loop.run_in_executor(None, call, 3, 4, 5)
        await asyncio.sleep(0)

    on_a_loop(test)
    assert made == [(number, threading.current_thread()) for number in range(6)]


def test_a_coroutine_is_run_on_the_loop_and_its_result_told_elsewhere() -> None:
    mailbox = Mailbox()

    async def answer() -> threading.Thread:
        return threading.current_thread()

    async def test() -> None:
        loop = asyncio.get_running_loop()
        mailbox.open(loop)
        assert await loop.run_in_executor(None, lambda: mailbox.run(answer()).result()) is threading.current_thread()

    on_a_loop(test)


def test_a_loop_that_is_closed_takes_no_calls() -> None:
    mailbox = Mailbox()
    loop = asyncio.new_event_loop()
    mailbox.open(loop)
    loop.close()
    with pytest.raises(RuntimeError, match="closed"):
        mailbox.call(print)


def test_what_a_call_returns_or_raises_is_waited_for() -> None:
    mailbox = Mailbox()

    async def test() -> None:
        mailbox.open(asyncio.get_running_loop())
        assert await asyncio.to_thread(mailbox.ask, threading.current_thread) is threading.current_thread()
        with pytest.raises(ValueError, match="nonsense"):
            await asyncio.to_thread(mailbox.ask, int, "nonsense")

    on_a_loop(test)
