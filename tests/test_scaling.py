"""Measuring how a model scales, on models whose runs only count."""

from collections.abc import Callable
from threading import Barrier

import numpy as np
import pytest

from models import Recorder
from serving import scaling
from serving.formation import Scaling
from serving.scaling import measure
from serving.signature import Inputs, Outputs

PATIENCE = 10.0


def rows_of(rows: int) -> Inputs:
    return {"x": np.zeros((rows, 1), np.float32)}


class Alone:
    """Runs a measurement at once, and has it take as long as a table says."""

    def __init__(self, seconds: Callable[[int], float]) -> None:
        self.sizes: list[int] = []
        self._seconds = seconds
        self._rows = 0

    def saw(self, inputs: Inputs) -> Outputs:
        self._rows = len(inputs["x"])
        return {"y": inputs["x"]}

    def __call__(self, measurement: Callable[[], float]) -> float:
        measurement()
        self.sizes.append(self._rows)
        return self._seconds(self._rows)


def measured(seconds: Callable[[int], float], max_rows: int = 32) -> tuple[Scaling, list[int]]:
    alone = Alone(seconds)
    model = Recorder(alone.saw)
    found = measure(model, model, 2, rows_of, max_rows=max_rows, alone=alone)
    return found, alone.sizes


def test_every_size_is_measured_as_long_as_more_rows_are_faster() -> None:
    found, _ = measured(lambda _: 0.001)
    assert found == Scaling(dict.fromkeys((1, 2, 4, 8, 16, 32), 0.001), dict.fromkeys((1, 2, 4, 8, 16, 32), 0.001), 2)


def test_it_ends_where_more_rows_gain_nothing() -> None:
    found, _ = measured(lambda rows: rows * 0.001)
    assert list(found.wide) == list(found.narrow) == [1, 2, 4]


def test_it_never_goes_beyond_what_a_batch_may_have() -> None:
    assert list(measured(lambda _: 0.001, max_rows=5)[0].wide) == [1, 2, 4]
    assert list(measured(lambda _: 0.001, max_rows=1)[0].wide) == [1]


def test_requests_never_wait_for_long_runs() -> None:
    found, sizes = measured(lambda rows: 0.012 + rows * 0.006)
    assert list(found.wide) == [1, 2, 4]
    assert max(sizes) == 4
    # And of a run that takes long there are few.
    assert sizes.count(4) == 2 * scaling.LEAST_RUNS


def test_the_quickest_run_counts() -> None:
    times = iter([0.9, 0.05, 0.04, 0.03, *[0.01] * 1000])
    found, _ = measured(lambda _: next(times), max_rows=1)
    assert found.wide == {1: 0.04}


def test_narrow_runs_are_made_at_the_same_time() -> None:
    meeting = Barrier(3)

    def meet(inputs: Inputs) -> Outputs:
        meeting.wait(PATIENCE)
        return {"y": inputs["x"]}

    wide = Recorder(lambda inputs: {"y": inputs["x"]})
    found = measure(wide, Recorder(meet), 3, rows_of, max_rows=1, alone=lambda measurement: measurement())
    assert found.lanes == 3
    assert 0 < found.narrow[1] < PATIENCE


def test_a_model_that_fails_is_told() -> None:
    def fail(_: Inputs) -> Outputs:
        raise ArithmeticError

    model = Recorder(fail)
    with pytest.raises(ArithmeticError):
        measure(model, model, 2, rows_of, max_rows=1, alone=lambda measurement: measurement())
