"""The .npy format: what numpy writes is read, anything else is refused before it costs anything."""

import io
import tracemalloc
import warnings
from contextlib import suppress
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.lib import format as npy_format

from properties import MODERATE, THOROUGH, numeric_arrays, same, text_arrays
from serving.codecs import Form, npy
from serving.errors import (
    ArrayTooLargeError,
    InvalidNpyError,
    MissingInputError,
    ObjectNpyError,
    ServingError,
    TruncatedNpyError,
)
from serving.signature import Array
from serving.validation import validate
from signatures import TWO_INPUTS, one_input

LIMIT = 10**6
VERSIONS = [(1, 0), (2, 0), (3, 0)]


def written(array: Array, version: tuple[int, int] = (1, 0)) -> bytes:
    """The file as numpy writes it."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that old numpys cannot read 2.0 and 3.0
        npy_format.write_array(buffer, array, version)
    return buffer.getvalue()


def crafted(header: object, data: bytes = b"", version: tuple[int, int] = (1, 0)) -> bytes:
    """A file with any header: text as it is, anything else by its repr."""
    text = (header if isinstance(header, str) else repr(header)).encode("latin-1", "replace") + b"\n"
    size = len(text).to_bytes(2 if version == (1, 0) else 4, "little")
    return b"\x93NUMPY" + bytes(version) + size + text + data


def header(descr: object = "<f4", shape: object = (2, 3), *, fortran_order: object = False) -> dict[str, object]:
    return {"descr": descr, "fortran_order": fortran_order, "shape": shape}


def parsed(array: Array, version: tuple[int, int] = (1, 0)) -> Array:
    return npy.parse(written(array, version), LIMIT)


@pytest.mark.parametrize("version", VERSIONS)
@MODERATE
@given(array=numeric_arrays())
def test_what_numpy_writes_is_read(version: tuple[int, int], array: Array) -> None:
    assert same(parsed(array, version), array)


@MODERATE
@given(array=numeric_arrays())
def test_fortran_order_and_big_endian_are_read(array: Array) -> None:
    swapped = array.astype(array.dtype.newbyteorder(">"), order="F")
    result = parsed(swapped)
    assert result.dtype == swapped.dtype
    assert same(result.astype(array.dtype), array)


@MODERATE
@given(array=text_arrays())
def test_fixed_width_text_and_bytes_are_read(array: Array) -> None:
    for fixed in (array.astype(str), np.char.encode(array.astype(str), "utf-8")):
        result = parsed(fixed)
        assert result.dtype.kind == fixed.dtype.kind
        assert result.tolist() == fixed.tolist()


@MODERATE
@given(array=numeric_arrays())
def test_what_is_written_numpy_reads_without_pickle(array: Array) -> None:
    body = npy.encode({"y": array}, Form.COLUMN, 1)
    assert same(np.load(io.BytesIO(body), allow_pickle=False), array)


@MODERATE
@given(array=text_arrays())
def test_strings_are_written_as_text_not_as_pickles(array: Array) -> None:
    result = np.load(io.BytesIO(npy.dump(array)), allow_pickle=False)
    assert result.dtype.kind == "U"
    assert result.tolist() == array.astype(str).tolist()


def test_an_array_is_a_view_of_the_body() -> None:
    body = written(np.zeros(1000, np.float32))
    assert np.shares_memory(npy.parse(body, LIMIT), np.frombuffer(body, np.uint8))


def test_the_one_input_gets_the_array_in_column_form() -> None:
    decoded = npy.decode(written(np.ones((1, 3), np.float32)), one_input(), LIMIT)
    assert decoded.form is Form.COLUMN
    assert decoded.inputs["x"].tolist() == [[1, 1, 1]]


def test_several_inputs_need_npz() -> None:
    with pytest.raises(MissingInputError, match=r"the 2 inputs \['a', 'b'\], .* application/x-npz"):
        npy.decode(written(np.ones((1, 3))), TWO_INPUTS, LIMIT)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("shape", [(10**12,), (10**6, 10**6), (2**40, 2**40), (0, 10**12)])
def test_a_header_that_claims_ten_to_the_twelve_elements_allocates_nothing(
    version: tuple[int, int], shape: tuple[int, ...]
) -> None:
    body = crafted(header(shape=shape), b"\0" * 64, version)
    tracemalloc.start()
    try:
        with pytest.raises(ServingError) as raised:
            npy.parse(body, LIMIT)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()
    assert isinstance(raised.value, (TruncatedNpyError if 0 in shape else ArrayTooLargeError))


@pytest.mark.parametrize("descr", ["<U0", "|S0", "<U", "S"])
def test_elements_without_a_size_allocate_nothing_however_many(descr: str) -> None:
    body = crafted(header(descr, (10**7,)))
    tracemalloc.start()
    try:
        with pytest.raises(InvalidNpyError):
            npy.parse(body, LIMIT)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


class Trap:
    """Unpickling one springs it."""

    sprung: ClassVar[list[str]] = []

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return self.sprung.append, ("unpickled",)


def test_an_object_array_is_refused_by_its_header_and_never_unpickled() -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.array([Trap()], dtype=object))
    with pytest.raises(ObjectNpyError, match="got pickled Python objects"):
        npy.parse(buffer.getvalue(), LIMIT)
    assert not Trap.sprung


@pytest.mark.parametrize("descr", ["O", "|O", "|O8"])
def test_objects_have_their_own_error(descr: object) -> None:
    with pytest.raises(ObjectNpyError):
        npy.parse(crafted(header(descr, (1,)), b"\0" * 8), LIMIT)


@pytest.mark.parametrize(
    "descr", [[("a", "O")], [("a", "<f4")], "(3,)f4", ("<f4", (3,)), "V4", "<M8[s]", "<m8[ns]", "<f4,<f4", "a4", "d"]
)
def test_structures_and_times_are_no_tensors(descr: object) -> None:
    with pytest.raises(InvalidNpyError):
        npy.parse(crafted(header(descr, (1,)), b"\0" * 8), LIMIT)


@pytest.mark.parametrize("missing", [1, 3, 24, 100])
def test_a_truncated_file_is_refused_with_both_sizes(missing: int) -> None:
    body = written(np.zeros((2, 3, 5), np.float32))[:-missing]
    with pytest.raises(TruncatedNpyError, match=f"expected 120 bytes after the header, got {120 - missing}"):
        npy.parse(body, LIMIT)


def test_bytes_after_the_array_are_refused() -> None:
    with pytest.raises(TruncatedNpyError, match="expected 24 bytes after the header, got 25"):
        npy.parse(written(np.zeros((2, 3), np.float32)) + b"\0", LIMIT)


@pytest.mark.parametrize("length", range(0, 129, 8))
def test_a_file_cut_anywhere_is_refused(length: int) -> None:
    with pytest.raises((InvalidNpyError, TruncatedNpyError)):
        npy.parse(written(np.zeros(3, np.float32))[:length], LIMIT)


@pytest.mark.parametrize(
    "content",
    [
        header(shape=(-1, 3)),
        header(shape=(-2, -3)),
        header(shape=(2.0, 3)),
        header(shape=[2, 3]),
        header(shape=(10**30,)),
        header(shape=(0, 2**62, 2**62)),  # more than numpy counts, were there any
        header(shape=6),
        header(shape=None),
        header(shape=("2", 3)),
        header(shape=(1,) * 65),
        header(shape=(10**4000, 10**4000)),  # a product that Python does not even print
        header(shape=(2**62,) * 400),
        header(shape=(True, 6)),
        header(fortran_order=1),
        header(fortran_order="True"),
        header(descr=()),
        header(descr=(1,)),
        header(descr=("<f4",)),
        header(descr=[]),
        header(descr=[()]),
        header(descr={}),
        header(descr=None),
        header(descr=4),
        header(descr=""),
        header(descr="nonsense"),
        header(descr="<f3"),
        header(descr="<f99999999999999999999"),
        header(descr="<U2147483647"),
        header() | {"more": 1},
        {"descr": "<f4"},
        {1: 2, "a": 3, None: 4},
        {},
        [],
        "",
        "(",
        "{'a': ",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }}",
        "'''",
        "\\",
        "\0",
        "1" * 5000,
        "0x" + "f" * 9000,  # more digits than Python prints
        "{'descr': 0x" + "f" * 9000 + ", 'fortran_order': True, 'shape': ()}",
        "-" * 9000 + "1",
        "'\\d'",
        "[" * 5000,
        "__import__('os')",
        "{'descr': '<f4'",
        "  \n  x\n y",
    ],
    ids=lambda content: repr(content)[:40],
)
@pytest.mark.parametrize("version", VERSIONS)
def test_a_header_that_numpy_does_not_write_is_refused(version: tuple[int, int], content: object) -> None:
    data = b"\0" * 24 if "(0," not in repr(content) else b""
    with pytest.raises(InvalidNpyError):
        npy.parse(crafted(content, data, version), LIMIT)


def test_a_header_of_python_2_is_refused_without_a_warning() -> None:
    with pytest.raises(InvalidNpyError):
        npy.parse(crafted("{'descr': '<f4', 'fortran_order': False, 'shape': (2L, 3L), }", b"\0" * 24), LIMIT)


@pytest.mark.parametrize("version", [(0, 0), (1, 1), (4, 0), (255, 255)])
def test_an_unknown_version_is_refused(version: tuple[int, int]) -> None:
    with pytest.raises(InvalidNpyError):
        npy.parse(crafted(header(), b"\0" * 24, version), LIMIT)


@pytest.mark.parametrize("size", [0, 10_001, 65_535])
def test_a_header_longer_than_the_body_or_than_sensible_is_refused(size: int) -> None:
    body = b"\x93NUMPY\x01\x00" + size.to_bytes(2, "little") + repr(header()).encode() + b" " * 70_000
    with pytest.raises(InvalidNpyError):
        npy.parse(body, LIMIT)


@pytest.mark.parametrize("word", [0x110000, 0xFFFFFFFF])
@pytest.mark.parametrize("order", ["<", ">"])
def test_text_beyond_unicode_is_refused(word: int, order: str) -> None:
    data = word.to_bytes(4, "little" if order == "<" else "big")
    with pytest.raises(InvalidNpyError, match="Unicode"):
        npy.parse(crafted(header(f"{order}U1", (1,)), data), LIMIT)


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (0, 0), (0, 10**12)])
def test_an_array_without_elements_has_its_shape(shape: tuple[int, ...]) -> None:
    assert npy.parse(crafted(header(shape=shape)), LIMIT).shape == shape


def read_by_a_server(body: bytes, dtype: str) -> None:
    """All that a server does with a body before it runs the model."""
    signature = one_input(dtype)
    with suppress(ServingError):
        ready = validate(npy.decode(body, signature, LIMIT).inputs, signature)
        assert ready["x"].dtype == signature.inputs[0].numpy_dtype
        assert ready["x"].shape[1:] == (3,)


@THOROUGH
@given(body=st.binary(max_size=300) | st.binary(max_size=300).map(b"\x93NUMPY\x01\x00".__add__))
def test_random_bytes_raise_nothing_but_errors_of_the_table(body: bytes) -> None:
    read_by_a_server(body, "float32")


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4) | st.sampled_from(["<f4", "|O", "<U3", "|S2", "?"]),
    lambda inner: st.lists(inner, max_size=3) | st.lists(inner, max_size=3).map(tuple),
    max_leaves=5,
)


@THOROUGH
@given(
    content=st.fixed_dictionaries(
        {
            "descr": st.from_regex(r"[<>|=]?[a-zA-Z?][0-9]{0,3}", fullmatch=True) | values,
            "fortran_order": st.booleans() | values,
            "shape": st.lists(st.integers(-2, 4), max_size=3).map(tuple) | values,
        }
    ),
    data=st.binary(max_size=64),
    dtype=st.sampled_from(["float32", "int64", "string", "bool"]),
)
def test_headers_of_any_values_raise_nothing_but_errors_of_the_table(
    content: dict[str, Any], data: bytes, dtype: str
) -> None:
    read_by_a_server(crafted(content, data), dtype)


@THOROUGH
@given(
    array=numeric_arrays() | text_arrays().map(lambda array: array.astype(str)),
    places=st.lists(st.tuples(st.integers(0, 10**4), st.integers(0, 255)), min_size=1, max_size=4),
    dtype=st.sampled_from(["float32", "string"]),
)
def test_damaged_files_raise_nothing_but_errors_of_the_table(
    array: Array, places: list[tuple[int, int]], dtype: str
) -> None:
    body = bytearray(written(array))
    for place, value in places:
        body[place % len(body)] = value
    read_by_a_server(bytes(body), dtype)
