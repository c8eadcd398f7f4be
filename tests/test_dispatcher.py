"""The dispatcher on a real loop with real threads; the model waits at gates that the test opens, never on a clock."""

import asyncio
import functools
import logging
import threading
from collections.abc import Awaitable, Callable, Coroutine
from threading import Barrier, Event
from typing import Any, ParamSpec

import numpy as np
import pytest

from harness.loops import DEADLINE_SECONDS, on_a_loop
from models import Recorder, identity, refusing, row
from serving.backends import Model
from serving.dispatcher import Dispatcher
from serving.errors import DeadlineExceededError, ModelFailedError, ModelRejectedInputError, OverloadedError
from serving.exposition import page
from serving.formation import Formation
from serving.lookout import LOOKS
from serving.metrics import Metrics
from serving.signature import Array, Inputs, Outputs, Signature
from signatures import giving, spec

P = ParamSpec("P")
PATIENCE = DEADLINE_SECONDS


class Gate:
    """Answers like another function once it is opened."""

    def __init__(self, answer: Callable[[Inputs], Outputs] = identity) -> None:
        self._answer = answer
        self._open = Event()
        self._reached = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def __call__(self, inputs: Inputs) -> Outputs:
        self._loop.call_soon_threadsafe(self._reached.set)
        assert self._open.wait(PATIENCE)
        return self._answer(inputs)

    async def reached(self) -> None:
        """Wait until a run is at the gate."""
        await self._reached.wait()

    def open(self) -> None:
        self._open.set()


def dispatcher_of(
    model: Model, *, lanes: int = 1, max_rows: int = 8, max_waiting: int = 1000, timeout: float = PATIENCE
) -> Dispatcher:
    return Dispatcher(
        model, lanes=lanes, max_rows=max_rows, max_waiting=max_waiting, timeout=timeout, metrics=Metrics()
    )


def value(outputs: Outputs) -> list[Any]:
    array = outputs["y"]
    assert isinstance(array, np.ndarray)
    rows: list[Any] = array.tolist()
    return rows


def looped(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """A test that is a coroutine, as pytest takes it."""

    @functools.wraps(test)
    def bounded(*arguments: P.args, **named: P.kwargs) -> None:
        on_a_loop(lambda: test(*arguments, **named))

    return bounded


async def all_of(*work: Awaitable[Any]) -> list[Any]:
    """Results and errors, in order."""
    return await asyncio.gather(*work, return_exceptions=True)


async def queued(*work: Coroutine[Any, Any, Outputs]) -> list[asyncio.Task[Outputs]]:
    """Tasks that have been submitted, each after the one before it."""
    tasks = []
    for each in work:
        tasks.append(asyncio.create_task(each))
        await asyncio.sleep(0)
    return tasks


def test_a_lone_request_is_answered() -> None:
    async def test() -> None:
        dispatcher = dispatcher_of(Recorder(identity))
        assert value(await dispatcher.run(row(1, 2, 3))) == [[1, 2, 3]]
        dispatcher.close()

    on_a_loop(test)


def test_what_waits_while_the_lane_is_busy_runs_together_and_is_split_right() -> None:
    async def test() -> None:
        gate = Gate()
        model = Recorder(gate)
        dispatcher = dispatcher_of(model)
        first = asyncio.create_task(dispatcher.run(row(0, 0, 0)))
        await gate.reached()
        others = await queued(*(dispatcher.run(row(n, n, n)) for n in range(1, 6)))
        gate.open()
        assert [value(answer) for answer in await all_of(first, *others)] == [[[n] * 3] for n in range(6)]
        assert model.rows == [1, 5]
        dispatcher.close()

    on_a_loop(test)


def test_shuffled_requests_of_mixed_shapes_and_sizes_each_get_their_own_answer() -> None:
    """Answers are mixed up under load in MLServer and the KServe agent."""

    async def test() -> None:
        model = Recorder(identity)
        dispatcher = dispatcher_of(model, lanes=3)
        chance = np.random.default_rng(7)
        requests = [
            np.full((chance.choice([1, 1, 1, 2, 5, 9]), chance.choice([3, 4])), number, chance.choice(["f4", "i8"]))
            for number in chance.permutation(300)
        ]

        async def check(array: Array) -> None:
            answer = (await dispatcher.run({"x": array}))["y"]
            assert isinstance(answer, np.ndarray)
            assert answer.dtype == array.dtype
            np.testing.assert_array_equal(answer, array)

        await asyncio.gather(*map(check, requests))
        assert len(model.rows) < len(requests)  # some did ride together
        assert all(rows <= 8 or rows == 9 for rows in model.rows)
        dispatcher.close()

    on_a_loop(test)


def test_requests_are_kept_apart_where_they_must_not_be_joined() -> None:
    async def test() -> None:
        model = Recorder(identity)
        dispatcher = dispatcher_of(model, max_rows=1)
        await asyncio.gather(*(dispatcher.run(row(n)) for n in range(10)))
        assert model.rows == [1] * 10
        dispatcher.close()

    on_a_loop(test)


def test_requests_ride_together_from_the_moment_on_in_which_they_are_known_to_be_able_to() -> None:
    async def test() -> None:
        gate = Gate()
        model = Recorder(gate)
        dispatcher = dispatcher_of(model, max_rows=1)
        tasks = await queued(*(dispatcher.run(row(n)) for n in range(3)))
        await gate.reached()
        dispatcher.join(4)
        tasks += await queued(*(dispatcher.run(row(n)) for n in range(3, 9)))
        gate.open()
        assert [value(answer) for answer in await all_of(*tasks)] == [[[n]] for n in range(9)]
        assert model.rows == [1, 1, 1, 4, 2]  # the first three came before
        dispatcher.close()

    on_a_loop(test)


def test_as_many_batches_run_at_once_as_there_are_lanes() -> None:
    async def test() -> None:
        together = Barrier(2, timeout=PATIENCE)

        def meet(inputs: Inputs) -> Outputs:
            together.wait()  # passes only when two runs are here at the same time
            return identity(inputs)

        dispatcher = dispatcher_of(Recorder(meet), lanes=2, max_rows=1)
        answers = await all_of(*(dispatcher.run(row(n)) for n in range(4)))
        assert [value(answer) for answer in answers] == [[[n]] for n in range(4)]
        dispatcher.close()

    on_a_loop(test)


def test_a_poisoned_request_fails_alone(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        gate = Gate(refusing(-1))
        dispatcher = dispatcher_of(Recorder(gate))
        first = asyncio.create_task(dispatcher.run(row(0)))
        await gate.reached()
        others = await queued(*(dispatcher.run(row(n)) for n in (1, 2, -1, 3, -1, 4)))
        gate.open()
        answers = await all_of(first, *others)
        assert [type(answer) for answer in answers if isinstance(answer, Exception)] == [ModelRejectedInputError] * 2
        assert isinstance(answers[3], ModelRejectedInputError)
        assert isinstance(answers[5], ModelRejectedInputError)
        assert [value(answers[n]) for n in (0, 1, 2, 4, 6)] == [[[0]], [[1]], [[2]], [[3]], [[4]]]
        dispatcher.close()

    with caplog.at_level(logging.WARNING):
        on_a_loop(test)
    assert "a batch of 6 requests failed and is run again in halves" in caplog.text


def test_an_unexpected_error_reaches_the_log_and_not_the_caller(caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: Inputs) -> Outputs:
        raise ZeroDivisionError("secret")

    async def test() -> None:
        dispatcher = dispatcher_of(Recorder(fail))
        with pytest.raises(ModelFailedError) as raised:
            await dispatcher.run(row(1))
        assert "secret" not in raised.value.message
        dispatcher.close()

    on_a_loop(test)
    assert "secret" in caplog.text


def test_an_answer_that_cannot_be_split_is_run_again_apart() -> None:
    async def test() -> None:
        gate = Gate(lambda inputs: {"y": np.repeat(inputs["x"], 2, axis=0)})  # two elements a row
        model = Recorder(gate)
        dispatcher = dispatcher_of(model)
        first = asyncio.create_task(dispatcher.run(row(0)))
        await gate.reached()
        others = await queued(*(dispatcher.run(row(n)) for n in (1, 2, 3)))
        gate.open()
        assert [value(answer) for answer in await all_of(first, *others)] == [[[n], [n]] for n in range(4)]
        assert sorted(model.rows) == [1, 1, 1, 1, 2, 3]
        dispatcher.close()

    on_a_loop(test)


def test_a_storm_of_cancelled_clients_leaves_the_others_and_the_lane_alone() -> None:
    """A client that leaves stalls the batch in MLServer and Ray Serve."""

    async def test() -> None:
        gate = Gate()
        model = Recorder(gate)
        dispatcher = dispatcher_of(model)
        first = asyncio.create_task(dispatcher.run(row(0)))
        await gate.reached()
        tasks = await queued(*(dispatcher.run(row(n)) for n in range(1, 101)))
        first.cancel()  # runs already
        leaving = [task for number, task in enumerate(tasks) if number % 10]
        for task in leaving:
            task.cancel()
        await all_of(*leaving)
        gate.open()
        staying = [task for task in tasks if task not in leaving]
        assert [value(answer) for answer in await all_of(*staying)] == [[[n]] for n in range(1, 101, 10)]
        assert all(task.cancelled() for task in (first, *leaving))
        assert sum(model.rows) == 1 + len(staying)
        assert value(await dispatcher.run(row(7))) == [[7]]
        dispatcher.close()

    on_a_loop(test)


def test_too_many_that_wait_are_refused_at_once_and_later_ones_are_taken() -> None:
    async def test() -> None:
        gate = Gate()
        dispatcher = dispatcher_of(Recorder(gate), max_waiting=2)
        first = asyncio.create_task(dispatcher.run(row(0)))
        await gate.reached()
        waiting = await queued(*(dispatcher.run(row(n)) for n in (1, 2)))
        with pytest.raises(OverloadedError):
            await dispatcher.run(row(3))
        gate.open()
        assert [value(answer) for answer in await all_of(first, *waiting)] == [[[0]], [[1]], [[2]]]
        assert value(await dispatcher.run(row(4))) == [[4]]
        dispatcher.close()

    on_a_loop(test)


def test_a_request_without_an_answer_in_time_is_given_up_and_not_started() -> None:
    async def test() -> None:
        gate = Gate()
        model = Recorder(gate)
        dispatcher = dispatcher_of(model, timeout=0.05)
        first = asyncio.create_task(dispatcher.run(row(0)))
        await gate.reached()
        late = asyncio.create_task(dispatcher.run(row(1)))
        for task in (first, late):
            with pytest.raises(DeadlineExceededError, match=r"within 0\.05 s"):
                await task
        gate.open()
        dispatcher.close()
        assert model.rows == [1]

    on_a_loop(test)


def test_the_metrics_tell_what_waits_and_what_ran() -> None:
    async def test() -> None:
        gate = Gate()
        metrics = Metrics()
        dispatcher = Dispatcher(Recorder(gate), lanes=1, max_rows=8, max_waiting=10, timeout=PATIENCE, metrics=metrics)
        first = asyncio.create_task(dispatcher.run(row(0)))
        await gate.reached()
        others = await queued(*(dispatcher.run(row(n)) for n in (1, 2, 3)))
        assert b"serving_waiting_requests 3.0" in page(metrics)
        gate.open()
        await all_of(first, *others)
        assert b"serving_waiting_requests 0.0" in page(metrics)
        assert b"serving_batch_rows_sum 4.0" in page(metrics)
        assert b"serving_batch_rows_count 2.0" in page(metrics)
        dispatcher.close()

    on_a_loop(test)


def thread_names(names: list[str]) -> Callable[[Inputs], Outputs]:
    """Answers like `identity`, and notes in which thread."""

    def answer(inputs: Inputs) -> Outputs:
        names.append(threading.current_thread().name)
        return identity(inputs)

    return answer


@pytest.mark.parametrize(("is_steady", "inline"), [(True, True), (False, False)])
@looped
async def test_a_run_that_was_short_is_made_on_the_loop_if_it_will_be_short_again(
    *, is_steady: bool, inline: bool
) -> None:
    names: list[str] = []
    dispatcher = dispatcher_of(Recorder(thread_names(names), is_steady=is_steady))
    for number in range(3):
        assert value(await dispatcher.run(row(number))) == [[number]]
    assert names[0] == "lane-0"
    assert [name != "lane-0" for name in names[1:]] == [inline, inline]
    dispatcher.close()


@looped
async def test_a_run_of_another_shape_or_of_more_rows_is_not_expected_to_be_short() -> None:
    names: list[str] = []
    dispatcher = dispatcher_of(Recorder(thread_names(names), is_steady=True))
    await dispatcher.run(row(1))
    await dispatcher.run(row(1, 2))
    await dispatcher.run({"x": np.ones((3, 1), np.float32)})
    assert names == ["lane-0"] * 3
    dispatcher.close()


@looped
async def test_a_run_that_was_long_is_made_in_a_lane(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.dispatcher.INLINE_SECONDS", 0.0)
    monkeypatch.setattr("serving.dispatcher.LONE_SECONDS", 0.0)
    names: list[str] = []
    dispatcher = dispatcher_of(Recorder(thread_names(names), is_steady=True))
    for _ in range(3):
        await dispatcher.run(row(1))
    assert names == ["lane-0"] * 3
    dispatcher.close()


@looped
async def test_an_error_of_a_run_on_the_loop_is_the_guilty_requests_alone() -> None:
    dispatcher = dispatcher_of(Recorder(refusing(9), is_steady=True))
    await asyncio.gather(*(dispatcher.run(row(n)) for n in (1, 2, 3)))
    answers = await asyncio.gather(*(dispatcher.run(row(n)) for n in (1, 9, 3)), return_exceptions=True)
    assert isinstance(answers[1], ModelRejectedInputError)
    assert not isinstance(answers[0], BaseException)
    assert not isinstance(answers[2], BaseException)
    dispatcher.close()


@looped
async def test_requests_that_come_while_the_loop_looks_ride_together() -> None:
    model = Recorder(identity)
    dispatcher = dispatcher_of(model)

    async def late(number: int) -> Outputs:
        for _ in range(number // 2):
            await asyncio.sleep(0)
        return await dispatcher.run(row(number))

    await asyncio.gather(*(late(number) for number in range(5)))
    assert model.rows == [5]
    dispatcher.close()


@looped
async def test_looking_ends_when_senders_never_pause() -> None:
    model = Recorder(identity)
    dispatcher = dispatcher_of(model, max_rows=1000)
    answers = []
    for number in range(3 * LOOKS):
        answers.append(asyncio.create_task(dispatcher.run(row(number))))
        await asyncio.sleep(0)
    await asyncio.gather(*answers)
    assert len(model.rows) > 1
    dispatcher.close()


def test_a_divided_model_runs_lone_requests_wide_and_several_narrow() -> None:
    async def test() -> None:
        gate = Gate()
        wide, narrow = Recorder(identity), Recorder(gate)
        dispatcher = dispatcher_of(Recorder(identity))
        dispatcher.divide(wide, narrow, Formation(lanes=2, rows=1, wide_up_to=1, divided=True))
        assert value(await dispatcher.run(row(1, 1, 1))) == [[1, 1, 1]]
        assert (wide.rows, narrow.rows) == ([1], [])
        several = asyncio.gather(*(dispatcher.run(row(n, n, n)) for n in range(5)))
        await gate.reached()
        assert (wide.rows, set(narrow.rows)) == ([1], {1})
        gate.open()
        assert [value(answer) for answer in await several] == [[[n] * 3] for n in range(5)]
        # The last one may have been alone again.
        assert sorted(wide.rows + narrow.rows) == [1] * 6
        dispatcher.close()

    on_a_loop(test)


def test_nothing_runs_beside_a_wide_run() -> None:
    async def test() -> None:
        gate = Gate()
        wide, narrow = Recorder(gate), Recorder(identity)
        dispatcher = dispatcher_of(wide)
        dispatcher.divide(wide, narrow, Formation(lanes=2, rows=4, wide_up_to=1, divided=True))
        first = asyncio.create_task(dispatcher.run(row(0, 0, 0)))
        await gate.reached()
        others = await queued(*(dispatcher.run(row(n, n, n)) for n in (1, 2)))
        assert not narrow.asked
        gate.open()
        assert [value(answer) for answer in await all_of(first, *others)] == [[[n] * 3] for n in range(3)]
        assert narrow.rows == [1, 1]
        dispatcher.close()

    on_a_loop(test)


def test_a_divided_model_isolates_the_guilty_too() -> None:
    async def test() -> None:
        model = Recorder(refusing(13))
        dispatcher = dispatcher_of(model)
        dispatcher.divide(model, model, Formation(lanes=2, rows=8, wide_up_to=1, divided=True))
        answers = await all_of(*(dispatcher.run(row(n, n, n)) for n in range(10, 18)))
        for number, answer in zip(range(10, 18), answers, strict=True):
            if number == 13:
                assert isinstance(answer, ModelRejectedInputError)
            else:
                assert value(answer) == [[number] * 3]
        dispatcher.close()

    on_a_loop(test)


NARROW = Formation(lanes=2, rows=4, wide_up_to=1, divided=True)


def many(rows: int, start: float = 0) -> Inputs:
    return {"x": np.arange(start, start + rows, dtype=np.float32)[:, None]}


@looped
async def test_a_large_request_is_run_in_parts_on_all_lanes() -> None:
    together = Barrier(2)

    def meet(inputs: Inputs) -> Outputs:
        together.wait(PATIENCE)  # there is another run of it meanwhile
        return identity(inputs)

    wide, narrow = Recorder(identity), Recorder(meet)
    dispatcher = dispatcher_of(Recorder(identity))
    dispatcher.divide(wide, narrow, NARROW)
    assert value(await dispatcher.run(many(7))) == [[n] for n in range(7)]
    assert (wide.rows, sorted(narrow.rows)) == ([], [3, 4])
    dispatcher.close()


ANY_SIZE = giving(spec("y", shape=("N", "found")))


@pytest.mark.parametrize(
    ("formation", "max_rows", "signature", "rows"),
    [
        (Formation(lanes=1, rows=4), 8, None, [3, 4]),
        # They are as many as gain anything.
        (Formation(lanes=1, rows=7), 8, None, [7]),
        # More may gain something, but must not ride together.
        (NARROW, 4, None, [7]),
        # No rows must.
        (Formation(lanes=1, rows=1), 1, None, [7]),
        # The answer's rows may have any size.
        (Formation(lanes=1, rows=4), 8, ANY_SIZE, [7]),
    ],
)
@looped
async def test_a_request_is_cut_only_where_more_rows_are_known_to_gain_nothing_and_parts_to_fit(
    formation: Formation, max_rows: int, signature: Signature | None, rows: list[int]
) -> None:
    model = Recorder(identity, signature)
    dispatcher = dispatcher_of(model, max_rows=max_rows)
    dispatcher.divide(model, model, formation)
    assert value(await dispatcher.run(many(7))) == [[n] for n in range(7)]
    assert model.rows == rows
    dispatcher.close()


@looped
async def test_an_error_of_one_part_is_the_whole_requests_and_nobody_elses() -> None:
    model = Recorder(refusing(5))
    dispatcher = dispatcher_of(model)
    dispatcher.divide(model, model, NARROW)
    bad, good = await all_of(dispatcher.run(many(12)), dispatcher.run(many(12, start=20)))
    assert isinstance(bad, ModelRejectedInputError)
    assert value(good) == [[n] for n in range(20, 32)]
    dispatcher.close()


@looped
async def test_a_large_request_that_is_cancelled_or_late_leaves_none_of_its_parts() -> None:
    gate = Gate()
    model = Recorder(gate)
    dispatcher = dispatcher_of(model, timeout=0.2)
    dispatcher.divide(model, model, NARROW)
    late, left = await queued(dispatcher.run(many(12)), dispatcher.run(many(12)))
    await gate.reached()
    left.cancel()
    (error, cancelled) = await all_of(late, left)
    assert isinstance(error, DeadlineExceededError)
    assert isinstance(cancelled, asyncio.CancelledError)
    gate.open()
    assert value(await dispatcher.run(row(1))) == [[1]]
    # Two parts of the first had begun.
    assert model.rows == [4, 4, 1]
    dispatcher.close()


def test_a_measurement_is_made_alone_and_requests_wait_for_it() -> None:
    async def test() -> None:
        before, during = Gate(), Gate()
        model = Recorder(before)
        dispatcher = dispatcher_of(model, lanes=2, max_rows=1)
        running = asyncio.create_task(dispatcher.run(row(0, 0, 0)))
        await before.reached()

        def measurement() -> float:
            during(row(9, 9, 9))
            return 0.5

        measured = asyncio.create_task(dispatcher.alone(measurement))
        await asyncio.sleep(0)
        late = await queued(dispatcher.run(row(1, 1, 1)))
        assert len(model.asked) == 1  # a lane is free, but the measurement is next
        before.open()
        assert value(await running) == [[0, 0, 0]]
        await during.reached()
        assert len(model.asked) == 1
        during.open()
        assert await measured == 0.5
        assert value(await late[0]) == [[1, 1, 1]]
        dispatcher.close()

    on_a_loop(test)


def test_a_measurement_that_fails_is_told_and_requests_go_on() -> None:
    async def test() -> None:
        dispatcher = dispatcher_of(Recorder(identity))

        def fail() -> float:
            raise ArithmeticError("none")

        with pytest.raises(ArithmeticError):
            await dispatcher.alone(fail)
        assert value(await dispatcher.run(row(1, 2, 3))) == [[1, 2, 3]]
        dispatcher.close()

    on_a_loop(test)
