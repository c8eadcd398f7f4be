"""application/jsonlines: one JSON value a line, each a row; the answer likewise, one line a row."""

from serving.codecs import json
from serving.codecs.layout import from_rows
from serving.codecs.request import Decoded, Form
from serving.errors import InvalidJsonError
from serving.signature import Outputs, Signature, is_per_row


def decode(body: bytes, signature: Signature) -> Decoded:
    """Read a request; empty lines are passed over.

    Raises:
        BadRequestError: InvalidJsonError names the line; else what `serving.codecs.layout` raises.
    """
    rows = []
    for number, line in enumerate(body.splitlines(), start=1):
        if line.strip():
            try:
                rows.append(json.parse(line))
            except InvalidJsonError as error:
                raise InvalidJsonError(f"line {number}: {error.message}") from None
    return from_rows(rows, signature)


def encode(outputs: Outputs, form: Form, rows: int) -> bytes:
    """Write one line a row; an answer without one element a row is a single line in JSON's column form."""
    if all(is_per_row(value, rows) for value in outputs.values()):
        return b"\n".join(json.row_values(outputs, rows)) + b"\n"
    del form  # either way: lines are rows
    return json.encode(outputs, Form.COLUMN, rows) + b"\n"
