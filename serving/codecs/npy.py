"""application/x-npy: numpy's own file format, read without pickle and without trusting its header.

The header's claim is compared with the bytes that follow before anything is allocated, and the array is a
view of the body. Object arrays are pickles, hence code: refused by their header alone.
"""

import ast
import io
import re
import sys
from collections.abc import Sequence
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np
from numpy.lib import format as npy_format

from serving.codecs.request import Decoded, Form
from serving.errors import (
    ArrayTooLargeError,
    InvalidNpyError,
    MissingInputError,
    ObjectNpyError,
    TruncatedNpyError,
    quoted,
)
from serving.signature import Array, Outputs, Signature

MAGIC = b"\x93NUMPY"
# Bytes of the header's length, by the two of the version; 3.0 only allows UTF-8 names of fields, which no tensor has.
LENGTH_BYTES = {b"\x01\x00": 2, b"\x02\x00": 4, b"\x03\x00": 4}
# numpy itself refuses longer headers when they are not trusted.
HEADER_LIMIT = 10_000
KEYS = {"descr", "fortran_order", "shape"}
# Booleans, integers, floats, complex numbers, bytes and text: what a tensor can hold.
TENSOR = re.compile(r"[<>|=]?([biufcSU][0-9]+|\?)")
OBJECT = re.compile(r"[<>|=]?O[0-9]*")
# Of those the ones whose every bit pattern is a value.
NUMBERS = "biufc"
MAX_AXES = 64  # numpy's own
# Headers read and written that are remembered, of HEADER_LIMIT bytes at most.
HEADERS_KEPT = 256


def decode(body: bytes, signature: Signature, limit: int) -> Decoded:
    """Read a request for a model of one input; `limit` is the largest array taken, in bytes.

    Raises:
        MissingInputError: the model has several inputs, which only a .npz can name.
        ServingError: what `parse` raises.
    """
    if len(signature.inputs) != 1:
        raise MissingInputError(
            f"expected the {len(signature.inputs)} inputs {quoted(signature.input_names)}, got a single "
            "array; send application/x-npz"
        )
    return Decoded({signature.inputs[0].name: parse(body, limit)}, Form.COLUMN)


def parse(body: bytes, limit: int) -> Array:
    """The array in a .npy file, as a read-only view of `body`.

    Raises:
        InvalidNpyError, TruncatedNpyError, ObjectNpyError: 400.
        ArrayTooLargeError: the header claims more than `limit` bytes, 413.
    """
    shape, fortran_order, dtype, start = _header(body)
    count = prod(shape)
    claimed = count * dtype.itemsize
    if claimed > limit:
        raise ArrayTooLargeError(f"expected an array of at most {limit} bytes, got a header claiming {claimed}")
    if claimed != len(body) - start:
        raise TruncatedNpyError(f"expected {claimed} bytes after the header, got {len(body) - start}")
    flat = np.frombuffer(body, dtype, count, start) if claimed else np.empty(0, dtype)
    if dtype.kind == "U":
        _check_text(flat)
    try:
        return flat.reshape(shape, order="F" if fortran_order else "C")
    except ValueError as error:  # no element, but 0 times more of them than numpy can count
        raise InvalidNpyError(f"the .npy header describes no array: {error}") from None


def parse_rows(bodies: Sequence[bytes], limit: int) -> Array | None:
    """The numbers of bodies of one row each that have the same header, [bodies, ...]; None where they are not such.

    Raises what `parse` raises of the first.
    """
    first = parse(bodies[0], limit)
    start = len(bodies[0]) - first.nbytes
    if first.shape[:1] != (1,) or first.dtype.kind not in NUMBERS or not first.flags.c_contiguous or not first.size:
        return None
    head, size = bodies[0][:start], len(bodies[0])
    if not all(len(body) == size and body.startswith(head) for body in bodies):
        return None
    data = b"".join([body[start:] for body in bodies])
    return np.frombuffer(data, first.dtype).reshape(len(bodies), *first.shape[1:])


def encode(outputs: Outputs, form: Form, rows: int) -> bytes:
    """Write the one output as it is, dtype included; strings as fixed-width Unicode."""
    del form, rows
    (value,) = outputs.values()
    assert isinstance(value, np.ndarray)  # negotiated: no other sort of output gets here  # noqa: S101
    return dump(value)


def dump(array: Array) -> bytes:
    """The .npy file of an array; strings as fixed-width Unicode, since objects would be pickles."""
    values = np.ascontiguousarray(array.astype(str) if array.dtype == object else array)
    # An array without axes becomes one of one.
    return _written_header(values.dtype, array.shape) + values.tobytes()


def dump_rows(array: Array) -> list[bytes]:
    """The .npy file of each row, as of an array of that one row; of numbers alone."""
    head, data = _written_header(array.dtype, (1, *array.shape[1:])), array.tobytes()
    size = len(data) // len(array)
    return [head + data[start : start + size] for start in range(0, len(data), size)]


@lru_cache(maxsize=HEADERS_KEPT)
def _written_header(dtype: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
    """The header as numpy writes it, which takes it longer than all else of an answer."""
    buffer = io.BytesIO()
    description = {"descr": npy_format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    npy_format.write_array_header_1_0(buffer, description)
    return buffer.getvalue()


def _header(body: bytes) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Shape, Fortran order and dtype out of the header, and where the array's bytes start.

    numpy's own reader is not for strangers' files: it mends the headers of Python 2 with a tokenizer, and
    what it raises and warns of is not documented.
    """
    length_bytes = LENGTH_BYTES.get(bytes(body[len(MAGIC) : len(MAGIC) + 2]))  # a bytearray's part has no hash
    if not body.startswith(MAGIC) or length_bytes is None:
        raise InvalidNpyError("the body is not a .npy file of version 1.0, 2.0 or 3.0")
    begin = len(MAGIC) + 2 + length_bytes
    length = int.from_bytes(body[begin - length_bytes : begin], "little")
    if length > min(HEADER_LIMIT, len(body) - begin):
        raise InvalidNpyError(f"expected a .npy header within the body and {HEADER_LIMIT} bytes, got {length} bytes")
    shape, fortran_order, dtype = _described(bytes(body[begin : begin + length]))
    return shape, fortran_order, dtype, begin + length


@lru_cache(maxsize=HEADERS_KEPT)
def _described(description: bytes) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """What a header says; the requests of one client have the same."""
    text = description.decode("latin-1").strip()
    try:
        header = ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        raise InvalidNpyError(f"the .npy header is no dictionary: {quoted(text)}") from None
    if not isinstance(header, dict) or header.keys() != KEYS:
        raise InvalidNpyError(f"expected a .npy header with {', '.join(sorted(KEYS))}, got {quoted(text)}")
    if not isinstance(header["fortran_order"], bool) or not _is_shape(header["shape"]):
        raise InvalidNpyError(f"the .npy header describes no array: {quoted(text)}")
    return header["shape"], header["fortran_order"], _dtype(header["descr"])


def _is_shape(shape: object) -> bool:
    return (
        isinstance(shape, tuple)
        and len(shape) <= MAX_AXES
        and all(type(size) is int and 0 <= size <= sys.maxsize for size in shape)
    )


def _dtype(descr: object) -> np.dtype[Any]:
    if isinstance(descr, str) and OBJECT.fullmatch(descr):
        raise ObjectNpyError("expected an array of numbers or text, got pickled Python objects")
    if isinstance(descr, str) and TENSOR.fullmatch(descr):
        try:
            dtype = np.dtype(descr)
        except (TypeError, ValueError):  # a size that there is not, such as <f3
            dtype = np.dtype("V")
        if dtype.itemsize:
            return dtype
    got = quoted(descr) if isinstance(descr, str) else "a structured one"
    raise InvalidNpyError(f"expected an array of numbers or text, got dtype {got}")


def _check_text(flat: Array) -> None:
    """Python stops at code points beyond Unicode with an error that is not meant to be caught."""
    codes = flat.view(np.dtype(np.uint32).newbyteorder(flat.dtype.byteorder))
    if codes.size and codes.max() > sys.maxunicode:
        raise InvalidNpyError("expected Unicode text, got numbers that are no code points")
