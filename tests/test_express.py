"""A ride whose client leaves in the moment in which its answer is ready; and what an answered one leaves behind."""

import asyncio
import gc
import json
import weakref
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from harness.loops import on_a_loop
from models import Recorder, identity
from serving.answer import Answer
from serving.batch import split
from serving.codecs import Form
from serving.cohort import Cohort
from serving.dispatcher import Dispatcher
from serving.express import Ride
from serving.lifecycle import Lifecycle
from serving.metrics import Metrics
from serving.room import COMING
from serving.service import Service
from serving.settings import MEGABYTE, Settings


class Ready:
    """An invocation that has its answer as soon as it is asked, though in a task of its own."""

    def is_long(self, body: bytes) -> bool:
        return bool(body)

    async def run(self, body: bytes) -> Answer:
        return Answer(body[:2], "text/plain")


async def _answers(*, leaves: bool) -> list[Answer]:
    answers: list[Answer] = []
    ride = Ride(Service(Settings(), Lifecycle()), Cohort(), cast("Any", Ready()), answers.append)
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
        serving = SimpleNamespace(dispatcher=dispatcher)
        writing = SimpleNamespace(splitting=lambda form: split)  # noqa: ARG005 (of any form)
        self._begun = SimpleNamespace(serving=serving, inputs={"x": row}, form=Form.ROW, writing=writing)
        self.has_company = False

    def is_long(self, body: bytes) -> bool:
        return not body

    def announce(self) -> None:
        """It is alone."""

    def attempt(self, body: bytes) -> SimpleNamespace:
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
        invocation = cast("Any", Asking(dispatcher, row))
        ride = Ride(Service(Settings(), Lifecycle()), Cohort(), invocation, answered.set_result)
        ride.start(b"body")
        if leaves:
            ride.leave()
        else:
            assert (await answered).body == b"ok"
        del row, ride, invocation
        model.asked.clear()
        await gone.wait()  # the lane may still be at its last step
        dispatcher.close()

    gc.disable()
    try:
        on_a_loop(test)
    finally:
        gc.enable()


@pytest.mark.parametrize(("is_free", "status", "code"), [(True, 408, "body_timeout"), (False, 503, "overloaded")])
def test_a_body_that_is_not_whole_in_time_has_its_answer(is_free: bool, status: int, code: str) -> None:
    async def test() -> None:
        service = Service(Settings(timeout=0.1, max_bodies_mb=1), Lifecycle())
        service.make_room(cores=2)
        room = service.room
        other = None if is_free else room.ask(room.extent.whole, lambda: None)
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        began: list[str] = []
        ride = Ride(service, Cohort(), cast("Any", Ready()), answered.set_result)
        ride.reserve(MEGABYTE, lambda: began.append("now"))
        answer = await answered
        assert (answer.status, json.loads(answer.body)["code"]) == (status, code)
        ride.let_go()
        assert began == ["now"] * is_free
        assert room.waiting == 0
        assert service.metrics.requests == {status: 1}
        if other:
            room.leave(other)
        assert room.ask(room.extent.whole, lambda: None).is_given

    on_a_loop(test)


def test_a_place_is_kept_until_the_answer_is_sent() -> None:
    async def test() -> None:
        service = Service(Settings(timeout=0.1, max_bodies_mb=1), Lifecycle())
        service.make_room(cores=2)
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        aborted = asyncio.Event()
        ride = Ride(service, Cohort(), cast("Any", Ready()), answered.set_result)
        ride.reserve(MEGABYTE, lambda: ride.start(b"body"))
        next_ride = service.room.ask(MEGABYTE, lambda: None)
        assert (await answered).body == b"bo"
        ride.hold(aborted.set)
        assert not next_ride.is_given
        await aborted.wait()
        ride.let_go()
        assert next_ride.is_given

    on_a_loop(test)


def test_too_many_that_wait_for_room_are_refused_at_once() -> None:
    async def test() -> None:
        service = Service(Settings(max_bodies_mb=1, max_queue=1), Lifecycle())
        service.make_room(cores=2)
        answers: list[Answer] = []
        rides = [Ride(service, Cohort(), cast("Any", Ready()), answers.append) for _ in range(3)]
        for ride in rides:
            ride.reserve(MEGABYTE, lambda: None)
        assert [answer.status for answer in answers] == [503]
        assert service.metrics.waiting == 1
        for ride in rides[:2]:
            ride.leave()
        assert service.metrics.waiting == 0
        assert service.room.ask(MEGABYTE, lambda: None).is_given

    on_a_loop(test)


def test_one_that_has_waited_long_has_all_the_time_to_come() -> None:
    async def test() -> None:
        service = Service(Settings(timeout=1.0, max_bodies_mb=1), Lifecycle())
        service.make_room(cores=2)
        loop = asyncio.get_running_loop()
        other = service.room.ask(MEGABYTE, lambda: None)
        answered: asyncio.Future[Answer] = loop.create_future()
        began: asyncio.Future[float] = loop.create_future()
        Ride(service, Cohort(), cast("Any", Ready()), answered.set_result).reserve(
            MEGABYTE, lambda: began.set_result(loop.time())
        )
        loop.call_later(0.8, service.room.leave, other)
        assert (await answered).status == 408
        assert loop.time() - await began >= COMING

    on_a_loop(test)
