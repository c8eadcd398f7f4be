"""Measuring how a model scales, on models whose runs only count."""

from collections.abc import Callable
from threading import Barrier
from typing import TypeVar

import numpy as np
import pytest

from models import Recorder
from serving import scaling
from serving.scaling import measure_narrow, measure_wide
from serving.signature import Inputs, Outputs

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
        monkeypatch.setattr(scaling, "monotonic", lambda: self._now)

    def run(self, inputs: Inputs) -> Outputs:
        rows = len(inputs["x"])
        self.runs.append(rows)
        self._now += self._seconds(rows)
        return {"y": inputs["x"]}


Measured = Callable[..., tuple[dict[int, float], list[int]]]


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Measured:
    """Measures wide runs of a model with such costs; gives them with the rows of every run made."""

    def measure(seconds: Callable[[int], float], max_rows: int = 32) -> tuple[dict[int, float], list[int]]:
        clock = Clock(seconds, monkeypatch)
        found = measure_wide(Recorder(clock.run), rows_of, max_rows=max_rows, alone=lambda job: job())
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
    assert runs.count(4) == scaling.LEAST_RUNS


def test_requests_are_run_between_those_that_take_long(monkeypatch: pytest.MonkeyPatch) -> None:
    slots: list[list[int]] = []
    clock = Clock(lambda rows: 0.010 + rows * 0.008, monkeypatch)

    def alone(job: Callable[[], T]) -> T:
        before = len(clock.runs)
        seconds = job()
        slots.append(clock.runs[before:])
        return seconds

    found = measure_narrow(Recorder(clock.run), 1, rows_of, max_rows=32, alone=alone)
    assert found == pytest.approx({1: 0.018, 2: 0.026, 4: 0.042})
    assert slots == 2 * [[1, 1, 1], [2, 2], [4], [4]]


def test_the_quickest_run_counts(measured: Measured) -> None:
    times = iter([0.02, 0.004, 0.003, *[0.01] * 1000])
    assert measured(lambda _: next(times), max_rows=1)[0] == pytest.approx({1: 0.003})


def test_a_size_is_measured_at_once() -> None:
    """The system takes a moment to spread threads over the cores, which would be part of every run else."""
    slots: list[int] = []
    model = Recorder(lambda inputs: {"y": inputs["x"]})

    def alone(job: Callable[[], T]) -> T:
        before = len(model.asked)
        seconds = job()
        slots.append(len(model.asked) - before)
        return seconds

    measure_wide(model, rows_of, max_rows=1, alone=alone)
    assert slots == [scaling.RUNS]


def test_narrow_runs_are_made_at_the_same_time() -> None:
    meeting = Barrier(3)

    def meet(inputs: Inputs) -> Outputs:
        meeting.wait(PATIENCE)
        return {"y": inputs["x"]}

    found = measure_narrow(Recorder(meet), 3, rows_of, max_rows=1, alone=lambda job: job())
    assert 0 < found[1] < PATIENCE


def test_a_model_that_fails_is_told() -> None:
    def fail(_: Inputs) -> Outputs:
        raise ArithmeticError

    with pytest.raises(ArithmeticError):
        measure_wide(Recorder(fail), rows_of, max_rows=1, alone=lambda job: job())
    with pytest.raises(ArithmeticError):
        measure_narrow(Recorder(fail), 2, rows_of, max_rows=1, alone=lambda job: job())
