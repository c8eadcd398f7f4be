"""text/libsvm: one line a row, `[label] index:value ...`; what is absent is NaN, which models take for missing.

Indices count from 0 or from 1: where none of a request's is 0, they count from 1 (AWS's XGBoost container's rule).
Labels, `qid:` and what follows a `#` are read over.
"""

import re

import numpy as np

from serving.codecs.request import Decoded, Form
from serving.errors import ArrayTooLargeError, EmptyBatchError, InvalidLibsvmError, WrongDimensionError, quoted
from serving.signature import Array, Signature

PAIR = re.compile(r"([0-9]{1,9}):(\S+)")
QUERY = "qid:"


def decode(body: bytes, signature: Signature, limit: int) -> Decoded:
    """Read a request for a model of one matrix; `limit` is the largest array taken, in bytes.

    Raises:
        BadRequestError: InvalidLibsvmError, WrongDimensionError, EmptyBatchError.
        ArrayTooLargeError: with what is absent, the rows are too many.
    """
    (spec,) = signature.inputs
    columns = spec.shape[1]
    assert isinstance(columns, int)  # a booster knows its features  # noqa: S101
    rows = pairs(body)
    size = len(rows) * columns * spec.numpy_dtype.itemsize
    if size > limit:
        raise ArrayTooLargeError(f"expected at most {limit} bytes of values, absent ones included, got {size}")
    indices = [index for row in rows for index, _ in row]
    first = first_index(rows)
    if indices and max(indices) - first >= columns:
        raise WrongDimensionError(
            f"input {quoted(spec.name)}: expected indices below {columns + first}, counted from {first}, "
            f"got {max(indices)}"
        )
    return Decoded({spec.name: _filled(rows, columns, first)}, Form.ROW)


def pairs(body: bytes) -> list[list[tuple[int, float]]]:
    """Each row's indices, as they are, and values. Raises InvalidLibsvmError and EmptyBatchError."""
    rows = [_pairs(line, number) for number, line in enumerate(_lines(body), start=1)]
    if not rows:
        raise EmptyBatchError
    return rows


def first_index(rows: list[list[tuple[int, float]]]) -> int:
    """From what the indices count: 0 or 1."""
    return int(min((index for row in rows for index, _ in row), default=0) >= 1)


def _lines(body: bytes) -> list[str]:
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidLibsvmError("the body is not UTF-8 text") from None
    return [line for line in (line.partition("#")[0].strip() for line in text.splitlines()) if line]


def _pairs(line: str, number: int) -> list[tuple[int, float]]:
    label, *rest = line.split()
    words = [label, *rest] if ":" in label else rest
    return [_pair(word, number) for word in words if not word.startswith(QUERY)]


def _pair(word: str, number: int) -> tuple[int, float]:
    matched = PAIR.fullmatch(word)
    try:
        if matched:
            return int(matched[1]), float(matched[2])
    except ValueError:
        pass  # the value is no number
    raise InvalidLibsvmError(f"line {number}: expected index:value, got {quoted(word)}")


def _filled(rows: list[list[tuple[int, float]]], columns: int, first: int) -> Array:
    matrix = np.full((len(rows), columns), np.nan)
    for number, row in enumerate(rows):
        for index, value in row:
            matrix[number, index - first] = value
    return matrix
