"""`/ping` and the door as bare ASGI applications."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from serving.lifecycle import Lifecycle, State
from serving.metrics import Metrics
from serving.ping import METHODS, METRICS_TYPE, Door, Message, Ping, Receive, Scope, Send


def scope_of(path: str = "/ping", method: str = "GET") -> Scope:
    return {"type": "http", "path": path, "method": method}


async def nothing() -> Message:
    raise AssertionError("a health check has no body to read")


class Answer:
    """Collects what an application sends."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    async def __call__(self, message: Message) -> None:
        self.messages.append(message)

    @property
    def status(self) -> int:
        return int(self.messages[0]["status"])

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.messages[0]["headers"])

    @property
    def body(self) -> bytes:
        return b"".join(message["body"] for message in self.messages[1:])


async def ask(application: Ping | Door, scope: Scope) -> Answer:
    answer = Answer()
    await application(scope, nothing, answer)
    return answer


def in_state(state: State) -> Lifecycle:
    lifecycle = Lifecycle()
    lifecycle.enter(state)
    return lifecycle


def on_a_loop(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30):
            await test()

    asyncio.run(bounded())


async def teapot(scope: Scope, receive: Receive, send: Send) -> None:
    """The application behind the door."""
    del scope, receive
    await send({"type": "http.response.start", "status": 418, "headers": []})
    await send({"type": "http.response.body", "body": b"tea"})


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("method", METHODS)
def test_the_health_check_is_200_in_ready_alone_and_names_the_state(state: State, method: str) -> None:
    async def test() -> None:
        answer = await ask(Ping(in_state(state)), scope_of(method=method))
        expected = json.dumps({"state": state.value}).encode()
        assert answer.status == (200 if state is State.READY else 503)
        assert answer.body == (b"" if method == "HEAD" else expected)
        assert answer.headers == {
            b"content-type": b"application/json",
            b"content-length": str(len(expected)).encode(),
        }

    on_a_loop(test)


@pytest.mark.parametrize("method", METHODS)
def test_the_closed_door_answers_the_health_check_itself(method: str) -> None:
    async def test() -> None:
        answer = await ask(Door(Lifecycle()), scope_of(method=method))
        assert answer.status == 503
        assert method == "HEAD" or json.loads(answer.body) == {"state": "starting"}

    on_a_loop(test)


@pytest.mark.parametrize(
    "scope", [scope_of("/invocations"), scope_of("/metrics"), scope_of("/ping", "PUT"), scope_of("/ping/")]
)
def test_every_other_request_waits_for_the_door_to_open(scope: Scope) -> None:
    async def test() -> None:
        door = Door(Lifecycle())
        waiting = [asyncio.create_task(ask(door, scope)) for _ in range(3)]
        await asyncio.sleep(0)
        assert (await ask(door, scope_of())).status == 503  # the others do not hold it up
        assert not any(task.done() for task in waiting)
        door.open(teapot)
        for answer in await asyncio.gather(*waiting):
            assert (answer.status, answer.body) == (418, b"tea")

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


def test_an_invocation_of_a_model_that_is_there_waits_for_the_door() -> None:
    async def test() -> None:
        door = Door(in_state(State.READY))
        waiting = asyncio.create_task(ask(door, scope_of("/invocations", "POST")))
        await asyncio.sleep(0)
        door.open(teapot)
        assert (await waiting).status == 418

    on_a_loop(test)


def test_metrics_are_shown_as_soon_as_there_are_some() -> None:
    async def test() -> None:
        door = Door(Lifecycle())
        waiting = asyncio.create_task(ask(door, scope_of("/metrics")))
        await asyncio.sleep(0)
        door.show(Metrics())
        answer = await waiting
        assert answer.status == 200
        assert answer.headers[b"content-type"] == METRICS_TYPE.encode()
        assert b"serving_waiting_requests 0.0" in answer.body

    on_a_loop(test)


def test_the_open_door_passes_every_request_on() -> None:
    async def test() -> None:
        door = Door(Lifecycle())
        door.open(teapot)
        for scope in (scope_of(), scope_of("/invocations", "POST")):
            assert (await ask(door, scope)).status == 418

    on_a_loop(test)


def test_a_caller_who_leaves_while_waiting_does_not_hold_up_others() -> None:
    async def test() -> None:
        door = Door(Lifecycle())
        leaving, staying = (asyncio.create_task(ask(door, scope_of("/metrics"))) for _ in range(2))
        await asyncio.sleep(0)
        leaving.cancel()
        door.open(teapot)
        assert (await staying).status == 418
        assert leaving.cancelled()

    on_a_loop(test)
