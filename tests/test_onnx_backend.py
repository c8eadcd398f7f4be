"""ONNX models on the real ONNX Runtime: signatures, answers, refusals and what cannot be loaded."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from onnx import TensorProto, helper, save_model

from assets import onnx_models
from properties import NUMERIC, same
from serving import backends
from serving.backends import Model
from serving.budget import Budget
from serving.errors import ModelFailedError, ModelLoadError, ModelRejectedInputError
from serving.plans import Plan, make_plan
from serving.plans.plan import ORT_FASTMATH
from serving.processor import Processor
from serving.settings import Settings
from serving.signature import Array, TensorSpec

PLAN = make_plan("onnx", Processor("x86_64", "any"), Budget(1, frozenset({0}), 1), Settings(), MappingProxyType({}))


def loaded(path: Path, plan: Plan = PLAN) -> Model:
    return backends.load("onnx", path, plan)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.onnx"


def floats(*shape: int) -> Array:
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


@pytest.mark.parametrize("element", onnx_models.ELEMENT_TYPES)
def test_every_element_type_goes_in_and_comes_out_as_it_is(path: Path, element: str) -> None:
    model = loaded(onnx_models.identity(path, element))
    assert model.signature.inputs == (TensorSpec("x", element, ("N", 3)),)
    assert model.signature.outputs == (TensorSpec("y", element, ("N", 3)),)
    given = np.array([["a", "", "ä\0"]], dtype=object) if element == "string" else floats(2, 3).astype(element)
    answer = model.run({"x": given})["y"]
    assert same(answer, given)


def test_every_element_type_of_the_tests_is_one_that_is_served() -> None:
    assert {*NUMERIC, "string"} == set(onnx_models.ELEMENT_TYPES)


def test_several_inputs_and_outputs_keep_the_order_of_the_model(path: Path) -> None:
    model = loaded(onnx_models.two_inputs(path))
    assert model.signature.input_names == ["a", "b"]
    outputs = model.run({"b": np.array([[4, 5]]), "a": floats(1, 3)})
    assert list(outputs) == ["sum", "doubled"]
    assert same(outputs["sum"], np.array([12], np.float32))
    assert same(outputs["doubled"], np.array([[8, 10]]))


def test_an_axis_without_a_name_gets_one_of_its_own(path: Path) -> None:
    model = loaded(onnx_models.identity(path, columns=None))
    assert model.signature.inputs[0].shape == ("N", "x.1")


def test_a_scalar_output_has_no_axes(path: Path) -> None:
    model = loaded(onnx_models.rows_and_scalar(path))
    assert model.signature.outputs[1] == TensorSpec("total", "float32", ())
    total = model.run({"x": floats(2, 3)})["total"]
    assert same(total, np.array(15, np.float32))


def test_fixed_axes_are_fixed(path: Path) -> None:
    assert loaded(onnx_models.fixed_shape(path)).signature.inputs[0].shape == (1, 4)


@pytest.mark.parametrize("keys", ["int64", "string"])
def test_maps_are_one_dict_a_row(path: Path, keys: str) -> None:
    model = loaded(onnx_models.map_output(path, keys=keys))
    assert model.signature.outputs[1].kind == "maps"
    assert model.signature.has_batch_axis
    names = onnx_models.LABEL_NAMES if keys == "string" else onnx_models.LABEL_NUMBERS
    maps = model.run({"x": np.array([[0.25, 0.5, 0.125]], np.float32)})["probabilities"]
    assert maps == [dict(zip(names, (0.25, 0.5, 0.125), strict=True))]


def test_a_sequence_is_no_tensor_and_no_rows(path: Path) -> None:
    model = loaded(onnx_models.sequence_output(path))
    (pair,) = model.signature.outputs
    assert (pair.kind, pair.shape, pair.described) == ("other", (), "seq(tensor(float))")
    assert not model.signature.has_batch_axis
    value = model.run({"x": floats(1, 3)})["pair"]
    assert isinstance(value, list)
    assert [array.tolist() for array in value] == [[[0, 1, 2]], [[0, 2, 4]]]


def test_values_on_which_an_operator_cannot_run_are_the_callers_fault(path: Path) -> None:
    model = loaded(onnx_models.poison(path))
    with pytest.raises(ModelRejectedInputError) as raised:
        model.run({"index": np.array([99])})
    assert "Gather" not in raised.value.message
    assert same(model.run({"index": np.array([1])})["row"], np.array([[1, 1.5]], np.float32))


def test_anything_else_that_goes_wrong_is_not(path: Path) -> None:
    model = loaded(onnx_models.identity(path))
    with pytest.raises(ModelFailedError):
        model.run({})  # which validation never lets happen


def test_external_data_beside_the_model_is_read(path: Path) -> None:
    model = loaded(onnx_models.external_data(path, inputs=5, outputs=2))
    expected = floats(1, 5) @ onnx_models.weight(5, 2)
    np.testing.assert_allclose(np.asarray(model.run({"x": floats(1, 5)})["y"]), expected, rtol=1e-5)


def test_external_data_that_is_missing_is_told(path: Path) -> None:
    onnx_models.external_data(path).with_name("model.onnx.data").unlink()
    with pytest.raises(ModelLoadError, match="with its external data files beside it"):
        loaded(path)


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x08\x0a" * 50])
def test_a_file_that_is_no_model_is_told_with_its_path(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(ModelLoadError, match=r"model\.onnx could not be loaded by ONNX Runtime .*Expected: an ONNX"):
        loaded(path)


def cast_model(path: Path, taken: int, given: int) -> Path:
    graph = helper.make_graph(
        [helper.make_node("Cast", ["x"], ["y"], to=given)],
        "cast",
        [helper.make_tensor_value_info("x", taken, ["N"])],
        [helper.make_tensor_value_info("y", given, ["N"])],
    )
    imports = [helper.make_opsetid("", onnx_models.OPSET)]
    save_model(helper.make_model(graph, ir_version=onnx_models.IR_VERSION, opset_imports=imports), path)
    return path


@pytest.mark.parametrize(
    ("taken", "given", "text"),
    [
        (TensorProto.BFLOAT16, TensorProto.FLOAT, "input 'x' is of type tensor.bfloat16."),
        (TensorProto.FLOAT, TensorProto.BFLOAT16, "output 'y' is of type tensor.bfloat16.*Cast it to float32"),
    ],
)
def test_element_types_that_numpy_does_not_have_are_told_at_once(path: Path, taken: int, given: int, text: str) -> None:
    with pytest.raises(ModelLoadError, match=text):
        loaded(cast_model(path, taken, given))


def test_an_input_that_is_no_tensor_is_told_at_once(path: Path) -> None:
    graph = helper.make_graph(
        [helper.make_node("SequenceLength", ["x"], ["y"])],
        "length",
        [helper.make_tensor_sequence_value_info("x", TensorProto.FLOAT, None)],
        [helper.make_tensor_value_info("y", TensorProto.INT64, [])],
    )
    imports = [helper.make_opsetid("", onnx_models.OPSET)]
    save_model(helper.make_model(graph, ir_version=onnx_models.IR_VERSION, opset_imports=imports), path)
    with pytest.raises(ModelLoadError, match=r"input 'x' is of type seq\(tensor\(float\)\)\. Expected: a tensor of"):
        loaded(path)


@pytest.mark.parametrize("session", [{ORT_FASTMATH: "1"}, {ORT_FASTMATH: "0"}])
@pytest.mark.parametrize("threads", [1, 2])
def test_the_session_takes_the_options_of_the_plan(path: Path, session: Mapping[str, str], threads: int) -> None:
    model = loaded(onnx_models.matmul(path), PLAN._replace(threads=threads, session=session))
    options = model._session.get_session_options()  # type: ignore[attr-defined]
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (threads, 1)
    assert options.get_session_config_entry(ORT_FASTMATH) == session[ORT_FASTMATH]


def test_a_framework_that_is_not_installed_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "MODULES", {"onnx": "serving.backends.missing"})
    with pytest.raises(ModelLoadError, match=r"needs onnx, which this installation lacks .*image variant"):
        loaded(path)
