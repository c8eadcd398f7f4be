"""A ride whose client leaves in the moment in which its answer is ready."""

import asyncio
from typing import Any, cast

from serving.express import Ride
from serving.invocations import Answer
from serving.lifecycle import Lifecycle
from serving.service import Service
from serving.settings import Settings


class Ready:
    """An invocation that has its answer as soon as it is asked, though in a task of its own."""

    def is_long(self, body: bytes) -> bool:
        return bool(body)

    async def run(self, body: bytes) -> Answer:
        return Answer(body[:2], "text/plain")


async def _answers(*, leaves: bool) -> list[Answer]:
    answers: list[Answer] = []
    ride = Ride(Service(Settings(), Lifecycle()), cast("Any", Ready()), answers.append)
    ride.start(b"body")
    await asyncio.sleep(0)  # the task has ended, and who follows it has not been told
    if leaves:
        ride.leave()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return answers


def test_an_answer_that_is_ready_is_given() -> None:
    assert len(asyncio.run(_answers(leaves=False))) == 1


def test_a_client_that_has_left_is_given_no_answer_though_it_was_ready() -> None:
    assert not asyncio.run(_answers(leaves=True))
