"""bf16 is kept for a model that stands it and given up for one that does not."""

from pathlib import Path

import numpy as np
import pytest

from models import Recorder, identity
from serving.errors import ModelLoadError, ModelRejectedInputError
from serving.precision import GOLDEN, Sample, deviation, sample_for, try_bf16
from serving.signature import Inputs, Outputs, Value
from signatures import one_input

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
    trial = try_bf16(off_by(share), strict, sample_for(strict, Path("nowhere")), TOLERANCE)
    assert trial.kept is kept
    assert trial.deviation == pytest.approx(share, rel=0.01)
    assert "synthetic inputs" in trial.reason
    assert ("within" if kept else "above") in trial.reason


def test_expected_outputs_count_more_than_what_float32_gives() -> None:
    sample = Sample({"x": ROWS}, {"y": ROWS * 2}, GOLDEN)
    assert not try_bf16(Recorder(identity), Recorder(identity), sample, TOLERANCE).kept


def test_what_cannot_be_tried_is_not_trusted() -> None:
    unable = Recorder(refusing)
    trial = try_bf16(unable, unable, sample_for(unable, Path("nowhere")), TOLERANCE)
    assert (trial.kept, trial.deviation) == (False, None)
    assert GOLDEN in trial.reason
    trial = try_bf16(unable, unable, Sample({"x": ROWS}, {}, GOLDEN), TOLERANCE)
    assert (trial.kept, trial.deviation) == (False, None)


def test_golden_arrays_are_inputs_and_expected_outputs_by_name(tmp_path: Path) -> None:
    np.savez(tmp_path / GOLDEN, x=ROWS.astype(np.float64), y=ROWS)
    sample = sample_for(Recorder(identity), tmp_path)
    assert sample is not None
    assert sample.inputs["x"].dtype == np.float32
    assert set(sample.expected) == {"y"}
    assert sample.source == GOLDEN


def test_a_golden_file_that_does_not_fit_is_the_operators_to_mend(tmp_path: Path) -> None:
    model = Recorder(identity, one_input())
    (tmp_path / GOLDEN).write_bytes(b"no zip")
    with pytest.raises(ModelLoadError, match="cannot be read"):
        sample_for(model, tmp_path)
    np.savez(tmp_path / GOLDEN, z=ROWS)
    with pytest.raises(ModelLoadError, match="does not fit the model: input 'x' is missing"):
        sample_for(model, tmp_path)
