"""The door as a bare ASGI application."""

import asyncio
import json
from threading import Event

import pytest

from harness.asgi import ask, in_state, scope_of, teapot
from harness.loops import on_a_loop
from serving.door import Door
from serving.lifecycle import Lifecycle, State
from serving.metrics import Metrics
from serving.ping import METHODS, METRICS_TYPE, Application, Scope

OTHERS = [scope_of("/invocations"), scope_of("/docs"), scope_of("/ping", "PUT"), scope_of("/ping/")]


class Builder:
    """Builds the application, at most once, when it may."""

    def __init__(self) -> None:
        self.begun = 0
        self.may = Event()

    def __call__(self) -> Application:
        self.begun += 1
        self.may.wait(30)
        return teapot


def never() -> Application:
    raise AssertionError("nobody has asked for what needs it")


def fails() -> Application:
    raise ImportError("no module of that name")


@pytest.mark.parametrize("method", METHODS)
def test_it_answers_the_health_check_by_itself(method: str) -> None:
    async def test() -> None:
        answer = await ask(Door(Lifecycle()), scope_of(method=method))
        assert answer.status == 503
        assert method == "HEAD" or json.loads(answer.body) == {"state": "starting"}

    on_a_loop(test)


@pytest.mark.parametrize("scope", OTHERS)
def test_every_other_request_has_the_application_built_which_is_done_once(scope: Scope) -> None:
    async def test() -> None:
        door, build = Door(Lifecycle()), Builder()
        waiting = [asyncio.create_task(ask(door, scope)) for _ in range(3)]
        await asyncio.sleep(0)
        door.show(Metrics(), never, build)
        await asyncio.sleep(0)
        assert (await ask(door, scope_of())).status == 503  # the others do not hold it up
        assert not any(task.done() for task in waiting)
        build.may.set()
        for answer in (*await asyncio.gather(*waiting), await ask(door, scope)):
            assert (answer.status, answer.body) == (418, b"tea")
        assert build.begun == 1

    on_a_loop(test)


@pytest.mark.parametrize("scope", OTHERS)
def test_or_waits_for_one_that_is_made_elsewhere(scope: Scope) -> None:
    async def test() -> None:
        door = Door(Lifecycle())
        waiting = asyncio.create_task(ask(door, scope))
        await asyncio.sleep(0)
        door.open(teapot)
        assert (await waiting).status == 418

    on_a_loop(test)


@pytest.mark.parametrize("state", [State.STARTING, State.LOADING, State.WARMING])
def test_an_invocation_is_told_at_once_that_there_is_no_model_yet(state: State) -> None:
    async def test() -> None:
        answer = await ask(Door(in_state(state)), scope_of("/invocations", "POST"))
        assert answer.status == 503
        assert json.loads(answer.body) == {
            "code": "not_ready",
            "error": f"expected a loaded model; the server is {state.value}",
        }

    on_a_loop(test)


@pytest.mark.parametrize("state", [State.READY, State.STOPPING])
def test_an_invocation_goes_to_what_answers_it_without_the_application(state: State) -> None:
    async def test() -> None:
        door = Door(in_state(state))
        door.show(Metrics(), lambda: teapot, never)
        assert (await ask(door, scope_of("/invocations", "POST"))).status == 418
        assert (await ask(door, scope_of())).status == (200 if state is State.READY else 503)

    on_a_loop(test)


def test_what_takes_invocations_is_made_with_the_first_of_them_and_once() -> None:
    async def test() -> None:
        door, build = Door(in_state(State.READY)), Builder()
        door.show(Metrics(), build, never)
        waiting = [asyncio.create_task(ask(door, scope_of("/invocations", "POST"))) for _ in range(3)]
        await asyncio.sleep(0)
        assert (await ask(door, scope_of())).status == 200  # they do not hold it up
        build.may.set()
        assert [answer.status for answer in await asyncio.gather(*waiting)] == [418] * 3
        assert build.begun == 1

    on_a_loop(test)


def test_a_server_that_stops_before_there_was_a_model_says_so() -> None:
    async def test() -> None:
        answer = await ask(Door(in_state(State.STOPPING)), scope_of("/invocations", "POST"))
        assert (answer.status, json.loads(answer.body)["code"]) == (503, "not_ready")

    on_a_loop(test)


def test_metrics_are_shown_as_soon_as_there_are_some() -> None:
    async def test() -> None:
        door = Door(Lifecycle())
        waiting = asyncio.create_task(ask(door, scope_of("/metrics")))
        await asyncio.sleep(0)
        door.show(Metrics(), never, never)
        answer = await waiting
        assert answer.status == 200
        assert answer.headers[b"content-type"] == METRICS_TYPE.encode()
        assert b"serving_waiting_requests 0.0" in answer.body

    on_a_loop(test)


def test_the_open_door_passes_every_request_on() -> None:
    async def test() -> None:
        door = Door(Lifecycle())
        door.open(teapot)
        for scope in (scope_of(), scope_of("/invocations", "POST"), scope_of("/metrics")):
            assert (await ask(door, scope)).status == 418

    on_a_loop(test)


def test_a_caller_who_leaves_while_waiting_does_not_hold_up_others() -> None:
    async def test() -> None:
        door, build = Door(Lifecycle()), Builder()
        door.show(Metrics(), never, build)
        leaving, staying = (asyncio.create_task(ask(door, scope_of("/docs"))) for _ in range(2))
        await asyncio.sleep(0)
        leaving.cancel()
        build.may.set()
        assert (await staying).status == 418
        assert leaving.cancelled()

    on_a_loop(test)


def test_an_application_that_cannot_be_built_is_said_in_the_log_alone(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        door = Door(in_state(State.READY))
        door.show(Metrics(), fails, fails)
        for scope in (scope_of("/docs"), scope_of("/invocations", "POST")):
            answer = await ask(door, scope)
            assert answer.status == 500
            assert json.loads(answer.body)["code"] == "internal_error"
            assert b"module" not in answer.body
        assert (await ask(door, scope_of())).status == 200

    on_a_loop(test)
    assert "no module of that name" in caplog.text
