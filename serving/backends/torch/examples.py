"""What a TorchScript module may be tried on: shapes and types for its inputs, the likeliest first.

A module's file tells the names of its inputs, hardly ever their types and shapes. Evidence of those, in this order:

    golden.npz        arrays named like the inputs, if there is one beside the model
    the trace         torch.jit.trace leaves in the file what it was called with
    the first layer   which says how many features or channels it wants
"""

import pickle
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from serving.samples import GOLDEN

# Rows and steps of sequences: numbers that no module has by chance, and small.
ROWS, STEPS = 2, 8
# Sides of pictures (ImageNet's, CIFAR's, MNIST's and others) and lengths of signals.
SIDES = (224, 32, 28, 64, 96, 128, 256, 299)
TRACED = "traced_inputs.pkl"
RECURRENT = frozenset({"LSTM", "GRU", "RNN"})
# The types of a trace's tensors, by the classes that its file names.
STORAGES: Mapping[str, torch.dtype] = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
CONVOLUTIONS: Mapping[str, int] = {"Conv1d": 1, "Conv2d": 2, "Conv3d": 3}


@dataclass(frozen=True, slots=True)
class Example:
    """The shape and type of one input."""

    shape: tuple[int, ...]
    dtype: torch.dtype

    def with_axis(self, axis: int, size: int) -> "Example":
        """The same but for one axis."""
        return Example((*self.shape[:axis], size, *self.shape[axis + 1 :]), self.dtype)

    def values(self) -> torch.Tensor:
        """Numbers in [0, 1); integers 0 and 1, which index any table. The same each time."""
        generator = torch.Generator().manual_seed(0)
        if self.dtype.is_floating_point:
            return torch.rand(self.shape, generator=generator).to(self.dtype)
        return torch.randint(0, 2, self.shape, generator=generator).to(self.dtype)


def examples(module: Any, path: Path, places: Sequence[Path], names: Sequence[str]) -> Iterator[dict[str, Example]]:  # noqa: ANN401
    """Examples for all of a module's inputs, the likeliest first.

    Args:
        module: the ScriptModule.
        path: its file.
        places: where a golden.npz may be.
        names: of its inputs.
    """
    for found in (_golden(places, names), _traced(path, names)):
        if found:
            yield found
    for example in _of_first_layer(module):
        yield dict.fromkeys(names, example)


def float_dtype(module: Any) -> torch.dtype:  # noqa: ANN401 (a ScriptModule)
    """The type of the module's first parameter that is a float; float32 where it has none."""
    floats = (p.dtype for p in module.parameters() if p.dtype.is_floating_point)
    return next(floats, torch.float32)


def _golden(places: Sequence[Path], names: Sequence[str]) -> dict[str, Example]:
    """Of golden.npz; empty where there is none, or it lacks an input: whoever reads it whole says what is wrong."""
    for path in (place / GOLDEN for place in places):
        if path.exists():
            try:
                with np.load(path, allow_pickle=False) as file:
                    arrays = {name: torch.from_numpy(file[name]) for name in names}
            except (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile):
                return {}
            return {name: Example(tuple(one.shape), one.dtype) for name, one in arrays.items()}
    return {}


def _traced(path: Path, names: Sequence[str]) -> dict[str, Example]:
    """Of what torch.jit.trace was called with; empty where the file has nothing of it."""
    try:
        with zipfile.ZipFile(path) as archive:
            record = next((name for name in archive.namelist() if name.partition("/")[2] == TRACED), None)
            if record is None:
                return {}
            with archive.open(record) as file:
                traced = _TracedUnpickler(file).load().get("forward", [])
    except (OSError, zipfile.BadZipFile, pickle.UnpicklingError, AttributeError, TypeError, ValueError, EOFError):
        return {}
    if len(traced) != len(names) or not all(isinstance(one, Example) for one in traced):
        return {}
    return dict(zip(names, traced, strict=True))


class _TracedUnpickler(pickle.Unpickler):
    """Reads types and shapes alone, and nothing that could run code."""

    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401 (a function or a class)
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda storage, _offset, size, *_: Example(tuple(size), storage)
        if (module, name) == ("torch.jit._pickle", "restore_type_tag"):
            return lambda value, _tag: value
        if (module, name) == ("collections", "OrderedDict"):
            return dict
        if module == "torch" and name in STORAGES:
            return STORAGES[name]
        raise pickle.UnpicklingError(f"{module}.{name} is no part of a tensor")

    def persistent_load(self, pid: Any) -> torch.dtype:  # noqa: ANN401 (a tuple: storage, its class, its record, …)
        dtype: torch.dtype = pid[1]
        return dtype


def _of_first_layer(module: Any) -> Iterator[Example]:  # noqa: ANN401 (a ScriptModule)
    """What the first layer with weights takes."""
    for part in module.modules():
        weights = dict(part.named_parameters(recurse=False))
        if weights:
            yield from _of_layer(str(part.original_name), weights, getattr(part, "groups", 1))
            return


def _of_layer(kind: str, weights: Mapping[str, torch.Tensor], groups: int) -> Iterator[Example]:
    if kind in RECURRENT and "weight_ih_l0" in weights:
        weight = weights["weight_ih_l0"]
        yield Example((ROWS, STEPS, weight.shape[1]), weight.dtype)
    elif "weight" not in weights:
        return
    elif kind == "Embedding":
        yield Example((ROWS, STEPS), torch.int64)
    elif kind in CONVOLUTIONS:
        weight = weights["weight"]
        for side in SIDES:
            yield Example((ROWS, weight.shape[1] * groups, *(side,) * CONVOLUTIONS[kind]), weight.dtype)
    else:
        # A linear layer's rows are [out, in]; a normalisation has one weight for each feature or channel.
        weight = weights["weight"]
        features = weight.shape[-1]
        yield Example((ROWS, features), weight.dtype)
        yield Example((ROWS, STEPS, features), weight.dtype)
        if weight.ndim == 1:
            yield from (Example((ROWS, features, side, side), weight.dtype) for side in SIDES)
