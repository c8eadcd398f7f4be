"""application/jsonlines: one JSON value a line, each a row; the answer likewise, one line a row."""

from typing import Any

from serving.codecs import json
from serving.codecs.json_text import adjacent, parse
from serving.codecs.layout import from_rows
from serving.codecs.request import Decoded, Form
from serving.errors import InvalidJsonError
from serving.signature import Outputs, Signature, is_per_row


def decode(body: bytes, signature: Signature) -> Decoded:
    """Read a request; empty lines are passed over.

    Raises:
        BadRequestError: InvalidJsonError names the line; else what `serving.codecs.layout` raises.
    """
    rows: list[Any] = []
    for number, line in enumerate(body.splitlines(), start=1):
        if line.strip():
            rows += _values(line, number)
    return from_rows(rows, signature)


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
