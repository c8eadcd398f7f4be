"""`/ping` as a bare ASGI application."""

import json

import pytest

from harness.asgi import ask, in_state, scope_of
from harness.loops import on_a_loop
from serving.lifecycle import State
from serving.ping import METHODS, Ping


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
