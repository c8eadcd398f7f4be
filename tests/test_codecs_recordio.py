"""RecordIO-protobuf, against messages that are put together byte by byte."""

import struct
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from properties import THOROUGH
from serving.codecs.recordio import decode, encode
from serving.errors import (
    ArrayTooLargeError,
    BadRequestError,
    EmptyBatchError,
    InvalidRecordioError,
    ServingError,
    WrongDimensionError,
)
from serving.signature import Array
from signatures import one_input

ANY = one_input()
LIMIT = 10_000
# Field numbers of the tensors in SageMaker's Value, and how their numbers are packed.
FLOAT32, FLOAT64, INT32 = (2, "f"), (3, "d"), (7, "")


def field(number: int, content: bytes) -> bytes:
    """A protobuf field of some bytes, all shorter than 128."""
    return bytes([number << 3 | 2, len(content)]) + content


def tensor(values: list[float], keys: list[int], kind: tuple[int, str] = FLOAT32) -> bytes:
    number, code = kind
    packed = struct.pack(f"<{len(values)}{code}", *values) if code else bytes(map(int, values))
    return field(number, field(1, packed) + (field(2, bytes(keys)) if keys else b""))


def message(value: bytes, name: bytes = b"values", of: int = 1) -> bytes:
    """A record with one entry of the map `features` (1) or `label` (2)."""
    return field(of, field(1, name) + field(2, value))


def framed(content: bytes, magic: int = 0xCED7230A) -> bytes:
    return struct.pack("<II", magic, len(content)) + content + bytes(-len(content) % 4)


def read(body: bytes, limit: int = LIMIT) -> Array:
    return decode(body, ANY, limit).inputs["x"]


@pytest.mark.parametrize("kind", [FLOAT32, FLOAT64, INT32])
def test_dense_and_sparse_tensors_of_every_type_are_read(kind: tuple[int, str]) -> None:
    dense = framed(message(tensor([1, 2, 3], [], kind)) + message(tensor([1], []), of=2))
    sparse = framed(message(tensor([7], [2], kind)))
    np.testing.assert_array_equal(read(dense + sparse), [[1, 2, 3], [np.nan, np.nan, 7]])


def test_a_sparse_row_may_have_no_value() -> None:
    number, _ = FLOAT32
    empty = framed(message(field(number, field(3, b"\x03"))))
    np.testing.assert_array_equal(read(empty + framed(message(tensor([7], [2])))), [[np.nan] * 3, [np.nan, np.nan, 7]])


def test_what_an_answer_says_is_read_by_its_bytes() -> None:
    answer = encode([{"score": 0.5}, {"raw_scores": [0.25, 0.75]}])
    first = message(tensor([0.5], []), b"score", 2)
    second = message(tensor([0.25, 0.75], []), b"raw_scores", 2)
    assert answer == framed(first) + framed(second)


@pytest.mark.parametrize(
    ("body", "error", "text"),
    [
        (b"", EmptyBatchError, "no row"),
        (b"\x0a\x23\xd7", InvalidRecordioError, "expected 8 bytes of frame"),
        (framed(b"", 0xDEAD), InvalidRecordioError, "expected a frame with 0xced7230a, got 0xdead"),
        (framed(message(tensor([1, 2, 3], [])))[:-6], InvalidRecordioError, "expected 28 bytes, got"),
        (struct.pack("<II", 0xCED7230A, 1 << 29), InvalidRecordioError, "got a part of one"),
        (framed(b"\xff\xff"), InvalidRecordioError, "record 0: expected a Record of SageMaker's"),
        (framed(b""), InvalidRecordioError, "expected the feature 'values'"),
        (framed(message(tensor([1, 2, 3], []), b"other")), InvalidRecordioError, "expected the feature 'values'"),
        (framed(message(b"")), InvalidRecordioError, "expected a tensor of numbers, got none"),
        (framed(message(tensor([1], [0, 1]))), InvalidRecordioError, "expected a key for each of 1 values, got 2"),
        (framed(message(tensor([1], [3]))), WrongDimensionError, "record 0: expected 3 values, got the key 3"),
        (framed(message(tensor([1, 2], []))), WrongDimensionError, "record 0: expected 3 values, got 2 values"),
    ],
)
def test_what_is_wrong_is_told(body: bytes, error: type[BadRequestError], text: str) -> None:
    with pytest.raises(error) as raised:
        read(body)
    assert text in raised.value.message


def test_records_of_nothing_count_for_what_they_become() -> None:
    record = framed(message(tensor([1], [0])))
    assert len(read(record * 10, 120)) == 10
    with pytest.raises(ArrayTooLargeError):
        read(record * 11, 120)


@THOROUGH
@given(st.binary(max_size=60), st.booleans())
def test_any_bytes_are_read_or_refused(content: bytes, frame: bool) -> None:
    with suppress(ServingError):
        assert read(framed(content) if frame else content).shape[1:] == (3,)
