"""bf16 is kept for a model that stands it and given up for one that does not."""

import numpy as np
import pytest

from models import Recorder, identity
from serving.errors import ModelRejectedInputError
from serving.precision import deviation, judge, try_bf16
from serving.samples import GOLDEN, Sample, samples_for
from serving.signature import Array, Inputs, Outputs, Value

TOLERANCE = 0.01
ROWS = np.array([[1.0, -2.0, 4.0]], np.float32)


def off_by(share: float) -> Recorder:
    """The identity, each value too large by a share of it."""
    return Recorder(lambda inputs: {"y": inputs["x"] * np.float32(1 + share)})


def refusing(_: Inputs) -> Outputs:
    raise ModelRejectedInputError


@pytest.mark.parametrize(
    ("got", "wanted", "expected"),
    [
        (np.array([1.0, 2.0]), np.array([1.0, 2.0]), 0.0),
        (np.array([1.0, 2.5]), np.array([1.0, 2.0]), 0.25),
        (np.array([0.5]), np.array([0.0]), 0.5),
        (np.array([1.0, np.nan, np.inf]), np.array([1.0, np.nan, np.inf]), 0.0),
        (np.array([np.nan]), np.array([1.0]), np.inf),
        (np.zeros((2, 3)), np.zeros((3, 2)), np.inf),
        (np.zeros((0, 3)), np.zeros((0, 3)), 0.0),
        (np.array([1, 2, 3, 4]), np.array([1, 2, 3, 5]), 0.25),
        (np.array(["a"], object), np.array(["a"], object), 0.0),
        ([{1: 0.5}], [{1: 0.25}], 1.0),
        ([{1: 0.5}], [{2: 0.5}], np.inf),
        ([{1: 0.5}], [], np.inf),
        (None, None, 0.0),
        (None, np.zeros(1), np.inf),
    ],
)
def test_deviation_is_relative_to_the_largest_value(got: Value, wanted: Value, expected: float) -> None:
    assert deviation({"y": got}, {"y": wanted}) == expected


def test_the_worst_output_counts() -> None:
    some, others = {"a": np.ones(2), "b": np.ones(2)}, {"a": np.ones(2), "b": np.full(2, 2.0)}
    assert deviation(dict(some), dict(others)) == 0.5


@pytest.mark.parametrize(("share", "kept"), [(0.004, True), (0.02, False)])
def test_bf16_is_kept_within_the_tolerance(*, share: float, kept: bool) -> None:
    strict = Recorder(identity)
    trial = try_bf16(off_by(share), strict, samples_for(strict, []), TOLERANCE)
    assert trial.kept is kept
    assert trial.deviation == pytest.approx(share, rel=0.01)
    assert "synthetic inputs" in trial.reason
    assert ("within" if kept else "above") in trial.reason


def test_expected_outputs_count_more_than_what_float32_gives() -> None:
    sample = Sample({"x": ROWS}, {"y": ROWS * 2}, GOLDEN)
    assert not try_bf16(Recorder(identity), Recorder(identity), [sample], TOLERANCE).kept


def test_what_cannot_be_tried_is_not_trusted() -> None:
    unable = Recorder(refusing)
    trial = try_bf16(unable, unable, samples_for(unable, []), TOLERANCE)
    assert (trial.kept, trial.deviation) == (False, None)
    assert GOLDEN in trial.reason
    trial = try_bf16(unable, unable, [Sample({"x": ROWS}, {}, GOLDEN)], TOLERANCE)
    assert (trial.kept, trial.deviation) == (False, None)


def sample(*, real: bool, ranks: bool = True) -> Sample:
    return Sample({"x": ROWS}, {}, GOLDEN if real else "synthetic inputs", ranks)


CLEAR = np.array([[0.1, 0.5, 1.0], [0.1, 1.0, 0.5]])
NEAR = np.array([[0.1, 0.5, 1.0], [0.1, 1.0, 0.999]])
# All within the tolerance of 0.01; the first changes nothing of who is first, the second does for NEAR.
SMALL, SWAPPING = np.array([0.002, 0.002, 0.002]), np.array([0.0, -0.002, 0.002])


@pytest.mark.parametrize(
    ("scores", "error", "real", "kept"),
    [
        (CLEAR, SMALL, True, True),
        (CLEAR, SWAPPING, False, True),
        # Real inputs are what they are; made-up ones only show that two classes were too near to tell.
        (NEAR, SMALL, True, True),
        (NEAR, SMALL, False, False),
        (NEAR, SWAPPING, True, False),
        (NEAR, SWAPPING, False, False),
        (NEAR, 0 * SMALL, False, True),
    ],
)
def test_rankings_must_stay(scores: Array, error: Array, *, real: bool, kept: bool) -> None:
    trial = judge([{"y": scores + error}], [{"y": scores}], [sample(real=real)], TOLERANCE)
    assert trial.kept is kept
    assert trial.deviation == pytest.approx(np.abs(error).max())
    if not kept:
        assert ("1 of their rows get another largest entry" if real else f"add a {GOLDEN}") in trial.reason


def test_rankings_count_on_made_up_inputs_only_where_that_is_said() -> None:
    swapped = [{"y": NEAR + SWAPPING}]
    assert judge(swapped, [{"y": NEAR}], [sample(real=False, ranks=False)], TOLERANCE).kept


@pytest.mark.parametrize(
    "value", [np.array([1.0, 0.999]), np.array([[1.0], [0.999]]), np.array([[[1.0, 0.999]]]), [{1: 1.0}]]
)
def test_what_are_no_scores_has_no_ranking(value: Value) -> None:
    other: Value = value + np.float64(0.002) if isinstance(value, np.ndarray) else value
    assert judge([{"y": other}], [{"y": value}], [sample(real=True)], TOLERANCE).kept


def test_the_worst_sample_counts() -> None:
    several = [sample(real=False), sample(real=False)]
    trial = judge([{"y": CLEAR}, {"y": CLEAR * 1.02}], [{"y": CLEAR}, {"y": CLEAR}], several, TOLERANCE)
    assert not trial.kept
    assert trial.deviation == pytest.approx(0.02)
