"""Gemm becomes MatMul and Add where that changes nothing, and stays elsewhere."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import ModelProto, TensorProto, checker, helper, load, numpy_helper

from assets import onnx_models
from serving.backends import onnx_gemm

WEIGHT = np.arange(12, dtype=np.float32).reshape(3, 4)
BIAS = np.array([0.5, -1.0, 2.0, 0.25], np.float32)


def gemm(*, transposed: bool = False, bias: bool = True, weight: Any = WEIGHT, **attributes: Any) -> ModelProto:  # noqa: ANN401
    """`x` float32 [N, 3] -> `y` float32 [N, 4]."""
    stored = np.ascontiguousarray(weight.T) if transposed else weight
    initializers = [numpy_helper.from_array(stored, "w"), numpy_helper.from_array(BIAS.astype(weight.dtype), "b")]
    node = helper.make_node(
        "Gemm", ["x", "w", "b"] if bias else ["x", "w"], ["y"], transB=int(transposed), **attributes
    )
    kind = helper.np_dtype_to_tensor_dtype(weight.dtype)
    graph = helper.make_graph(
        [node],
        "gemm",
        [helper.make_tensor_value_info("x", kind, ["N", 3])],
        [helper.make_tensor_value_info("y", kind, ["N", 4])],
        initializers,
    )
    return helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 21)])


def answer(model: ModelProto, given: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"x": given})
    assert isinstance(found, np.ndarray)
    return found


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_a_plain_product_is_rewritten_and_answers_the_same(*, transposed: bool, bias: bool) -> None:
    given = np.random.default_rng(1).standard_normal((5, 3)).astype(np.float32)
    model = gemm(transposed=transposed, bias=bias)
    wanted = answer(model, given)
    assert onnx_gemm.rewrite(model) == 1
    operators = [node.op_type for node in model.graph.node]
    assert operators == ["Transpose"] * transposed + ["MatMul"] + ["Add"] * bias
    np.testing.assert_allclose(answer(model, given), wanted, rtol=1e-6)


@pytest.mark.parametrize(
    "model",
    [gemm(alpha=0.5), gemm(beta=2.0), gemm(weight=WEIGHT.astype(np.float64))],
    ids=["alpha", "beta", "float64"],
)
def test_other_products_stay(model: ModelProto) -> None:
    before = model.SerializeToString()
    assert onnx_gemm.rewrite(model) == 0
    assert model.SerializeToString() == before


def test_a_transposed_left_side_and_changeable_weights_stay() -> None:
    model = gemm()
    model.graph.node[0].attribute.append(helper.make_attribute("transA", 1))
    assert onnx_gemm.rewrite(model) == 0
    model = gemm()
    model.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, [3, 4]))
    assert onnx_gemm.rewrite(model) == 0


def test_a_file_without_a_gemm_is_left_alone(tmp_path: Path) -> None:
    assert onnx_gemm.rewritten(onnx_models.matmul(tmp_path / "model.onnx")) is None
    path = onnx_models.matmul(tmp_path / "model.onnx", operator="Gemm")
    assert b"Gemm" not in (onnx_gemm.rewritten(path) or b"Gemm")
    assert load(path).graph.node[0].op_type == "Gemm"
