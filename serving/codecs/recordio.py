"""application/x-recordio-protobuf: a framed record a row, each a protobuf message of SageMaker's own.

    frame     magic 0xCED7230A, length, both 4 bytes little-endian; the message; zeros up to a multiple of 4
    message   features["values"]: a tensor of float32, float64 or int32; with `keys` a sparse one

The message's definition is SageMaker's aialgs.data.Record; the parts of it that matter here are spelled out
below, for protobuf makes readers of such descriptions. What a sparse tensor leaves out is NaN.
"""

from functools import cache
from struct import Struct
from typing import Any, NamedTuple

import numpy as np

from serving.codecs.request import Decoded, Form
from serving.errors import (
    ArrayTooLargeError,
    EmptyBatchError,
    InvalidRecordioError,
    WrongDimensionError,
    quoted,
)
from serving.signature import Array, Signature

MAGIC = 0xCED7230A
FRAME = Struct("<II")
ALIGNMENT = 4
# A frame's length is in the lower 29 bits; the upper three say that a record goes on in the next frame.
LENGTH_BITS = 29
VALUES = "values"
# Field name -> number and type of its values, of the tensors that a feature may be.
TENSORS = {"float32_tensor": (2, "TYPE_FLOAT"), "float64_tensor": (3, "TYPE_DOUBLE"), "int32_tensor": (7, "TYPE_INT32")}


def decode(body: bytes, signature: Signature, limit: int) -> Decoded:
    """Read a request for a model of one matrix; `limit` is the largest array taken, in bytes.

    Raises:
        BadRequestError: InvalidRecordioError, WrongDimensionError, EmptyBatchError.
        ArrayTooLargeError: with what is absent, the rows are too many.
    """
    (spec,) = signature.inputs
    columns = spec.shape[1]
    assert isinstance(columns, int)  # a booster knows its features  # noqa: S101
    found = entries(body)
    size = len(found) * columns * spec.numpy_dtype.itemsize
    if size > limit:
        raise ArrayTooLargeError(f"expected at most {limit} bytes of values, absent ones included, got {size}")
    matrix = np.full((len(found), columns), np.nan)
    for number, entry in enumerate(found):
        if entry.is_dense and entry.width != columns:
            raise _wrong(spec.name, number, columns, f"{entry.width} values")
        if (entry.keys >= columns).any():
            raise _wrong(spec.name, number, columns, f"the key {entry.keys.max()}")
        matrix[number, entry.keys] = entry.values
    return Decoded({spec.name: matrix}, Form.ROW)


class Entry(NamedTuple):
    """A record's values, float64, and the columns that they are of; `width` is that of its row, as far as it says."""

    keys: Array
    values: Array
    width: int
    is_dense: bool


def entries(body: bytes) -> list[Entry]:
    """Each record's values. Raises InvalidRecordioError and EmptyBatchError."""
    messages = _messages(body)
    if not messages:
        raise EmptyBatchError
    return [_entry(message, f"record {number}") for number, message in enumerate(messages)]


def encode(rows: list[dict[str, Any]]) -> bytes:
    """A record a row, its values as labels of float32."""
    return b"".join(map(_framed_row, rows))


def _framed_row(row: dict[str, Any]) -> bytes:
    record = _record_class()()
    for name, value in row.items():
        record.label[name].float32_tensor.values.extend(value if isinstance(value, list) else [value])
    message: bytes = record.SerializeToString(deterministic=True)
    return FRAME.pack(MAGIC, len(message)) + message + bytes(-len(message) % ALIGNMENT)


def _messages(body: bytes) -> list[bytes]:
    messages: list[bytes] = []
    place = 0
    while place < len(body):
        if len(body) - place < FRAME.size:
            raise InvalidRecordioError(f"record {len(messages)}: expected {FRAME.size} bytes of frame, got fewer")
        magic, length = FRAME.unpack_from(body, place)
        if magic != MAGIC:
            raise InvalidRecordioError(f"record {len(messages)}: expected a frame with {MAGIC:#x}, got {magic:#x}")
        if length >> LENGTH_BITS:
            raise InvalidRecordioError(f"record {len(messages)}: expected a record in one frame, got a part of one")
        place += FRAME.size
        if place + length > len(body):
            raise InvalidRecordioError(f"record {len(messages)}: expected {length} bytes, got {len(body) - place}")
        messages.append(body[place : place + length])
        place += length + -length % ALIGNMENT
    return messages


def _wrong(name: str, number: int, columns: int, got: str) -> WrongDimensionError:
    return WrongDimensionError(f"input {quoted(name)}: record {number}: expected {columns} values, got {got}")


def _entry(message: bytes, where: str) -> Entry:
    from google.protobuf.message import DecodeError  # noqa: PLC0415 (for such requests alone)

    try:
        record = _record_class().FromString(message)
    except DecodeError:
        raise InvalidRecordioError(f"{where}: expected a Record of SageMaker's, got no such message") from None
    if VALUES not in record.features:
        raise InvalidRecordioError(f"{where}: expected the feature {quoted(VALUES)}, got none of that name")
    value = record.features[VALUES]
    kind = value.WhichOneof("value")
    if kind is None:
        raise InvalidRecordioError(f"{where}: expected a tensor of numbers, got none")
    tensor = getattr(value, kind)
    values = np.array(tensor.values, np.float64)
    width = int(tensor.shape[-1]) if tensor.shape else 0
    is_dense = not tensor.keys and (len(values) > 0 or not width)  # a sparse row may be without values
    keys = np.arange(len(values), dtype=np.uint64) if is_dense else np.array(tensor.keys, np.uint64)
    if len(keys) != len(values):
        raise InvalidRecordioError(f"{where}: expected a key for each of {len(values)} values, got {len(keys)}")
    return Entry(keys, values, len(values) if is_dense else width, is_dense)


@cache
def _record_class() -> Any:  # noqa: ANN401 (made at run time)
    """The class of SageMaker's Record, as far as it is described here; protobuf skips the rest."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory  # noqa: PLC0415

    types = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="record.proto", package="aialgs.data", syntax="proto2")
    for field, (_, kind) in TENSORS.items():
        tensor = file.message_type.add(name=field)
        for name, number, sort in (("values", 1, kind), ("keys", 2, "TYPE_UINT64"), ("shape", 3, "TYPE_UINT64")):
            added = tensor.field.add(name=name, number=number, type=getattr(types, sort), label=types.LABEL_REPEATED)
            added.options.packed = True
    value = file.message_type.add(name="Value")
    value.oneof_decl.add(name="value")
    for field, (number, _) in TENSORS.items():
        value.field.add(
            name=field,
            number=number,
            type=types.TYPE_MESSAGE,
            label=types.LABEL_OPTIONAL,
            type_name=f".aialgs.data.{field}",
            oneof_index=0,
        )
    record = file.message_type.add(name="Record")
    for number, field in enumerate(("features", "label"), start=1):
        entry = record.nested_type.add(name=f"{field.capitalize()}Entry")
        entry.options.map_entry = True
        entry.field.add(name="key", number=1, type=types.TYPE_STRING, label=types.LABEL_OPTIONAL)
        entry.field.add(
            name="value", number=2, type=types.TYPE_MESSAGE, label=types.LABEL_OPTIONAL, type_name=".aialgs.data.Value"
        )
        record.field.add(
            name=field,
            number=number,
            type=types.TYPE_MESSAGE,
            label=types.LABEL_REPEATED,
            type_name=f".aialgs.data.Record.{entry.name}",
        )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("aialgs.data.Record"))
