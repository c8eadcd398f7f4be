"""The .npz format: what numpy writes is read, zip bombs and damaged archives cost nothing but a bad request."""

import io
import tracemalloc
import zipfile
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from properties import MODERATE, THOROUGH, numeric_arrays, same, text_arrays
from serving.codecs import Form, npz
from serving.errors import (
    ArrayTooLargeError,
    InvalidNpzError,
    MissingInputError,
    ObjectNpyError,
    ServingError,
    UnknownInputError,
)
from serving.signature import Array
from serving.validation import validate
from signatures import TWO_INPUTS, one_input

LIMIT = 10**6


def saved(*, compressed: bool = False, **members: Array) -> bytes:
    """The file as numpy writes it."""
    buffer = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(buffer, allow_pickle=True, **members)
    return buffer.getvalue()


def zipped(method: int, **members: bytes) -> bytes:
    """A zip file of these members."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return buffer.getvalue()


def npy(array: Array) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


@pytest.mark.parametrize("compressed", [False, True])
@MODERATE
@given(a=numeric_arrays(), b=numeric_arrays())
def test_what_numpy_writes_is_read_in_the_order_of_the_model(a: Array, b: Array, *, compressed: bool) -> None:
    decoded = npz.decode(saved(compressed=compressed, b=b, a=a), TWO_INPUTS, LIMIT)
    assert decoded.form is Form.COLUMN
    assert list(decoded.inputs) == ["a", "b"]
    assert same(decoded.inputs["a"], a)
    assert same(decoded.inputs["b"], b)


@MODERATE
@given(
    outputs=st.dictionaries(
        st.text(st.characters(codec="utf-8", exclude_characters="/\\\0:"), min_size=1, max_size=8),
        numeric_arrays(),
        min_size=1,
        max_size=3,
    )
)
def test_what_is_written_numpy_reads_without_pickle(outputs: dict[str, Array]) -> None:
    with np.load(io.BytesIO(npz.encode(dict(outputs), Form.COLUMN, 1)), allow_pickle=False) as archive:
        assert set(archive) == set(outputs)
        assert all(same(archive[name], array) for name, array in outputs.items())


@MODERATE
@given(array=text_arrays())
def test_strings_are_written_as_text_not_as_pickles(array: Array) -> None:
    with np.load(io.BytesIO(npz.encode({"y": array}, Form.COLUMN, 1)), allow_pickle=False) as archive:
        assert archive["y"].tolist() == array.astype(str).tolist()


def test_a_member_may_lack_the_suffix() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("x", npy(np.ones((1, 3))))
    assert npz.decode(buffer.getvalue(), one_input(), LIMIT).inputs["x"].shape == (1, 3)


@pytest.mark.parametrize("compressed", [False, True])
def test_a_missing_or_unknown_member_is_named(*, compressed: bool) -> None:
    one = np.ones((1, 3))
    with pytest.raises(MissingInputError, match="input 'b' is missing"):
        npz.decode(saved(compressed=compressed, a=one), TWO_INPUTS, LIMIT)
    with pytest.raises(UnknownInputError, match="unknown input 'c'"):
        npz.decode(saved(compressed=compressed, a=one, b=one, c=one), TWO_INPUTS, LIMIT)


def test_pickled_members_are_refused() -> None:
    with pytest.raises(ObjectNpyError):
        npz.decode(saved(x=np.array([print], dtype=object)), one_input(), LIMIT)


def peak(body: bytes, kind: type[ServingError]) -> int:
    """The bytes allocated at most while a body was refused."""
    tracemalloc.start()
    try:
        with pytest.raises(kind):
            npz.decode(body, one_input(), LIMIT)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


BOMB = npy(np.zeros(30_000_000, np.uint8))


def lying(body: bytes, size: int) -> bytes:
    """The archive with another unpacked size in both places that state it."""
    return body.replace(len(BOMB).to_bytes(4, "little"), size.to_bytes(4, "little"))


def test_a_zip_bomb_is_refused_by_the_size_that_it_states() -> None:
    assert peak(zipped(zipfile.ZIP_DEFLATED, x=BOMB), ArrayTooLargeError) < 2**20


def test_many_members_count_together() -> None:
    part = npy(np.zeros(LIMIT // 3, np.uint8))
    bomb = zipped(zipfile.ZIP_DEFLATED, x=part, y=part, z=part)
    assert peak(bomb, ArrayTooLargeError) < 2**20


@pytest.mark.parametrize("size", [0, 1, 1000, LIMIT // 2])
def test_a_zip_bomb_that_lies_about_its_size_is_not_unpacked(size: int) -> None:
    assert peak(lying(zipped(zipfile.ZIP_DEFLATED, x=BOMB), size), ServingError) < 2 * LIMIT


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA], ids=["bzip2", "lzma"])
@pytest.mark.parametrize("size", [1000, len(BOMB)])
def test_a_bomb_by_a_method_that_numpy_never_uses_is_not_unpacked(method: int, size: int) -> None:
    kind = ArrayTooLargeError if size > LIMIT else InvalidNpzError
    assert peak(lying(zipped(method, x=BOMB), size), kind) < 2**20


def test_an_encrypted_member_is_refused() -> None:
    body = bytearray(zipped(zipfile.ZIP_STORED, x=npy(np.ones(3))))
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        body[body.index(signature) + flags] |= 1
    with pytest.raises(InvalidNpzError):
        npz.decode(bytes(body), one_input(), LIMIT)


def test_a_damaged_member_fails_its_checksum() -> None:
    body = saved(x=np.arange(3.0))
    with pytest.raises(InvalidNpzError, match="CRC"):
        npz.decode(body.replace(np.float64(2).tobytes(), np.float64(3).tobytes()), one_input(), LIMIT)


def read_by_a_server(body: bytes) -> None:
    """All that a server does with a body before it runs the model."""
    signature = one_input()
    with suppress(ServingError):
        ready = validate(npz.decode(body, signature, LIMIT).inputs, signature)
        assert ready["x"].dtype == np.float32


@THOROUGH
@given(body=st.binary(max_size=200) | st.binary(max_size=200).map(b"PK\x05\x06".__add__))
def test_random_bytes_raise_nothing_but_errors_of_the_table(body: bytes) -> None:
    read_by_a_server(body)


@THOROUGH
@given(
    compressed=st.booleans(),
    places=st.lists(st.tuples(st.integers(0, 10**4), st.integers(0, 255)), min_size=1, max_size=4),
    cut=st.integers(0, 300) | st.just(10**4),
)
def test_damaged_files_raise_nothing_but_errors_of_the_table(
    places: list[tuple[int, int]], cut: int, *, compressed: bool
) -> None:
    body = bytearray(saved(compressed=compressed, x=np.arange(6, dtype=np.float32).reshape(2, 3)))
    for place, value in places:
        body[place % len(body)] = value
    read_by_a_server(bytes(body[:cut]))


def test_every_damage_to_one_byte_raises_nothing_but_errors_of_the_table() -> None:
    body = saved(compressed=True, x=np.arange(6, dtype=np.float32).reshape(2, 3))
    for place in range(len(body)):
        for value in {0, 1, 8, 12, 14, 99, 255, body[place] ^ 1, body[place] ^ 0x80}:
            read_by_a_server(body[:place] + bytes([value]) + body[place + 1 :])
