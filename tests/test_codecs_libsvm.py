"""libsvm: indices from 0 or 1, absent values, and everything that is no libsvm."""

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from properties import THOROUGH
from serving.codecs import Form
from serving.codecs.libsvm import decode
from serving.errors import (
    ArrayTooLargeError,
    BadRequestError,
    EmptyBatchError,
    InvalidLibsvmError,
    ServingError,
    WrongDimensionError,
)
from serving.signature import Array
from signatures import one_input

ANY = one_input()
LIMIT = 10_000


def read(text: str, limit: int = LIMIT) -> Array:
    decoded = decode(text.encode(), ANY, limit)
    assert decoded.form is Form.ROW
    return decoded.inputs["x"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 0:5 2:7", [[5, None, 7]]),
        ("1 1:5 3:7", [[5, None, 7]]),
        ("0:5 2:7", [[5, None, 7]]),
        ("1 0:5\n0 1:6\n", [[5, None, None], [None, 6, None]]),
        ("1 1:5\n0 3:6\n", [[5, None, None], [None, None, 6]]),
        ("1\n-1 2:1e-3", [[None, None, None], [None, 0.001, None]]),
        ("1 qid:4 1:5 # a comment 9:9\r\n\r\n", [[5, None, None]]),
        ("1 0:nan 1:-inf", [[None, -np.inf, None]]),
    ],
)
def test_what_is_absent_is_nan_and_indices_count_from_where_the_request_does(
    text: str, expected: list[list[float | None]]
) -> None:
    wanted = np.array([[np.nan if value is None else value for value in row] for row in expected])
    np.testing.assert_array_equal(read(text), wanted)


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("", EmptyBatchError, "no row"),
        ("# nothing\n\n", EmptyBatchError, "no row"),
        ("1 0:5 3:7", WrongDimensionError, "expected indices below 3, counted from 0, got 3"),
        ("1 1:5 4:7", WrongDimensionError, "expected indices below 4, counted from 1, got 4"),
        ("1 0:5\n1 a:5", InvalidLibsvmError, "line 2: expected index:value, got 'a:5'"),
        ("1 0:x", InvalidLibsvmError, "line 1: expected index:value, got '0:x'"),
        ("1 5", InvalidLibsvmError, "got '5'"),
        ("1 -1:5", InvalidLibsvmError, "got '-1:5'"),
        ("1 0:", InvalidLibsvmError, "got '0:'"),
        ("1 9999999999:5", InvalidLibsvmError, "got '9999999999:5'"),
    ],
)
def test_what_is_wrong_is_told(text: str, error: type[BadRequestError], message: str) -> None:
    with pytest.raises(error) as raised:
        read(text)
    assert message in raised.value.message


def test_what_is_no_text_is_told() -> None:
    with pytest.raises(InvalidLibsvmError):
        decode(b"1 0:\xff", ANY, LIMIT)


def test_rows_of_nothing_count_for_what_they_become() -> None:
    assert len(read("1\n" * 10, 120)) == 10
    with pytest.raises(ArrayTooLargeError):
        read("1\n" * 11, 120)


@THOROUGH
@given(st.binary(max_size=40) | st.text("01: \nqid-.e#", max_size=40).map(str.encode))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    with suppress(ServingError):
        assert decode(body, ANY, LIMIT).inputs["x"].shape[1:] == (3,)
