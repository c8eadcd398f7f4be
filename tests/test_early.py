"""An ordinary invocation before there is a model is told so; all else is not judged here."""

import json

import pytest

from harness.asgi import in_state
from serving.answer import Answer
from serving.early import Early
from serving.lifecycle import State

HEAD = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 9"


def never(answer: Answer) -> None:
    pytest.fail(f"{answer} was not asked for")


GETTING_READY = [State.STARTING, State.LOADING, State.WARMING]


@pytest.mark.parametrize("state", GETTING_READY)
@pytest.mark.parametrize("is_large", [True, False])
def test_it_is_refused_with_the_state_whatever_its_size(state: State, is_large: bool) -> None:
    answers: list[Answer] = []
    taken = Early(in_state(state)).take(HEAD, answers.append)
    assert taken is not None
    ride, length, is_kept = taken
    assert (length, is_kept, ride.is_last) == (9, True, False)
    if is_large:
        ride.reserve(9, lambda: pytest.fail("its body is of no use"))
    else:
        ride.start(b"123456789")
    ride.hold(lambda: None)
    ride.let_go()
    ride.leave()
    (answer,) = answers
    assert answer.status == 503
    assert json.loads(answer.body) == {
        "code": "not_ready",
        "error": f"expected a loaded model; the server is {state.value}",
    }


@pytest.mark.parametrize("state", set(State) - set(GETTING_READY))
def test_in_any_other_state_the_general_way_judges(state: State) -> None:
    assert Early(in_state(state)).take(HEAD, never) is None


@pytest.mark.parametrize(
    "head",
    [
        b"GET /invocations HTTP/1.1\r\nContent-Length: 9",
        HEAD + b"\r\nExpect: 100-continue",
        HEAD + b"\r\nConnection: upgrade",
        HEAD[:-1] + b"0",
        b"POST /invocations HTTP/1.1",
    ],
)
def test_so_it_does_of_what_is_not_ordinary(head: bytes) -> None:
    assert Early(in_state(State.LOADING)).take(head, never) is None


def test_a_client_that_wants_no_more_is_heard() -> None:
    taken = Early(in_state(State.LOADING)).take(HEAD + b"\r\nConnection: close", lambda _: None)
    assert taken is not None
    assert taken[2] is False
