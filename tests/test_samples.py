"""What a model is tried on: golden.npz where there is one, else made-up inputs."""

from pathlib import Path

import numpy as np
import pytest

from models import Recorder, identity
from serving.discovery import FoundModel
from serving.errors import ModelLoadError, ModelRejectedInputError
from serving.samples import GOLDEN, ROWS, places, samples_for
from serving.signature import Inputs, Outputs
from signatures import TWO_INPUTS, one_input

GIVEN = np.array([[1.0, -2.0, 4.0]], np.float32)


def refusing(_: Inputs) -> Outputs:
    raise ModelRejectedInputError


def test_golden_arrays_are_inputs_and_expected_outputs_by_name(tmp_path: Path) -> None:
    np.savez(tmp_path / GOLDEN, x=GIVEN.astype(np.float64), y=GIVEN)
    (sample,) = samples_for(Recorder(identity), [tmp_path / "nowhere", tmp_path])
    assert sample.inputs["x"].dtype == np.float32
    assert set(sample.expected) == {"y"}
    assert sample.is_real


def test_a_golden_file_that_does_not_fit_is_the_operators_to_mend(tmp_path: Path) -> None:
    model = Recorder(identity, one_input())
    (tmp_path / GOLDEN).write_bytes(b"no zip")
    with pytest.raises(ModelLoadError, match="cannot be read"):
        samples_for(model, [tmp_path])
    np.savez(tmp_path / GOLDEN, z=GIVEN)
    with pytest.raises(ModelLoadError, match="does not fit the model: input 'x' is missing"):
        samples_for(model, [tmp_path])


def test_it_is_looked_for_within_the_model_directory_alone() -> None:
    top = Path("/models/this")
    assert places(FoundModel("onnx", top / "export/model.onnx"), top) == [top / "export", top]
    assert places(FoundModel("tensorflow", top), top) == [top]


def test_made_up_inputs_are_of_two_scales_where_rankings_count() -> None:
    model = Recorder(lambda inputs: {"y": inputs["a"]}, TWO_INPUTS)
    (only,) = samples_for(model, [])
    assert not only.ranks
    assert len(only.inputs["a"]) == 8
    small, large = samples_for(model, [], ranks=True)
    assert small.ranks
    assert len(small.inputs["a"]) == ROWS
    np.testing.assert_array_equal(large.inputs["a"], small.inputs["a"] * np.float32(255))
    np.testing.assert_array_equal(large.inputs["b"], small.inputs["b"])


def test_a_model_that_runs_on_nothing_made_up_has_no_sample() -> None:
    assert samples_for(Recorder(refusing), [], ranks=True) == []
