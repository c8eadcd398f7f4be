"""A ride whose client leaves in the moment in which its answer is ready; and what an answered one leaves behind."""

import asyncio
import gc
import weakref
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from harness.loops import on_a_loop
from models import Recorder, identity
from serving.dispatcher import Dispatcher
from serving.express import Ride
from serving.invocations import Answer
from serving.lifecycle import Lifecycle
from serving.metrics import Metrics
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


class Asking:
    """An invocation that asks a model for the row that it is given."""

    def __init__(self, dispatcher: Dispatcher, row: object) -> None:
        self._begun = SimpleNamespace(serving=SimpleNamespace(dispatcher=dispatcher), inputs={"x": row})

    def is_long(self, body: bytes) -> bool:
        return not body

    def begin(self, body: bytes) -> SimpleNamespace:
        del body
        return self._begun

    def end(self, begun: object, outputs: object) -> Answer:
        del begun, outputs
        return Answer(b"ok", "text/plain")


@pytest.mark.parametrize("leaves", [False, True])
def test_the_arrays_of_a_request_go_without_the_collector(leaves: bool) -> None:
    """Pictures that waited for it took 300 MB."""

    async def test() -> None:
        model = Recorder(identity)
        dispatcher = Dispatcher(model, lanes=1, max_rows=1, max_waiting=1, timeout=60.0, metrics=Metrics())
        loop = asyncio.get_running_loop()
        answered, gone = loop.create_future(), asyncio.Event()
        row = np.zeros((1, 3))
        weakref.finalize(row, loop.call_soon_threadsafe, gone.set)
        ride = Ride(Service(Settings(), Lifecycle()), cast("Any", Asking(dispatcher, row)), answered.set_result)
        ride.start(b"body")
        if leaves:
            ride.leave()
        else:
            assert (await answered).body == b"ok"
        del row, ride
        model.asked.clear()
        await gone.wait()  # the lane may still be at its last step
        dispatcher.close()

    gc.disable()
    try:
        on_a_loop(test)
    finally:
        gc.enable()
