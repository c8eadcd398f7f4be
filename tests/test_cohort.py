"""Bodies that came in one turn of the loop: each has its own answer, whoever else came, and all leave together."""

import asyncio
import json
from collections.abc import Callable, Coroutine, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from harness.loops import on_a_loop
from models import Recorder, identity
from serving import cohort as module
from serving import invocations
from serving.answer import Answer
from serving.catalogue import Catalogue, Entry, Serving
from serving.codecs import formats
from serving.cohort import Cohort
from serving.dispatcher import Dispatcher
from serving.errors import OverloadedError, ServingError
from serving.invocations import Asked, Begun, Invocation
from serving.metrics import Metrics
from serving.parts import Outcome
from serving.selection import Selection
from signatures import one_input

JSON, CSV = "application/json", "text/csv"


class Counted(Invocation):
    """Tells how many bodies were read at once each time."""

    def __init__(self, service: Any, media_type: str) -> None:  # noqa: ANN401 (what an invocation asks of a service)
        super().__init__(service, Asked(Selection(), media_type, media_type))
        self.groups: list[int] = []

    def begin_together(self, bodies: Sequence[bytes]) -> list[Begun] | None:
        self.groups.append(len(bodies))
        return super().begin_together(bodies)


class Bench:
    """A cohort before a dispatcher, whose model gives what it is given."""

    def __init__(self, max_waiting: int = 100) -> None:
        self.model = Recorder(identity)
        self.dispatcher = Dispatcher(
            self.model, lanes=1, max_rows=32, max_waiting=max_waiting, timeout=30, metrics=Metrics()
        )
        entry = Entry("model", 1, "", {"": Serving(one_input(), self.dispatcher)})
        service = SimpleNamespace(
            catalogue=lambda: Catalogue([entry]), formats=formats(1_000_000), default_accept=JSON, offload=None
        )
        self.json, self.csv = Counted(service, JSON), Counted(service, CSV)
        self.cohort = Cohort()

    def add(self, invocation: Invocation, body: bytes) -> asyncio.Future[bytes]:
        """Have it read and run; what comes of it is its answer's body, or the error."""
        answered: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        def ready(begun: Begun | Exception) -> None:
            try:
                if isinstance(begun, Exception):
                    raise begun
                self.dispatcher.submit(
                    begun.inputs, lambda outcome: tell(begun, outcome), begun.writing.splitting(begun.form)
                )
            except ServingError as error:
                answered.set_exception(error)

        def tell(begun: Begun, outcome: Outcome) -> None:
            if isinstance(outcome, ServingError):
                answered.set_exception(outcome)
            else:
                answer = outcome if isinstance(outcome, Answer) else invocation.end(begun, outcome)
                answered.set_result(answer.body)

        self.cohort.add(invocation, body, ready)
        return answered

    async def warm(self) -> None:
        """Have two come at once, so that the next one to come is not taken to be alone."""
        await asyncio.gather(self.add(self.json, body_of(0)), self.add(self.json, body_of(0)))
        await asyncio.gather(*(self.add(self.json, body_of(0)) for _ in range(3)))
        self.json.groups.clear()
        self.model.asked.clear()


def body_of(number: float) -> bytes:
    return json.dumps({"instances": [[number + 0.25, 1.5, 2.5]]}).encode()


def answer_of(number: float) -> bytes:
    return b'{"predictions":[[%b,1.5,2.5]]}' % str(number + 0.25).encode()


def benched(test: Callable[[Bench], Coroutine[Any, Any, None]], **options: int) -> None:
    async def run() -> None:
        bench = Bench(**options)
        try:
            await bench.warm()
            await test(bench)
        finally:
            bench.dispatcher.close()

    on_a_loop(run)


def test_those_of_one_turn_are_read_at_once_and_leave_in_one_batch() -> None:
    async def test(bench: Bench) -> None:
        answers = await asyncio.gather(*(bench.add(bench.json, body_of(number)) for number in range(8)))
        assert answers == [answer_of(number) for number in range(8)]
        assert bench.json.groups == [8]
        assert bench.model.rows == [8]

    benched(test)


def test_a_bad_one_among_them_is_refused_alone() -> None:
    bad = {
        1: (b'{"instances":[[1.5,2.5]]}', "wrong_dimension"),
        3: (b'{"instances":[[1.5,"x",2.5]]}', "wrong_type"),
        5: (b'{"instances":[[1.5,2.5,3.5]]', "invalid_json"),
        6: (b'{"instances":[[1.5,1e300,3.5]]}', "inexact_value"),
    }

    async def test(bench: Bench) -> None:
        bodies = [bad[number][0] if number in bad else body_of(number) for number in range(8)]
        answers = await asyncio.gather(*(bench.add(bench.json, body) for body in bodies), return_exceptions=True)
        for number, answer in enumerate(answers):
            if number in bad:
                assert isinstance(answer, ServingError)
                assert answer.code == bad[number][1]
            else:
                assert answer == answer_of(number)

    benched(test)


@pytest.mark.parametrize("bad", [b'{"instances":[[1.5,1e300,3.5]]}', b'{"instances":[[0.5,1.5]]}'])
def test_where_all_look_alike_and_one_does_not_fit_the_model_the_others_are_answered(bad: bytes) -> None:
    async def test(bench: Bench) -> None:
        good = bad.replace(b"1e300", b"2.5").replace(b"[0.5,", b"[0.5,2.5,")
        futures = [bench.add(bench.json, body) for body in (good, bad, good)]
        answers = await asyncio.gather(*futures, return_exceptions=True)
        assert [isinstance(answer, ServingError) for answer in answers] == [False, True, False]

    benched(test)


def test_none_is_lost_where_reading_them_at_once_fails_for_whatever_reason(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("nobody has foreseen it")

    async def test(bench: Bench) -> None:
        monkeypatch.setattr(invocations, "split", fail)
        answers = await asyncio.gather(*(bench.add(bench.json, body_of(number)) for number in range(4)))
        assert answers == [answer_of(number) for number in range(4)]
        assert "4 bodies could not be read at once" in caplog.text

    benched(test)


def test_those_that_ask_in_different_ways_ride_together_and_are_answered_in_their_own() -> None:
    async def test(bench: Bench) -> None:
        futures = [
            bench.add(
                bench.csv if number % 2 else bench.json, b"%d.25,1.5,2.5" % number if number % 2 else body_of(number)
            )
            for number in range(6)
        ]
        answers = await asyncio.gather(*futures)
        assert answers == [b"%d.25,1.5,2.5\n" % n if n % 2 else answer_of(n) for n in range(6)]
        assert (bench.json.groups, bench.csv.groups) == ([3], [3])
        assert bench.model.rows == [6]

    benched(test)


def test_no_more_bytes_are_read_at_once_than_are_quick_to_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SMALL_BYTES", 3 * len(body_of(0)))

    async def test(bench: Bench) -> None:
        answers = await asyncio.gather(*(bench.add(bench.json, body_of(number)) for number in range(8)))
        assert answers == [answer_of(number) for number in range(8)]
        assert bench.json.groups == [3, 3, 2]
        assert bench.model.rows == [8]

    benched(test)


def test_a_lone_one_is_read_at_once_when_the_last_was_alone() -> None:
    async def test(bench: Bench) -> None:
        assert await bench.add(bench.json, body_of(1)) == answer_of(1)
        read: list[object] = []
        bench.cohort.add(bench.json, body_of(2), read.append)
        assert len(read) == 1
        assert not bench.json.groups

    benched(test)


def test_more_than_may_wait_are_refused_one_by_one() -> None:
    async def test(bench: Bench) -> None:
        futures = [bench.add(bench.json, body_of(number)) for number in range(8)]
        answers = await asyncio.gather(*futures, return_exceptions=True)
        assert [isinstance(answer, OverloadedError) for answer in answers] == [False] * 3 + [True] * 5
        assert answers[:3] == [answer_of(number) for number in range(3)]

    benched(test, max_waiting=3)


def test_the_same_row_is_given_to_the_model_as_when_it_comes_alone() -> None:
    async def test(bench: Bench) -> None:
        await asyncio.gather(*(bench.add(bench.json, b"[0.1,16777217,3.5]") for _ in range(2)))
        (together,) = bench.model.asked
        bench.model.asked.clear()
        await bench.add(bench.json, b"[0.1,16777217,3.5]")
        (alone,) = bench.model.asked
        assert together["x"].dtype == alone["x"].dtype == np.float32
        assert np.array_equal(together["x"], np.concatenate([alone["x"]] * 2))

    benched(test)
