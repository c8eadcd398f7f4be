"""Measuring how a model scales, on models whose runs only count."""

from collections.abc import Callable
from threading import Barrier
from typing import TypeVar

import numpy as np
import pytest

from models import Recorder
from serving import timing
from serving.scaling import Scaling, Seconds
from serving.signature import Inputs, Outputs
from serving.timing import Timing, settled

T = TypeVar("T")
PATIENCE = 10.0


def rows_of(rows: int) -> Inputs:
    return {"x": np.zeros((rows, 1), np.float32)}


class Clock:
    """Has runs take as long as a table says, by their rows."""

    def __init__(self, seconds: Callable[[int], float], monkeypatch: pytest.MonkeyPatch) -> None:
        self.runs: list[int] = []
        self._now = 0.0
        self._seconds = seconds
        monkeypatch.setattr(timing, "monotonic", lambda: self._now)

    def run(self, inputs: Inputs) -> Outputs:
        rows = len(inputs["x"])
        self.runs.append(rows)
        self._now += self._seconds(rows)
        return {"y": inputs["x"]}


class Slots:
    """Has measurements made, and keeps of each the rows of the runs that were made in it."""

    def __init__(self, runs: list[int]) -> None:
        self.slots: list[list[int]] = []
        self._runs = runs

    def __call__(self, job: Callable[[], T], /) -> T:
        before = len(self._runs)
        seconds = job()
        self.slots.append(self._runs[before:])
        return seconds


Measured = Callable[..., tuple[Seconds, list[int]]]


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Measured:
    """Measures wide runs of a model with such costs; gives them with the rows of every run made."""

    def measure(seconds: Callable[[int], float], max_rows: int = 32) -> tuple[Seconds, list[int]]:
        clock = Clock(seconds, monkeypatch)
        found = Timing(rows_of, max_rows, alone=lambda job: job()).wide(Recorder(clock.run))
        return found, clock.runs

    return measure


def test_every_size_is_measured_as_long_as_more_rows_are_faster(measured: Measured) -> None:
    found, _ = measured(lambda _: 0.001)
    assert found == pytest.approx(dict.fromkeys((1, 2, 4, 8, 16, 32), 0.001))


def test_it_ends_where_more_rows_gain_nothing(measured: Measured) -> None:
    assert list(measured(lambda rows: rows * 0.001)[0]) == [1, 2, 4]


def test_it_never_goes_beyond_what_a_batch_may_have(measured: Measured) -> None:
    assert list(measured(lambda _: 0.001, max_rows=5)[0]) == [1, 2, 4]
    assert list(measured(lambda _: 0.001, max_rows=1)[0]) == [1]


def test_requests_never_wait_for_long_runs(measured: Measured) -> None:
    found, runs = measured(lambda rows: 0.008 + rows * 0.004)
    assert list(found) == [1, 2, 4]
    # And of a run that takes long there are few.
    assert runs.count(4) == timing.LEAST_RUNS


def test_requests_are_run_between_those_that_take_long(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(lambda rows: 0.010 + rows * 0.008, monkeypatch)
    alone = Slots(clock.runs)
    found = Timing(rows_of, 32, alone).narrow(Recorder(clock.run), 1)
    assert found == pytest.approx({1: 0.018, 2: 0.026, 4: 0.042})
    assert alone.slots == [[1, 1], [2, 2], [4], [4]]


def test_the_quickest_run_counts(measured: Measured) -> None:
    times = iter([0.01, 0.004, 0.003, *[0.01] * 1000])
    assert measured(lambda _: next(times), max_rows=1)[0] == pytest.approx({1: 0.003})


def test_two_rows_are_measured_of_a_model_whose_single_one_takes_long(measured: Measured) -> None:
    assert list(measured(lambda rows: rows * 0.1)[0]) == [1, 2]
    assert list(measured(lambda rows: rows * 0.1, max_rows=1)[0]) == [1]


def test_what_is_measured_is_measured_again_until_a_turn_confirms_it() -> None:
    turns = iter([Scaling({1: seconds}, {1: 2 * seconds}, 2) for seconds in (0.03, 0.02, 0.04, 0.0195, 0.01)])
    found = settled(Scaling({1: 0.04}, {}, 2), lambda: next(turns))
    assert (found.wide, found.narrow) == ({1: 0.0195}, {1: 0.039})
    assert next(turns).wide == {1: 0.01}


def test_a_disturbance_that_stays_is_not_waited_for() -> None:
    turns = [Scaling({1: 1 / 2**turn}, {}, 2) for turn in range(10)]
    left = iter(turns)
    settled(next(left), lambda: next(left))
    assert len(list(left)) == len(turns) - 1 - timing.MOST_TURNS


def test_neither_are_turns_that_take_long(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(lambda _: timing.MOST_TURNS_SECONDS / 2, monkeypatch)

    def measure() -> Scaling:
        clock.run(rows_of(1))
        return Scaling({1: 1 / 2 ** len(clock.runs)}, {}, 2)

    settled(Scaling({1: 1.0}, {}, 2), measure)
    assert len(clock.runs) == 3


def test_a_size_is_measured_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system takes a moment to spread threads over the cores, which would be part of every run else."""
    clock = Clock(lambda _: 0.001, monkeypatch)
    alone = Slots(clock.runs)
    Timing(rows_of, 1, alone).wide(Recorder(clock.run))
    assert [len(runs) for runs in alone.slots] == [timing.RUNS]


def test_narrow_runs_are_made_at_the_same_time() -> None:
    meeting = Barrier(3)

    def meet(inputs: Inputs) -> Outputs:
        meeting.wait(PATIENCE)
        return {"y": inputs["x"]}

    found = Timing(rows_of, 1, lambda job: job()).narrow(Recorder(meet), 3)
    assert 0 < found[1] < PATIENCE


def test_a_model_that_fails_is_told() -> None:
    def fail(_: Inputs) -> Outputs:
        raise ArithmeticError

    failing = Timing(rows_of, 1, lambda job: job())
    with pytest.raises(ArithmeticError):
        failing.wide(Recorder(fail))
    with pytest.raises(ArithmeticError):
        failing.narrow(Recorder(fail), 2)
