"""From nested Python lists, as JSON gives them, to arrays by input name.

Row form holds one element a row; with several inputs an element is an object by input name. Column form
holds one array an input. The signature decides only where a form leaves room: whether a bare flat array
is one row or many, and which trailing axes of size 1 a scalar may leave out.
"""

from typing import Any

import numpy as np

from serving.casting import EXACT_FLOAT
from serving.codecs.request import Decoded, Form
from serving.errors import (
    EmptyBatchError,
    MissingInputError,
    RaggedArrayError,
    UnknownInputError,
    WrongTypeError,
    quoted,
)
from serving.signature import Array, Signature, TensorSpec

WIDE_INTEGERS = frozenset({"int64", "uint64"})


def from_rows(rows: list[Any], signature: Signature) -> Decoded:
    """Row form: `rows` holds one element a row, an array or scalar, or an object by input name.

    Raises:
        BadRequestError: a subclass for no rows, a missing or unknown input, rows of different lengths,
            or elements that are neither numbers nor text.
    """
    if not rows:
        raise EmptyBatchError
    if any(isinstance(row, dict) for row in rows):
        columns = _named_columns(rows, signature)
    elif len(signature.inputs) == 1:
        columns = {signature.inputs[0].name: rows}
    else:
        raise MissingInputError(
            f"expected each row to be an object with the inputs {_names(signature)}, got {_what(rows[0])}"
        )
    return Decoded({s.name: _with_unit_axes(to_array(columns[s.name], s), s) for s in signature.inputs}, Form.ROW)


def from_columns(columns: Any, signature: Signature) -> Decoded:  # noqa: ANN401 (any JSON value may come)
    """Column form: an object of arrays by input name, or the one input's array itself.

    Raises:
        BadRequestError: a subclass for a missing or unknown input, or what is no array.
    """
    if not isinstance(columns, dict):
        if len(signature.inputs) != 1:
            raise MissingInputError(f"expected an object with the inputs {_names(signature)}, got {_what(columns)}")
        columns = {signature.inputs[0].name: columns}
    check_names(columns, signature)
    return Decoded({spec.name: to_array(columns[spec.name], spec) for spec in signature.inputs}, Form.COLUMN)


def check_names(given: dict[str, Any], signature: Signature, where: str = "") -> None:
    """Raise MissingInputError or UnknownInputError unless `given` has exactly the model's inputs."""
    names = signature.input_names
    for name in names:
        if name not in given:
            raise MissingInputError(
                f"input {quoted(name)} is missing{where}: expected {_names(signature)}, got {_listed(given)}"
            )
    for name in given:
        if name not in names:
            raise UnknownInputError(f"unknown input {quoted(name)}{where}: expected {_names(signature)}")


def to_array(nested: Any, spec: TensorSpec) -> Array:  # noqa: ANN401 (any JSON value may come)
    """The array that nested lists spell: int64, uint64, float64, bool or text, by what they hold.

    Raises:
        RaggedArrayError: rows of different lengths.
        WrongTypeError: null, objects, or a mixture of text and numbers.
    """
    name = spec.name
    try:
        array = np.asarray(nested)
    except ValueError:
        raise RaggedArrayError(
            f"input {quoted(name)}: expected rows of equal length, got rows of different lengths"
        ) from None
    except OverflowError:
        raise WrongTypeError(f"input {quoted(name)}: expected numbers of 64 bits, got larger ones") from None
    if array.dtype == object:
        raise WrongTypeError(f"input {quoted(name)}: expected numbers or text, got {_odd_one(nested)} among the values")
    if array.dtype.kind == "U" and not _all_text(nested):
        raise WrongTypeError(f"input {quoted(name)}: expected numbers or text, got a mixture of both")
    if array.dtype.kind == "f" and spec.dtype in WIDE_INTEGERS and (np.abs(array) >= EXACT_FLOAT).any():
        return _wide_integers(nested, array, spec)
    return array


def _named_columns(rows: list[Any], signature: Signature) -> dict[str, list[Any]]:
    for number, row in enumerate(rows):
        if not isinstance(row, dict):
            raise WrongTypeError(f"row {number}: expected an object like the other rows, got {_what(row)}")
        if row.keys() != rows[0].keys() or number == 0:
            check_names(row, signature, where=f" in row {number}")
    return {name: [row[name] for row in rows] for name in signature.input_names}


def _with_unit_axes(array: Array, spec: TensorSpec) -> Array:
    """`[5, 6]` for an input `[batch, 1]` means two rows: axes of fixed size 1 may be left out of a row."""
    missing = len(spec.shape) - array.ndim
    if array.ndim and missing > 0 and all(size == 1 for size in spec.shape[array.ndim :]):
        return array.reshape(array.shape + (1,) * missing)
    return array


def _wide_integers(nested: Any, array: Array, spec: TensorSpec) -> Array:  # noqa: ANN401 (any JSON value may come)
    """The integers among which numpy found no common type: 2^64 - 1 and 0 it reads as floats, which are not exact."""
    values = np.asarray(nested, dtype=object)
    if not all(isinstance(value, int) for value in values.flat):
        return array
    try:
        return values.astype(spec.numpy_dtype)
    except OverflowError:
        return array


def _all_text(nested: Any) -> bool:  # noqa: ANN401 (any JSON value may come)
    """Whether nested lists hold nothing but strings; numpy would turn a number among them into text."""
    if isinstance(nested, list):
        return all(_all_text(item) for item in nested)
    return isinstance(nested, str)


def _odd_one(nested: Any) -> str:  # noqa: ANN401 (any JSON value may come)
    """The sort of the first element that is neither a number nor text, for the message."""
    if isinstance(nested, list):
        found = (_odd_one(item) for item in nested)
        return next((text for text in found if text), "")
    return "" if isinstance(nested, int | float | str) else _what(nested)


def _what(value: Any) -> str:  # noqa: ANN401 (any JSON value may come)
    """A JSON value's sort, in JSON's words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a string"
    return "an array" if isinstance(value, list) else "an object"


def _names(signature: Signature) -> str:
    return ", ".join(quoted(name) for name in signature.input_names)


def _listed(given: dict[str, Any]) -> str:
    return ", ".join(quoted(name) for name in list(given)[:5]) or "nothing"
