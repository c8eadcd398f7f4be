"""One run: its parts, what is counted of it, what is learnt, and what comes of a failure."""

import numpy as np

from models import identity, refusing, row
from serving.errors import ModelFailedError, ModelRejectedInputError
from serving.metrics import Metrics
from serving.runs import Runs
from serving.signature import Inputs, Outputs


def test_requests_run_together_and_each_gets_its_rows() -> None:
    metrics = Metrics()
    outcome = Runs(metrics).attempt(identity, None, [row(1), {"x": np.array([[2], [3]], np.float32)}], [1, 2])
    assert isinstance(outcome, list)
    assert [np.asarray(answer["y"]).tolist() for answer in outcome] == [[[1]], [[2], [3]]]
    assert metrics.batch_rows.sum == 3


def test_what_fails_is_given_not_raised() -> None:
    assert isinstance(Runs(Metrics()).attempt(refusing(1), None, [row(1)], [1]), ModelRejectedInputError)


def test_an_answer_that_cannot_be_split_fails() -> None:
    def total(inputs: Inputs) -> Outputs:
        return {"y": inputs["x"].sum(keepdims=True)}

    assert isinstance(Runs(Metrics()).attempt(total, None, [row(1), row(2)], [1, 1]), ModelFailedError)


def test_runs_are_short_only_when_some_of_their_kind_were() -> None:
    runs = Runs(Metrics())
    assert not runs.is_short("a shape", 1, most=60)
    runs.attempt(identity, "a shape", [row(1)], [1])
    assert runs.is_short("a shape", 1, most=60)
    assert not runs.is_short("a shape", 1, most=0)
    assert not runs.is_short("a shape", 8, most=60)
    assert not runs.is_short("another", 1, most=60)
    assert not runs.is_short(None, 1, most=60)


def test_nothing_is_learnt_of_runs_that_tell_nothing() -> None:
    runs = Runs(Metrics())
    runs.attempt(identity, None, [row(1)], [1])
    assert not runs.is_short(None, 1, most=60)
