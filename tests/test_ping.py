"""`/ping` as a bare ASGI application."""

import json

import pytest

from harness.asgi import ask, in_state, scope_of
from harness.loops import on_a_loop
from serving.lifecycle import State
from serving.ping import METHODS, Ping, is_to_be_kept


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


LINE = b"GET /ping HTTP/1.1"


@pytest.mark.parametrize(
    ("fields", "kept"),
    [
        ([], True),
        ([b"Host: x", b"User-Agent: a", b"Accept: */*"], True),
        ([b"Connection: Keep-Alive"], True),
        ([b"connection: close", b"content-length: 0"], False),
        ([b"Connection: upgrade"], None),
        ([b"Content-Length: 2"], None),
        ([b"Transfer-Encoding: chunked"], None),
        ([b"Expect: 100-continue"], None),
        ([b"no colon"], None),
    ],
)
def test_health_checks_of_the_plainest_kind_are_known_by_their_heads(fields: list[bytes], kept: bool | None) -> None:
    assert is_to_be_kept(b"\r\n".join([LINE, *fields])) is kept


@pytest.mark.parametrize(
    "line", [b"HEAD /ping HTTP/1.1", b"GET /ping HTTP/1.0", b"GET /ping?a HTTP/1.1", b"GET /pings HTTP/1.1", b""]
)
def test_all_else_is_left_to_the_general_parser(line: bytes) -> None:
    assert is_to_be_kept(line + b"\r\nHost: x") is None
