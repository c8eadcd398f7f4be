"""text/csv: one line a row, columns in the order of the model's inputs, no header line.

A row's fields are laid out as the row of the input (row-major where the input has more axes, so a picture
of 28 x 28 is 784 columns); with several inputs the first takes the first columns, and so on. An answer is
one line a row, laid out the same way. Quoting is RFC 4180's. NaN and infinity read as `nan` and `inf` in
any case, and are written NaN, Infinity and -Infinity; an empty field is an error, not a NaN.
"""

import csv
import io
from itertools import accumulate
from math import prod
from typing import Any

import numpy as np

from serving.codecs import csv_numbers, json
from serving.codecs.request import Decoded, Form
from serving.errors import EmptyBatchError, InexactValueError, InvalidCsvError, RaggedArrayError, WrongTypeError, quoted
from serving.signature import STRING, Array, Outputs, Signature, TensorSpec

DELIMITERS = (",", ";", "\t", "|", " ")
# As many characters as AWS's container looks at.
SNIFFED = 512
NOT_THERE = "nan"
# Of dtypes whose fields are numbers: integers and floats.
PLAIN_KINDS = frozenset("iuf")
BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


def decode(body: bytes, signature: Signature, *, loose: bool = False) -> Decoded:
    """Read a request; `loose` as AWS's XGBoost container does: any delimiter, and an empty field is NaN.

    Raises:
        BadRequestError: InvalidCsvError, RaggedArrayError, WrongTypeError, EmptyBatchError.
    """
    table = _plain_numbers(body, signature, loose=loose)
    if table is not None and (decoded := of_table(table, signature)):
        return decoded
    rows = _fields(body, loose=loose)
    inputs = {
        spec.name: _shaped(_typed([row[start:end] for row in rows], spec, start), spec)
        for spec, start, end in _places(signature, len(rows[0]))
    }
    return Decoded(inputs, Form.ROW)


def takes_numbers(signature: Signature) -> bool:
    """Whether all fields are to be integers or floats."""
    return _kinds(signature) <= PLAIN_KINDS


def _kinds(signature: Signature) -> set[str]:
    return {spec.numpy_dtype.kind for spec in signature.inputs}


def of_table(table: Array, signature: Signature) -> Decoded | None:
    """A request whose fields are these numbers, [rows, columns]; None if they must be looked at one by one.

    One input's fractions must not make doubles of another's integers, which may be too long for them.

    Raises InvalidCsvError.
    """
    if table.dtype.kind == "f" and _kinds(signature) != {"f"} and len(signature.inputs) > 1:
        return None
    inputs = {}
    for spec, start, end in _places(signature, table.shape[1]):
        kept = table.dtype if spec.numpy_dtype.kind in "iu" else np.dtype(np.float64)
        inputs[spec.name] = _shaped(table[:, start:end].astype(kept, copy=False), spec)
    return Decoded(inputs, Form.ROW)


def encode(outputs: Outputs, form: Form, rows: int) -> bytes:
    """Write the one output, one line a row; what has not one element a row is a single line."""
    del form  # lines are rows, whatever the request's form
    (value,) = outputs.values()
    assert isinstance(value, np.ndarray)  # negotiated: no other sort of output gets here  # noqa: S101
    table = value.reshape(rows, -1) if value.ndim and value.shape[0] == rows else value.reshape(1, -1)
    if table.dtype.kind in json.ORJSON_KINDS:
        return json.write(table)[2:-2].replace(b"],[", b"\n") + b"\n"
    text = io.StringIO(newline="")
    # Python does not quote a field for a "\r" alone, which readers take for the end of the line.
    bare = any("\r" in str(field) for field in table.flat)
    writer = csv.writer(text, quoting=csv.QUOTE_ALL if bare else csv.QUOTE_MINIMAL, lineterminator="\n")
    writer.writerows(table.tolist())
    return text.getvalue().encode()


def _plain_numbers(body: bytes, signature: Signature, *, loose: bool) -> Array | None:
    """The table, None where the fields must be looked at one by one."""
    if not takes_numbers(signature) or (loose and _delimiter(body[:SNIFFED].decode("latin-1")) != ","):
        return None
    return csv_numbers.read(body)


def _fields(body: bytes, *, loose: bool) -> list[list[str]]:
    try:
        text = body.decode("utf-8-sig")
        delimiter = _delimiter(text) if loose else ","
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True) if row]
    except UnicodeDecodeError:
        raise InvalidCsvError("the body is not UTF-8 text") from None
    except csv.Error as error:
        raise InvalidCsvError(f"the body is not CSV: {error}") from None
    if not rows:
        raise EmptyBatchError
    if loose:
        rows = [[field if field.strip() else NOT_THERE for field in row] for row in rows]
    for number, row in enumerate(rows, start=1):
        if len(row) != len(rows[0]):
            raise RaggedArrayError(f"line {number}: expected {len(rows[0])} fields as in line 1, got {len(row)}")
    return rows


def _delimiter(text: str) -> str:
    """The first of the usual delimiters that the first line has."""
    line = text[:SNIFFED].strip().partition("\n")[0]
    return next((mark for mark in DELIMITERS if mark in line), ",")


def _places(signature: Signature, columns: int) -> list[tuple[TensorSpec, int, int]]:
    """Each input's columns, from the first to before the last. Raises InvalidCsvError."""
    ends = list(accumulate(_widths(signature, columns)))
    return list(zip(signature.inputs, [0, *ends[:-1]], ends, strict=True))


def _widths(signature: Signature, columns: int) -> list[int]:
    """How many columns each input takes: its row's size; one input with a free axis takes the rest."""
    sizes = [_row_size(spec) for spec in signature.inputs]
    known = sum(size for size in sizes if size is not None)
    if sizes.count(None) == 1 and columns > known:
        sizes = [columns - known if size is None else size for size in sizes]
    widths = [size for size in sizes if size is not None]
    if len(widths) < len(sizes):
        raise InvalidCsvError("CSV cannot tell the shapes of this model's inputs; send JSON or npz")
    if len(widths) == 1:
        return [columns]  # too many or too few: validation names the dimension
    if sum(widths) != columns:
        raise InvalidCsvError(f"expected {sum(widths)} columns ({_listed(signature, widths)}), got {columns}")
    return widths


def _row_size(spec: TensorSpec) -> int | None:
    fixed = [size for size in spec.shape[1:] if isinstance(size, int)]
    return prod(fixed) if len(fixed) == len(spec.shape[1:]) else None


def _typed(columns: list[list[str]], spec: TensorSpec, start: int) -> Array:
    if spec.dtype == STRING:
        return np.array(columns, dtype=object)
    if spec.dtype == "bool":
        return np.array([[_boolean(text, spec) for text in row] for row in columns])
    for kind in (np.int64, np.uint64, np.float64) if spec.numpy_dtype.kind in "iu" else (np.float64,):
        try:
            array = np.array(columns, dtype=kind)
        except (ValueError, OverflowError):
            continue
        _check_infinities(array, columns, spec)
        return array
    raise _no_number(columns, spec, start)


def _boolean(text: str, spec: TensorSpec) -> bool:
    try:
        return BOOLEANS[text.strip().lower()]
    except KeyError:
        raise WrongTypeError(f"input {quoted(spec.name)}: expected true, false, 1 or 0, got {quoted(text)}") from None


def _check_infinities(array: Array, columns: list[list[str]], spec: TensorSpec) -> None:
    """A number too large for a double is read as infinity, which only the word may mean."""
    for line, column in zip(*np.nonzero(np.isinf(array)), strict=True):
        text = columns[line][column]
        if "inf" not in text.lower():
            raise InexactValueError(
                f"input {quoted(spec.name)}: expected values that {spec.dtype} holds, got {quoted(text)}"
            )


def _no_number(columns: list[list[str]], spec: TensorSpec, start: int) -> WrongTypeError:
    """The error for the first field that is no number, with its place counted from 1."""
    for line, row in enumerate(columns, start=1):
        for column, text in enumerate(row, start=start + 1):
            try:
                float(text)
            except ValueError:
                return WrongTypeError(
                    f"input {quoted(spec.name)}: expected a number in line {line}, column {column}, got {quoted(text)}"
                )
    return WrongTypeError(f"input {quoted(spec.name)}: expected numbers, got text")


def _shaped(table: Array, spec: TensorSpec) -> Array:
    """`[rows, columns]` as the input's own shape, where its row has that many elements."""
    rest: tuple[Any, ...] = spec.shape[1:]
    if _row_size(spec) == table.shape[1] and len(spec.shape) != table.ndim:
        return table.reshape((table.shape[0], *rest))
    if len(rest) > 1:
        raise InvalidCsvError(
            f"input {quoted(spec.name)}: expected {_row_size(spec) or 'a fixed number of'} columns, "
            f"got {table.shape[1]}"
        )
    return table


def _listed(signature: Signature, widths: list[int]) -> str:
    return ", ".join(f"{w} for {quoted(s.name)}" for s, w in zip(signature.inputs, widths, strict=True))
