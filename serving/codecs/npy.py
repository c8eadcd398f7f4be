"""application/x-npy: numpy's own file format, read without pickle and without trusting its header.

The header's claim is compared with the bytes that follow before anything is allocated, and the array is a
view of the body. Object arrays are pickles, hence code: refused by their header alone.
"""

import io
from collections.abc import Callable
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

Header = tuple[tuple[int, ...], bool, np.dtype[Any]]
HEADER_READERS: dict[tuple[int, int], Callable[..., Header]] = {
    (1, 0): npy_format.read_array_header_1_0,
    (2, 0): npy_format.read_array_header_2_0,
    (3, 0): npy_format.read_array_header_2_0,  # differs from 2.0 only in allowing UTF-8 field names
}
# Magic, version and header come first; numpy itself refuses longer headers when they are not trusted.
HEADER_LIMIT = 12 + 10_000
# Booleans, integers, floats, complex numbers, bytes and text: what a tensor can hold.
TENSOR_KINDS = "biufcSU"


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
    if dtype.hasobject:
        raise ObjectNpyError("expected an array of numbers or text, got pickled Python objects")
    if dtype.kind not in TENSOR_KINDS or any(size < 0 for size in shape):
        raise InvalidNpyError(f"expected an array of numbers or text, got dtype {quoted(str(dtype))}")
    count = prod(shape)
    claimed = count * dtype.itemsize
    if claimed > limit:
        raise ArrayTooLargeError(f"expected an array of at most {limit} bytes, got a header claiming {claimed}")
    if claimed != len(body) - start:
        raise TruncatedNpyError(f"expected {claimed} bytes after the header, got {len(body) - start}")
    try:
        flat = np.frombuffer(body, dtype, count, start) if claimed else np.empty(count, dtype)
        return flat.reshape(shape, order="F" if fortran_order else "C")
    except ValueError as error:  # more axes than numpy has, for one
        raise InvalidNpyError(f"the .npy header describes no array: {error}") from None


def encode(outputs: Outputs, form: Form, rows: int) -> bytes:
    """Write the one output as it is, dtype included; strings as fixed-width Unicode."""
    del form, rows
    (value,) = outputs.values()
    assert isinstance(value, np.ndarray)  # negotiated: no other sort of output gets here  # noqa: S101
    return dump(value)


def dump(array: Array) -> bytes:
    """The .npy file of an array; strings as fixed-width Unicode, since objects would be pickles."""
    buffer = io.BytesIO()
    npy_format.write_array(buffer, array.astype(str) if array.dtype == object else array, allow_pickle=False)
    return buffer.getvalue()


def _header(body: bytes) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    stream = io.BytesIO(body[:HEADER_LIMIT])
    try:
        read = HEADER_READERS[npy_format.read_magic(stream)]
        shape, fortran_order, dtype = read(stream)
    except (ValueError, KeyError, TypeError, SyntaxError, RecursionError, MemoryError) as error:
        raise InvalidNpyError(f"the body is not a .npy file: {quoted(str(error))}") from None
    return shape, fortran_order, dtype, stream.tell()
