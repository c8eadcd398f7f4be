"""application/jsonlines: one JSON value a line, each a row; the answer likewise, one line a row."""

from typing import Any

from serving.codecs import json, numbers
from serving.codecs.json_text import adjacent, parse
from serving.codecs.layout import from_rows, with_unit_axes
from serving.codecs.lines import with_plain_ends
from serving.codecs.request import Decoded, Form
from serving.errors import InvalidJsonError
from serving.signature import Array, Outputs, Signature, is_per_row

# Rows that are arrays: with fewer axes, lines are single numbers.
LEAST_AXES = 2


def decode(body: bytes, signature: Signature) -> Decoded:
    """Read a request; empty lines are passed over.

    Raises:
        BadRequestError: InvalidJsonError names the line; else what `serving.codecs.layout` raises.
    """
    if len(signature.inputs) == 1 and (array := _of_numbers(body)) is not None:
        (spec,) = signature.inputs
        return Decoded({spec.name: with_unit_axes(array, spec)}, Form.ROW)
    rows: list[Any] = []
    for number, line in enumerate(body.splitlines(), start=1):
        if line.strip():
            rows += _values(line, number)
    return from_rows(rows, signature)


def _of_numbers(body: bytes) -> Array | None:
    """Lines of which each is an array of numbers, or a nest, without a Python object for each; None for others.

    With commas in the place of line ends they are a nest of their own, if each line is a whole row: there are as many
    lines as rows, and beside each line's end stand as many brackets as a row has axes.
    """
    lines = with_plain_ends(body)
    found = numbers.read(b"[%b]" % lines.replace(b"\n", b",")) if lines else None
    if lines is None or found is None or found.array.ndim < LEAST_AXES:
        return None
    axes, ends = found.array.ndim - 1, len(found.array) - 1
    of_rows = lines.count(b"]" * axes + b"\n" + b"[" * axes)
    return found.array if ends == lines.count(b"\n") == of_rows else None


def _values(line: bytes, number: int) -> list[Any]:
    """A line's one value, or the arrays or objects that stand in it side by side."""
    try:
        return [parse(line)]
    except InvalidJsonError as error:
        if values := adjacent(line):
            return values
        raise InvalidJsonError(f"line {number}: {error.message}") from None


def encode(outputs: Outputs, form: Form, rows: int) -> bytes:
    """Write one line a row; an answer without one element a row is a single line in JSON's column form."""
    if all(is_per_row(value, rows) for value in outputs.values()):
        return b"\n".join(json.row_values(outputs, rows)) + b"\n"
    del form  # either way: lines are rows
    return json.encode(outputs, Form.COLUMN, rows) + b"\n"
