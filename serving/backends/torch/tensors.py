"""From a request's arrays to PyTorch's tensors, and from whatever a module gives to named arrays."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch

from serving.signature import Array

# What a module's lone tensor is called, and how its several begin, as TensorFlow's are: output_0, output_1 and so on.
OUTPUT = "output"
# numpy has no bfloat16; float32 holds all of its values.
WIDENED = {torch.bfloat16: torch.float32}
# PyTorch's types that numpy has, by numpy's names.
DTYPES: Mapping[str, torch.dtype] = {
    name: getattr(torch, name)
    for name in ("float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "bool")
}


class UnservableError(Exception):
    """What a module takes or gives is nothing that a request or an answer can carry; the text says what."""


def dtype_name(dtype: torch.dtype) -> str:
    """What numpy calls a tensor's type, after widening. Raises UnservableError for what numpy does not have."""
    name = str(WIDENED.get(dtype, dtype)).removeprefix("torch.")
    if name not in DTYPES:
        raise UnservableError(f"a tensor of {dtype}, where one of {', '.join(DTYPES)} or bfloat16 was expected")
    return name


def tensor(array: Array, dtype: torch.dtype | None) -> torch.Tensor:
    """An array as a tensor, of that type where one is given; it shares the array's memory where it may."""
    # What came in a request's body is read-only, and a module may work in place.
    made = torch.from_numpy(array if array.flags.writeable else array.copy())
    return made if dtype is None else made.to(dtype)


def named(given: Any) -> dict[str, Any]:  # noqa: ANN401 (whatever a module gives)
    """The tensors and numbers in what a module gives, by name.

    A lone one is `output`. Those of a dict have their keys, of a named tuple its fields, of a tuple or list numbers
    (`output_0`); what is inside of another has both (`output_0_boxes`). None is left out.
    """
    if not isinstance(given, dict | list | tuple):
        return {OUTPUT: given}
    return dict(_parts("", given))


def _parts(prefix: str, given: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 (whatever a module gives)
    if isinstance(given, dict):
        keyed = {str(key): value for key, value in given.items()}
    elif isinstance(given, tuple) and hasattr(given, "_fields"):
        keyed = dict(zip(given._fields, given, strict=True))
    elif isinstance(given, list | tuple):
        keyed = {f"{prefix or OUTPUT}_{number}": value for number, value in enumerate(given)}
        for name, value in keyed.items():
            yield from _parts(name, value)
        return
    elif given is None:
        return
    else:
        yield prefix, given
        return
    for name, value in keyed.items():
        yield from _parts(f"{prefix}_{name}" if prefix else name, value)


def array(value: Any) -> Array:  # noqa: ANN401 (a tensor or a number)
    """One of the named values as an array of its own. Raises UnservableError."""
    if isinstance(value, bool | int | float):
        return np.asarray(value)
    if not isinstance(value, torch.Tensor):
        raise UnservableError(f"a value of type {type(value).__name__}, where tensors and numbers were expected")
    if value.is_quantized:
        value = value.dequantize()
    if value.layout is not torch.strided:
        value = value.to_dense()
    # resolve_*: views that numpy has no words for.
    return np.asarray(value.detach().to(DTYPES[dtype_name(value.dtype)]).resolve_conj().resolve_neg().numpy())
