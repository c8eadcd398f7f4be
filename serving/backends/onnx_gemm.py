"""Rewriting ONNX's Gemm as MatMul and Add, so that bf16 reaches it.

ONNX Runtime has bf16 kernels for float32 on arm64 in MatMul alone: the same product as a Gemm, which is
what exporters write for a linear layer, stays float32 (seen on an emulated Neoverse-V1 with 1.32: MatMul
deviates by 3e-3, Gemm by 4e-7). ONNX Runtime would also fuse the MatMul and the Add back into a Gemm; the
backend turns that optimizer off.
"""

from pathlib import Path

import onnx
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper

OPERATOR = "Gemm"


def rewritten(path: Path) -> bytes | None:
    """The model with each Gemm that qualifies rewritten; None when none does.

    External data stays where it is: the bytes refer to it by the same relative paths.
    """
    model = onnx.load(path, load_external_data=False)
    return model.SerializeToString() if rewrite(model) else None


def rewrite(model: ModelProto) -> int:
    """Rewrite in place; returns how many nodes were.

    A Gemm qualifies if it is a plain product of float32 with constant weights: alpha = beta = 1, A not
    transposed. A transposed B gets a Transpose, which ONNX Runtime folds into the weights when it loads.
    """
    constants = _constants(model.graph)
    nodes: list[NodeProto] = []
    count = 0
    for node in model.graph.node:
        if _qualifies(node, constants):
            nodes.extend(_product(node))
            count += 1
        else:
            nodes.append(node)
    if count:
        del model.graph.node[:]
        model.graph.node.extend(nodes)
    return count


def _constants(graph: GraphProto) -> set[str]:
    """The names of the float32 weights; one that is also an input of the graph can be replaced by a caller."""
    inputs = {value.name for value in graph.input}
    return {t.name for t in graph.initializer if t.data_type == TensorProto.FLOAT and t.name not in inputs}


def _qualifies(node: NodeProto, constants: set[str]) -> bool:
    if node.op_type != OPERATOR or node.domain not in ("", "ai.onnx") or node.input[1] not in constants:
        return False
    values = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    return values.get("alpha", 1.0) == values.get("beta", 1.0) == 1.0 and not values.get("transA", 0)


def _product(node: NodeProto) -> list[NodeProto]:
    """Transpose (where B is transposed), MatMul, Add (where there is a C)."""
    nodes = []
    right, output = node.input[1], node.output[0]
    if any(attribute.name == "transB" and attribute.i for attribute in node.attribute):
        nodes.append(helper.make_node("Transpose", [right], [f"{output}/transposed"], perm=[1, 0]))
        right = f"{output}/transposed"
    has_c = len(node.input) > 2 and bool(node.input[2])  # noqa: PLR2004 (A, B, C)
    product = f"{output}/product" if has_c else output
    nodes.append(helper.make_node("MatMul", [node.input[0], right], [product], name=node.name))
    if has_c:
        nodes.append(helper.make_node("Add", [product, node.input[2]], [output]))
    return nodes
