"""What a model takes and gives: named tensors with a data type and a shape.

The signature drives validation, warm-up, the OpenAPI page and the error messages, so every backend
reports one. A request becomes `dict[str, ndarray]` by input name, an answer `dict[str, Value]` by output
name; only an output can be anything but a tensor (ONNX sequences and maps).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, TypeAlias

import numpy as np

# numpy.typing has a name for it, and takes a millisecond of every start.
Array: TypeAlias = np.ndarray[tuple[Any, ...], np.dtype[Any]]
# A tensor; or, for the outputs that are no tensors, what the runtime makes of them: lists, dicts, None.
Value: TypeAlias = Array | list[Any] | dict[Any, Any] | None
Inputs: TypeAlias = dict[str, Array]
Outputs: TypeAlias = dict[str, Value]

# An int is fixed; a name stands for a size that each request chooses.
Dimension: TypeAlias = int | str
Kind: TypeAlias = Literal["tensor", "maps", "other"]

STRING = "string"


# Without slots: what each request asks of them is kept.
@dataclass(frozen=True)
class TensorSpec:
    """One input or output.

    `dtype` is numpy's name for the element type, or "string" (held in object arrays of `str`). `kind` is
    "maps" for a sequence of one dict a row (what a classifier's ZipMap gives), "other" for any further
    sequence, map or optional; their `shape` is empty and their `dtype` the runtime's own description.
    `any_rank` is an input that takes any number of dimensions; its `shape` is empty. `usual` is the whole shape of an
    input as the model was made for it, where that is known; empty where not.
    """

    name: str
    dtype: str
    shape: tuple[Dimension, ...]
    kind: Kind = "tensor"
    any_rank: bool = False
    usual: tuple[int, ...] = field(default=(), compare=False, repr=False)

    @cached_property
    def numpy_dtype(self) -> np.dtype[Any]:
        """The dtype of this tensor's arrays: object for strings."""
        return np.dtype(object) if self.dtype == STRING else np.dtype(self.dtype)

    @cached_property
    def row(self) -> tuple[int, ...] | None:
        """The shape of one of any number of rows; None where some other size is free, or the number of rows fixed."""
        if not self.shape or isinstance(self.shape[0], int):
            return None
        sizes = tuple(size for size in self.shape[1:] if isinstance(size, int))
        return sizes if len(sizes) == len(self.shape) - 1 else None

    @property
    def described(self) -> str:
        """For people: `float32 [batch, 3, 224, 224]`."""
        if self.kind != "tensor":
            return self.dtype
        return f"{self.dtype} {'of any shape' if self.any_rank else described_shape(self.shape)}"

    @property
    def as_json(self) -> dict[str, object]:
        """For machines: name, dtype, shape (names for free dimensions; null where any will do), kind."""
        shape = None if self.any_rank else list(self.shape)
        return {"name": self.name, "dtype": self.dtype, "shape": shape, "kind": self.kind}


@dataclass(frozen=True)
class Signature:
    """A model's inputs and outputs, in the model's own order; `name` is empty where signatures have none.

    `others` are all signatures of the same model by name, for a request that asks for one in its body.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    name: str = ""
    others: Mapping[str, "Signature"] = field(default_factory=dict, compare=False, repr=False)

    @cached_property
    def input_names(self) -> Sequence[str]:
        """The names of the inputs, in order."""
        return [spec.name for spec in self.inputs]

    @property
    def has_batch_axis(self) -> bool:
        """Whether the first axis of every input and output is free, so that rows may ride together.

        Necessary for batching, not sufficient: warm-up tries whether the answer really is one row a row.
        Exporters often give the inputs' first axes different names, or none, so the names tell nothing.
        """
        free = all(spec.shape and isinstance(spec.shape[0], str) for spec in self.inputs)
        return bool(self.inputs) and free and all(_one_a_row(spec) for spec in self.outputs)

    @cached_property
    def sizes_follow(self) -> bool:
        """Whether all sizes of an answer's rows are fixed or those of the request: rows answered apart fit then."""
        given = {size for spec in self.inputs for size in spec.shape[1:]}
        sizes = (size for spec in self.outputs for size in spec.shape[1:])
        return all(isinstance(size, int) or size in given for size in sizes)

    @property
    def as_json(self) -> dict[str, object]:
        """For machines: both lists of specs."""
        return {"inputs": [s.as_json for s in self.inputs], "outputs": [s.as_json for s in self.outputs]}


def _one_a_row(spec: TensorSpec) -> bool:
    if spec.kind == "tensor":
        return bool(spec.shape) and isinstance(spec.shape[0], str)
    return spec.kind == "maps"


def described_shape(shape: tuple[Dimension, ...]) -> str:
    """The shape as people write it: `[batch, 3, 224, 224]`; a scalar is `[]`."""
    return "[" + ", ".join(str(size) for size in shape) + "]"


def row_count(inputs: Mapping[str, Array]) -> int:
    """The number of rows of a request: the size of the first axis; 1 where there is none."""
    for first in inputs.values():
        return int(first.shape[0]) if first.ndim else 1
    return 1


def is_per_row(value: Value, rows: int) -> bool:
    """Whether an output holds one element for each of `rows` rows."""
    if isinstance(value, np.ndarray):
        return value.ndim > 0 and value.shape[0] == rows
    return isinstance(value, list) and len(value) == rows and all(isinstance(v, dict) for v in value)
