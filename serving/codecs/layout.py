"""From nested Python lists, as JSON gives them, to arrays by input name.

Row form holds one element a row; with several inputs an element is an object by input name. Column form
holds one array an input. The signature decides only where a form leaves room: whether a bare flat array
is one row or many, and which trailing axes of size 1 a scalar may leave out.

Where text belongs, `{"b64": "..."}` stands for bytes in base64, as in TensorFlow Serving: JSON has no bytes.
"""

import base64
from types import NoneType
from typing import Any

import numpy as np

from serving.codecs.request import Decoded, Form
from serving.errors import (
    EmptyBatchError,
    MissingInputError,
    RaggedArrayError,
    UnknownInputError,
    WrongTypeError,
    quoted,
)
from serving.signature import STRING, Array, Signature, TensorSpec

WIDE_INTEGERS = frozenset({"int64", "uint64"})
TEXT = frozenset({str, bytes})
BASE64 = "b64"


def from_rows(rows: list[Any], signature: Signature) -> Decoded:
    """Row form: `rows` holds one element a row, an array or scalar, or an object by input name.

    Raises:
        BadRequestError: a subclass for no rows, a missing or unknown input, rows of different lengths,
            or elements that are neither numbers nor text.
    """
    if not rows:
        raise EmptyBatchError
    if any(isinstance(row, dict) and not _is_bytes(row, signature) for row in rows):
        columns = _named_columns(rows, signature)
    elif len(signature.inputs) == 1:
        columns = {signature.inputs[0].name: rows}
    else:
        raise MissingInputError(
            f"expected each row to be an object with the inputs {_names(signature)}, got {_what(rows[0])}"
        )
    return Decoded({s.name: with_unit_axes(to_array(columns[s.name], s), s) for s in signature.inputs}, Form.ROW)


def from_columns(columns: Any, signature: Signature) -> Decoded:  # noqa: ANN401 (any JSON value may come)
    """Column form: an object of arrays by input name, or the one input's array itself.

    Raises:
        BadRequestError: a subclass for a missing or unknown input, or what is no array.
    """
    if not isinstance(columns, dict) or _is_bytes(columns, signature):
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
    """The array that nested lists spell: int64, uint64, float64, bool or objects of `str`, by what they hold.

    Raises:
        RaggedArrayError: rows of different lengths.
        WrongTypeError: null, objects, a mixture of text and numbers, integers of more than 64 bits, or what is
            not base64 where it should be.
    """
    what = f"input {quoted(spec.name)}"
    sorts = _sorts(nested)
    if dict in sorts and spec.dtype == STRING:
        nested = _with_bytes(nested, what)
        sorts = _sorts(nested)
    for odd in sorts & {NoneType, dict}:
        raise WrongTypeError(f"{what}: expected numbers or text, got {_what(odd())} among the values")
    is_text = not sorts.isdisjoint(TEXT)
    if is_text and not sorts <= TEXT:
        raise WrongTypeError(f"{what}: expected numbers or text, got a mixture of both")
    if bool in sorts and len(sorts) > 1:
        raise WrongTypeError(f"{what}: expected numbers or booleans, got a mixture of both")
    # Text stays Python's own, for numpy would give each string the room that the longest takes.
    array = _regular(nested, object if is_text else None)
    if array is None:
        raise RaggedArrayError(f"{what}: expected rows of equal length, got rows of different lengths")
    if array.dtype == object and not is_text:
        raise WrongTypeError(f"{what}: expected numbers of 64 bits, got larger ones")
    if array.dtype.kind == "f" and sorts == {int} and spec.dtype in WIDE_INTEGERS:
        return _wide_integers(nested, array, spec)
    return array


def _named_columns(rows: list[Any], signature: Signature) -> dict[str, list[Any]]:
    for number, row in enumerate(rows):
        if not isinstance(row, dict):
            raise WrongTypeError(f"row {number}: expected an object like the other rows, got {_what(row)}")
        if row.keys() != rows[0].keys() or number == 0:
            check_names(row, signature, where=f" in row {number}")
    return {name: [row[name] for row in rows] for name in signature.input_names}


def _is_bytes(value: dict[str, Any], signature: Signature) -> bool:
    """Whether an object stands for bytes and not for inputs by name."""
    return value.keys() == {BASE64} and [spec.dtype for spec in signature.inputs] == [STRING]


def _with_bytes(nested: Any, what: str) -> Any:  # noqa: ANN401 (any JSON value may come)
    """The nested lists with bytes in the place of each object that stands for some; other objects stay."""
    root = [nested]
    lists = [root]
    while lists:
        for values in lists:
            values[:] = [_from_base64(v, what) if isinstance(v, dict) and v.keys() == {BASE64} else v for v in values]
        lists = [value for values in lists for value in values if isinstance(value, list)]
    return root[0]


def _from_base64(value: dict[str, Any], what: str) -> bytes:
    text = value[BASE64]
    try:
        return base64.b64decode(text.encode("ascii"), validate=True)
    except (AttributeError, ValueError):
        raise WrongTypeError(f"{what}: expected base64 in {quoted(BASE64)}, got {quoted(text)}") from None


def with_unit_axes(array: Array, spec: TensorSpec) -> Array:
    """`[5, 6]` for an input `[batch, 1]` means two rows: axes of fixed size 1 may be left out of a row."""
    missing = len(spec.shape) - array.ndim
    if array.ndim and missing > 0 and all(size == 1 for size in spec.shape[array.ndim :]):
        return array.reshape(array.shape + (1,) * missing)
    return array


def _sorts(nested: Any) -> set[type]:  # noqa: ANN401 (any JSON value may come)
    """The types of the values in nested lists, level by level: JSON may be nested deeper than Python recurses."""
    sorts: set[type] = set()
    lists = [[nested]]
    while lists:
        level = set().union(*(map(type, values) for values in lists))
        lists = [value for values in lists for value in values if type(value) is list] if list in level else []
        sorts |= level
    return sorts - {list}


def _regular(nested: Any, dtype: type | None) -> Array | None:  # noqa: ANN401 (any JSON value may come)
    """The array, or None where the lists are not of equal length."""
    try:
        array = np.asarray(nested, dtype)
    except ValueError:
        return None
    # Of unequal lists numpy makes an array of lists if it is to hold objects.
    return None if dtype is object and any(type(value) is list for value in array.ravel()) else array


def _wide_integers(nested: Any, array: Array, spec: TensorSpec) -> Array:  # noqa: ANN401 (any JSON value may come)
    """The integers among which numpy found no common type: 2^64 - 1 and 0 it reads as floats, which are not exact."""
    try:
        return np.asarray(nested, dtype=object).astype(spec.numpy_dtype)
    except OverflowError:
        return array


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
