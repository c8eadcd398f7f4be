"""Small ONNX models made on the fly, each with one property that a server must cope with.

Every builder writes its model to `path` and returns `path`. Answers can be worked out by hand; all are exact
but those of the models with seeded weights. The axis named `N` is the batch axis.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, checker, helper, numpy_helper, save_model

Dimension: TypeAlias = int | str | None
"""A size, the name of a free axis, or None for a free axis without a name."""
Shape: TypeAlias = Sequence[Dimension]

IR_VERSION: Final = 10
OPSET: Final = 21
ML_OPSET: Final = 3
ML_DOMAIN: Final = "ai.onnx.ml"
WEIGHT_SEED: Final = 2026
ROWS: Final = "N"

ELEMENT_TYPES: Final = MappingProxyType(
    {
        "float16": TensorProto.FLOAT16,
        "float32": TensorProto.FLOAT,
        "float64": TensorProto.DOUBLE,
        "int8": TensorProto.INT8,
        "int16": TensorProto.INT16,
        "int32": TensorProto.INT32,
        "int64": TensorProto.INT64,
        "uint8": TensorProto.UINT8,
        "uint16": TensorProto.UINT16,
        "uint32": TensorProto.UINT32,
        "uint64": TensorProto.UINT64,
        "bool": TensorProto.BOOL,
        "string": TensorProto.STRING,
    }
)
"""What ONNX Runtime takes from numpy and gives back; "string" is numpy's object dtype there.

Complex types are left out: ONNX has them, ONNX Runtime fails to load a model that does ("MLDataType for:
tensor(complex64) is not currently registered or supported"). So is bfloat16: it loads, but no numpy array can
be handed in.
"""

LABEL_NAMES: Final = ("setosa", "versicolor", "virginica")
"""The keys of `map_output` with string keys."""
LABEL_NUMBERS: Final = (10, 20, 30)
"""The keys of `map_output` with integer keys; not 0, 1, 2, so that a key and a position can be told apart."""
POISON_TABLE: Final = ((0.0, 0.5), (1.0, 1.5), (2.0, 2.5), (3.0, 3.5), (4.0, 4.5))
"""The rows that `poison` looks up."""
SLOW_SIDE: Final = 192
"""Rows and columns of the matrix that `slow` multiplies in each turn of its loop."""


def identity(path: Path, element: str = "float32", *, columns: Dimension = 3) -> Path:
    """`x` [N, columns] -> `y`, the same. `element` is a key of ELEMENT_TYPES.

    With `columns="L"` the second axis is free too, so that requests of mixed shapes arrive.
    """
    kind = ELEMENT_TYPES[element]
    return _write(
        path,
        [helper.make_node("Identity", ["x"], ["y"])],
        inputs=[_value("x", kind, [ROWS, columns])],
        outputs=[_value("y", kind, [ROWS, columns])],
    )


def every_type(path: Path) -> Path:
    """For each of ELEMENT_TYPES an input `x_TYPE` [N, 3] and the output `y_TYPE`, the same."""
    return _write(
        path,
        [helper.make_node("Identity", [f"x_{name}"], [f"y_{name}"]) for name in ELEMENT_TYPES],
        inputs=[_value(f"x_{name}", kind, [ROWS, 3]) for name, kind in ELEMENT_TYPES.items()],
        outputs=[_value(f"y_{name}", kind, [ROWS, 3]) for name, kind in ELEMENT_TYPES.items()],
    )


def weight(inputs: int, outputs: int) -> npt.NDArray[np.float32]:
    """The weight that `matmul` and `external_data` hold: float32 [inputs, outputs], always the same."""
    values = np.random.default_rng(WEIGHT_SEED).standard_normal((inputs, outputs))
    return values.astype(np.float32)


def matmul(path: Path, *, inputs: int = 258, outputs: int = 64, operator: str = "MatMul") -> Path:
    """`x` float32 [N, inputs] -> `y` float32 [N, outputs], x @ weight(inputs, outputs).

    `operator` is "MatMul" or "Gemm". 258 is no multiple of 4: kernels with a vectorised inner loop have a
    remainder to get right.
    """
    return _write(
        path,
        [helper.make_node(operator, ["x", "weight"], ["y"])],
        inputs=[_value("x", TensorProto.FLOAT, [ROWS, inputs])],
        outputs=[_value("y", TensorProto.FLOAT, [ROWS, outputs])],
        constants=[numpy_helper.from_array(weight(inputs, outputs), "weight")],
    )


def external_data(path: Path, *, inputs: int = 258, outputs: int = 64) -> Path:
    """`matmul` with its weight in a second file beside the model, named `path.name + ".data"`."""
    model = _model(
        [helper.make_node("MatMul", ["x", "weight"], ["y"])],
        inputs=[_value("x", TensorProto.FLOAT, [ROWS, inputs])],
        outputs=[_value("y", TensorProto.FLOAT, [ROWS, outputs])],
        constants=[numpy_helper.from_array(weight(inputs, outputs), "weight")],
    )
    beside = path.name + ".data"
    # The writer appends to a file that is there, and the model would then hold offsets into the new part.
    path.with_name(beside).unlink(missing_ok=True)
    save_model(model, path, save_as_external_data=True, location=beside, size_threshold=0)
    return path


def two_inputs(path: Path) -> Path:
    """`a` float32 [N, 3], `b` int64 [N, 2] -> `sum` float32 [N], `doubled` int64 [N, 2].

    `sum` adds the numbers of a row of both `a` and `b`: it is wrong when the rows of the two are misaligned.
    """
    return _write(
        path,
        [
            helper.make_node("ReduceSum", ["a", "axis"], ["sum_a"], keepdims=0),
            helper.make_node("ReduceSum", ["b", "axis"], ["sum_b"], keepdims=0),
            helper.make_node("Cast", ["sum_b"], ["sum_b_float"], to=TensorProto.FLOAT),
            helper.make_node("Add", ["sum_a", "sum_b_float"], ["sum"]),
            helper.make_node("Add", ["b", "b"], ["doubled"]),
        ],
        inputs=[_value("a", TensorProto.FLOAT, [ROWS, 3]), _value("b", TensorProto.INT64, [ROWS, 2])],
        outputs=[_value("sum", TensorProto.FLOAT, [ROWS]), _value("doubled", TensorProto.INT64, [ROWS, 2])],
        constants=[_integers("axis", [1])],
    )


def sum_of_two(path: Path, *, columns: int = 3) -> Path:
    """`a` and `b` float32 [N, columns] -> `total` float32 [N], the sum of a row of both."""
    return _write(
        path,
        [
            helper.make_node("Add", ["a", "b"], ["both"]),
            helper.make_node("ReduceSum", ["both", "axis"], ["total"], keepdims=0),
        ],
        inputs=[_value(name, TensorProto.FLOAT, [ROWS, columns]) for name in ("a", "b")],
        outputs=[_value("total", TensorProto.FLOAT, [ROWS])],
        constants=[_integers("axis", [1])],
    )


def scalar_output(path: Path) -> Path:
    """`x` float32 [N, 3] -> `total` float32 [] (no axes), the sum of everything."""
    return _write(
        path,
        [helper.make_node("ReduceSum", ["x"], ["total"], keepdims=0)],
        inputs=[_value("x", TensorProto.FLOAT, [ROWS, 3])],
        outputs=[_value("total", TensorProto.FLOAT, [])],
    )


def rows_and_scalar(path: Path) -> Path:
    """`x` float32 [N, 3] -> `doubled` float32 [N, 3] and `total` float32 [], the sum of everything."""
    return _write(
        path,
        [
            helper.make_node("Add", ["x", "x"], ["doubled"]),
            helper.make_node("ReduceSum", ["x"], ["total"], keepdims=0),
        ],
        inputs=[_value("x", TensorProto.FLOAT, [ROWS, 3])],
        outputs=[_value("doubled", TensorProto.FLOAT, [ROWS, 3]), _value("total", TensorProto.FLOAT, [])],
    )


def fixed_shape(path: Path, *, rows: int = 1, columns: int = 4) -> Path:
    """`x` float32 [rows, columns] -> `y` float32 [rows, columns / 2], left half plus right half.

    No axis is free: the default takes one row at a time, `rows=3, columns=2` a batch of exactly three.
    """
    half = columns // 2
    return _write(
        path,
        [
            helper.make_node("Split", ["x"], ["left", "right"], axis=1, num_outputs=2),
            helper.make_node("Add", ["left", "right"], ["y"]),
        ],
        inputs=[_value("x", TensorProto.FLOAT, [rows, columns])],
        outputs=[_value("y", TensorProto.FLOAT, [rows, half])],
    )


def sequence_output(path: Path) -> Path:
    """`x` float32 [N, 3] -> `pair`, a sequence of two float32 [N, 3]: x and twice x."""
    return _write(
        path,
        [
            helper.make_node("Add", ["x", "x"], ["doubled"]),
            helper.make_node("SequenceConstruct", ["x", "doubled"], ["pair"]),
        ],
        inputs=[_value("x", TensorProto.FLOAT, [ROWS, 3])],
        outputs=[helper.make_tensor_sequence_value_info("pair", TensorProto.FLOAT, [ROWS, 3])],
    )


def map_output(path: Path, *, keys: str = "int64") -> Path:
    """`x` float32 [N, 3] -> `label` [N] and `probabilities`, a sequence of N maps, as scikit-learn converts.

    `keys="int64"`: `label` int64, maps from LABEL_NUMBERS. `keys="string"`: `label` string, maps from
    LABEL_NAMES. A map's values are the row of `x` unchanged, `label` the key of the greatest.
    """
    zipped = "ZipMap", ["x"], ["probabilities"]
    if keys == "string":
        names = numpy_helper.from_array(np.array(LABEL_NAMES, dtype=object), "keys")
        zip_map = helper.make_node(*zipped, domain=ML_DOMAIN, classlabels_strings=list(LABEL_NAMES))
    else:
        names = _integers("keys", LABEL_NUMBERS)
        zip_map = helper.make_node(*zipped, domain=ML_DOMAIN, classlabels_int64s=list(LABEL_NUMBERS))
    kind = names.data_type
    value_type = helper.make_tensor_type_proto(TensorProto.FLOAT, [])
    maps = helper.make_sequence_type_proto(helper.make_map_type_proto(kind, value_type))
    return _write(
        path,
        [
            helper.make_node("ArgMax", ["x"], ["position"], axis=1, keepdims=0),
            helper.make_node("Gather", ["keys", "position"], ["label"]),
            zip_map,
        ],
        inputs=[_value("x", TensorProto.FLOAT, [ROWS, 3])],
        outputs=[_value("label", kind, [ROWS]), helper.make_value_info("probabilities", maps)],
        constants=[names],
    )


def poison(path: Path) -> Path:
    """`index` int64 [N] -> `row` float32 [N, 2], rows of POISON_TABLE.

    An index outside -5..4 makes the whole run fail, and with it every request that rides in the same batch.
    """
    table = np.array(POISON_TABLE, dtype=np.float32)
    return _write(
        path,
        [helper.make_node("Gather", ["table", "index"], ["row"])],
        inputs=[_value("index", TensorProto.INT64, [ROWS])],
        outputs=[_value("row", TensorProto.FLOAT, [ROWS, 2])],
        constants=[numpy_helper.from_array(table, "table")],
    )


def batch_dependent(path: Path) -> Path:
    """`x` float32 [N, 4] -> `y` float32 [N, 4], x less its mean over the batch.

    The first axis is free, yet a row's answer depends on its neighbours: batching such a model is wrong.
    """
    return _write(
        path,
        [
            helper.make_node("ReduceMean", ["x", "axis"], ["mean"], keepdims=1),
            helper.make_node("Sub", ["x", "mean"], ["y"]),
        ],
        inputs=[_value("x", TensorProto.FLOAT, [ROWS, 4])],
        outputs=[_value("y", TensorProto.FLOAT, [ROWS, 4])],
        constants=[_integers("axis", [0])],
    )


def slow(path: Path, *, loops: int) -> Path:
    """`x` float32 [N, 3] -> `y`, the same, after `loops` matrix products of SLOW_SIDE x SLOW_SIDE.

    A run takes about the same time whatever N is, and nothing but its end stops it. One turn of the loop took
    65 microseconds on one thread of an x86 server core; emulation takes many times that, so calibrate.
    """
    side = [SLOW_SIDE, SLOW_SIDE]
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["go_on"]),
            helper.make_node("MatMul", ["state", "factor"], ["product"]),
            # Keeps the numbers within -1..1 for ever: no infinities, and no denormals that would slow it.
            helper.make_node("Tanh", ["product"], ["next_state"]),
        ],
        "turn",
        [
            _value("turn", TensorProto.INT64, []),
            _value("go", TensorProto.BOOL, []),
            _value("state", TensorProto.FLOAT, side),
        ],
        [_value("go_on", TensorProto.BOOL, []), _value("next_state", TensorProto.FLOAT, side)],
    )
    return _write(
        path,
        [
            helper.make_node("Loop", ["loops", "", "factor"], ["last"], body=body),
            # The work must count in the answer, lest an optimiser drop it: x + 0 * max(work).
            helper.make_node("ReduceMax", ["last"], ["greatest"], keepdims=0),
            helper.make_node("Mul", ["greatest", "zero"], ["nothing"]),
            helper.make_node("Add", ["x", "nothing"], ["y"]),
        ],
        inputs=[_value("x", TensorProto.FLOAT, [ROWS, 3])],
        outputs=[_value("y", TensorProto.FLOAT, [ROWS, 3])],
        constants=[
            numpy_helper.from_array(weight(*side), "factor"),
            helper.make_tensor("loops", TensorProto.INT64, [], [loops]),
            helper.make_tensor("zero", TensorProto.FLOAT, [], [0.0]),
        ],
    )


def _value(name: str, kind: int, shape: Shape) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def _integers(name: str, values: Sequence[int]) -> TensorProto:
    return numpy_helper.from_array(np.array(values, dtype=np.int64), name)


def _model(
    nodes: Sequence[NodeProto],
    *,
    inputs: Sequence[ValueInfoProto],
    outputs: Sequence[ValueInfoProto],
    constants: Iterable[TensorProto] = (),
) -> ModelProto:
    graph = helper.make_graph(nodes, "small", inputs, outputs, list(constants))
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(ML_DOMAIN, ML_OPSET)]
    return helper.make_model(graph, ir_version=IR_VERSION, opset_imports=opsets)


def _write(
    path: Path,
    nodes: Sequence[NodeProto],
    *,
    inputs: Sequence[ValueInfoProto],
    outputs: Sequence[ValueInfoProto],
    constants: Iterable[TensorProto] = (),
) -> Path:
    model = _model(nodes, inputs=inputs, outputs=outputs, constants=constants)
    checker.check_model(model, full_check=True)
    save_model(model, path)
    return path
