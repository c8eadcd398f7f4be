"""Several requests' bodies of one row each read at once, and a batch's answers of one row each written at once.

Both give what each by itself would have had, or None where that is not certain; then it is done one by one.
`serving.codecs.rows` says what is gained.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np

from serving.codecs import csv, json, npy, rows
from serving.codecs.request import Decoded, Form
from serving.signature import Array, Outputs, Signature

# Reads bodies: a row for each, in order.
DecodeTogether: TypeAlias = Callable[[Sequence[bytes], Signature], Decoded | None]
# Writes an answer of so many rows: a text for each, in order.
EncodeTogether: TypeAlias = Callable[[Outputs, Form, int], list[bytes] | None]

# Some 30 us. Of more the first client would wait for the last one's: where each has 1,000 numbers, a sixth of the rate
# was lost, for while answers are written others' next requests come.
MOST_NUMBERS = 1024


class Together(NamedTuple):
    """How a format reads and writes several at once; `encode` is None where it does not."""

    decode: DecodeTogether
    encode: EncodeTogether | None = None


def decode_json(bodies: Sequence[bytes], signature: Signature) -> Decoded | None:
    """JSON of numbers alone, for a model of one input whose rows are all of one shape."""
    if len(signature.inputs) != 1 or signature.inputs[0].row is None:
        return None
    found = rows.of_json(bodies, lists_are_rows=json.rows_are_arrays(signature))
    return None if found is None else json.from_numbers(found, signature)


def encode_json(outputs: Outputs, form: Form, count: int) -> list[bytes] | None:
    """Numbers of one output."""
    array = _numbers(outputs, count)
    if array is None:
        return None
    opening, closing = b"[" * array.ndim, b"]" * array.ndim
    beginning = (json.ROWS if form is Form.ROW else json.COLUMNS) + opening
    texts = json.write(array)[array.ndim : -array.ndim].split(closing[1:] + b"," + opening[1:])
    return [b"%b%b%b}" % (beginning, text, closing) for text in texts]


def decode_csv(bodies: Sequence[bytes], signature: Signature) -> Decoded | None:
    """One line of plain numbers each."""
    if not csv.takes_numbers(signature) or any(spec.row is None for spec in signature.inputs):
        return None
    table = rows.of_lines(bodies)
    return None if table is None else csv.of_table(table, signature)


def encode_csv(outputs: Outputs, form: Form, count: int) -> list[bytes] | None:
    """Numbers of one output."""
    del form  # lines are rows
    array = _numbers(outputs, count)
    if array is None:
        return None
    return [line + b"\n" for line in json.write(array.reshape(count, -1))[2:-2].split(b"],[")]


def decode_npy(bodies: Sequence[bytes], signature: Signature, limit: int) -> Decoded | None:
    """One row of numbers each; `limit` is the largest array taken, in bytes. Raises what `npy.parse` raises."""
    if len(signature.inputs) != 1 or signature.inputs[0].row is None:
        return None
    array = npy.parse_rows(bodies, limit)
    return None if array is None else Decoded({signature.inputs[0].name: array}, Form.COLUMN)


def encode_npy(outputs: Outputs, form: Form, count: int) -> list[bytes] | None:
    """Numbers of one output."""
    del form  # an array, whatever the request's form
    array = _numbers(outputs, count)
    return None if array is None else npy.dump_rows(array)


def _numbers(outputs: Outputs, count: int) -> Array | None:
    """The only output's numbers, if they are few, and one row for each request."""
    if len(outputs) != 1:
        return None
    (value,) = outputs.values()
    if not isinstance(value, np.ndarray) or value.dtype.kind not in json.ORJSON_KINDS:
        return None
    return value if value.ndim and value.shape[0] == count and 0 < value.size <= MOST_NUMBERS else None
