"""Which models' runs take as long as the shapes of their inputs say."""

from collections.abc import Callable
from pathlib import Path

import pytest
from onnx import NodeProto, TensorProto, helper, load_model, save_model

from assets import onnx_models
from serving.backends import onnx_nodes
from serving.backends.onnx_steady import is_steady


@pytest.mark.parametrize("make", [onnx_models.identity, onnx_models.matmul, onnx_models.fixed_shape])
def test_a_model_without_loops_is_steady(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    assert is_steady(make(tmp_path / "model.onnx"))


def test_a_model_with_a_loop_is_not(tmp_path: Path) -> None:
    assert not is_steady(onnx_models.slow(tmp_path / "model.onnx", loops=3))


def graph_of(path: Path, *nodes: NodeProto) -> Path:
    """A model of `x` float32 [N, 3], `shape` int64 [2] and the constant `fixed`; its last node gives `y`."""
    inputs = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3]),
        helper.make_tensor_value_info("shape", TensorProto.INT64, [2]),
    ]
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    fixed = helper.make_tensor("fixed", TensorProto.INT64, [2], [4, 3])
    save_model(helper.make_model(helper.make_graph(nodes, "graph", inputs, [output], [fixed])), path)
    return path


EXPANSION = helper.make_node("Expand", ["x", "size"], ["y"])


@pytest.mark.parametrize(
    ("nodes", "steady"),
    [
        ([helper.make_node("Expand", ["x", "fixed"], ["y"])], True),
        ([helper.make_node("Expand", ["x", "shape"], ["y"])], False),
        ([helper.make_node("Shape", ["x"], ["size"]), EXPANSION], True),
        ([helper.make_node("Add", ["shape", "fixed"], ["size"]), EXPANSION], False),
        ([helper.make_node("Mul", ["fixed", "fixed"], ["size"]), EXPANSION], True),
        ([helper.make_node("Tile", ["x", "shape"], ["y"])], False),
        ([helper.make_node("Cast", ["shape"], ["y"], to=TensorProto.FLOAT)], True),
        ([helper.make_node("NonZero", ["x"], ["y"])], False),
        ([helper.make_node("StringConcat", ["x", "x"], ["y"])], False),
    ],
)
def test_values_must_not_decide_how_much_there_is_to_do(tmp_path: Path, nodes: list[NodeProto], steady: bool) -> None:
    assert is_steady(graph_of(tmp_path / "model.onnx", *nodes)) == steady


def test_weights_among_the_inputs_are_not_told_by_callers(tmp_path: Path) -> None:
    """As files of before ONNX 1.4 have them."""
    path = graph_of(tmp_path / "model.onnx", helper.make_node("Expand", ["x", "fixed"], ["y"]))
    model = load_model(path)
    model.graph.input.append(helper.make_tensor_value_info("fixed", TensorProto.INT64, [2]))
    save_model(model, path)
    assert is_steady(path)


def test_a_graph_of_very_many_nodes_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = onnx_models.matmul(tmp_path / "model.onnx")
    monkeypatch.setattr(onnx_nodes, "MOST_NODES", 0)
    assert not is_steady(path)


@pytest.mark.parametrize("content", [b"no protobuf at all", b"\x3a\x05abc", b"\x3a\xff\xff\xff", b"\xff" * 40])
def test_a_broken_file_is_not(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    assert not is_steady(path)


@pytest.mark.parametrize(
    "make", [onnx_models.identity, onnx_models.matmul, onnx_models.two_inputs, onnx_models.every_type, onnx_models.slow]
)
def test_nodes_are_those_that_onnx_reads(tmp_path: Path, make: Callable[..., Path]) -> None:
    path = make(tmp_path / "model.onnx", **({"loops": 2} if make is onnx_models.slow else {}))
    expected = load_model(path, load_external_data=False).graph
    assert onnx_nodes.read(path).nodes == tuple(
        onnx_nodes.Node(node.op_type, tuple(node.input), tuple(node.output)) for node in expected.node
    )


def test_a_file_without_content_is_not(tmp_path: Path) -> None:
    empty = tmp_path / "model.onnx"
    empty.touch()
    assert not is_steady(empty)
