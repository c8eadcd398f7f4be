"""Nested lists become arrays, and lists that are none are refused before they cost anything."""

import tracemalloc
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from properties import MODERATE, THOROUGH, arrays, text_arrays
from serving.casting import cast
from serving.codecs import Form
from serving.codecs.layout import from_columns, from_rows, to_array
from serving.errors import (
    BadRequestError,
    EmptyBatchError,
    InexactValueError,
    MissingInputError,
    RaggedArrayError,
    UnknownInputError,
    WrongTypeError,
)
from serving.signature import Array
from signatures import TWO_INPUTS, one_input, spec, taking

ANY = spec()

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)


@pytest.mark.parametrize("dtype", ["int64", "float64", "bool"])
@MODERATE
@given(data=st.data())
def test_nested_lists_become_the_array_they_spell(dtype: str, data: st.DataObject) -> None:
    array = data.draw(arrays(dtype, min_side=1))
    result = to_array(array.tolist(), ANY)
    assert result.dtype == array.dtype
    np.testing.assert_array_equal(result, array)


@MODERATE
@given(array=text_arrays(min_side=1))
def test_text_is_kept_as_it_is_even_with_nul_at_its_end(array: Array) -> None:
    nested = array.tolist()
    result = to_array(nested, ANY)
    assert result.dtype == object
    assert result.shape == array.shape
    assert result.tolist() == nested


@pytest.mark.parametrize("value", [2**63, 2**64 - 1])
def test_integers_of_64_bits_without_a_sign_are_read(value: int) -> None:
    assert to_array([value], ANY).tolist() == [value]


@pytest.mark.parametrize("values", [[0, 2**64 - 1], [1, 2**63, 2**53 + 1]])
def test_small_and_large_integers_together_are_read_exactly(values: list[int]) -> None:
    array = to_array(values, spec(dtype="uint64"))
    assert array.dtype == np.uint64
    assert array.tolist() == values


@pytest.mark.parametrize("dtype", ["int64", "uint64"])
def test_integers_that_no_type_holds_together_are_left_to_the_cast(dtype: str) -> None:
    with pytest.raises(InexactValueError):
        cast(to_array([-1, 2**64 - 1], spec(dtype=dtype)), spec(dtype=dtype))


@pytest.mark.parametrize("values", [[2**64], [-(2**63) - 1], [2**64, 1.5], [float("nan"), 10**400]])
def test_integers_of_more_than_64_bits_are_refused(values: list[float]) -> None:
    with pytest.raises(WrongTypeError, match="numbers of 64 bits, got larger ones"):
        to_array(values, ANY)


@pytest.mark.parametrize(
    ("nested", "got"),
    [
        ([1, None], "null among"),
        ([[1], [{}]], "an object among"),
        ([1, "a"], "a mixture"),
        (["a", True], "a mixture"),
        ([["a"], [0.5]], "a mixture"),
        ({}, "an object"),
        (None, "null"),
    ],
)
def test_what_is_neither_numbers_nor_text_is_named(nested: object, got: str) -> None:
    with pytest.raises(WrongTypeError, match=f"input 'x': expected numbers or text, got {got}"):
        to_array(nested, ANY)


@pytest.mark.parametrize(
    "nested", [[[1, 2], [3]], [[1], 2], [["a", "b"], ["c"]], [["a"], "b"], [[], [1]], [["a"], []], [[[1]], [1]]]
)
def test_rows_of_different_lengths_are_refused(nested: list[Any]) -> None:
    with pytest.raises(RaggedArrayError, match="input 'x': expected rows of equal length"):
        to_array(nested, ANY)


@pytest.mark.parametrize("leaf", [1, "a", None])
def test_nesting_deeper_than_arrays_and_than_recursion_is_refused(leaf: object) -> None:
    nested = leaf
    for _ in range(2000):
        nested = [nested]
    with pytest.raises((RaggedArrayError, WrongTypeError)):
        to_array(nested, ANY)


@pytest.mark.parametrize("first", ["", 0])
def test_one_long_string_does_not_take_its_room_for_every_other(first: object) -> None:
    nested = [first, "a" * 100_000, *[""] * 10_000]  # as fixed-width text 4 GB
    tracemalloc.start()
    try:
        if first == "":
            assert to_array(nested, ANY).shape == (len(nested),)
        else:
            with pytest.raises(WrongTypeError, match="mixture"):
                to_array(nested, ANY)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


@THOROUGH
@given(value=json_values)
def test_any_json_value_is_an_array_or_a_bad_request(value: object) -> None:
    with suppress(BadRequestError):
        array = to_array(value, ANY)
        assert array.dtype in (np.int64, np.uint64, np.float64, np.bool_, np.object_)


def test_rows_of_one_input_may_be_named_or_not() -> None:
    for rows in ([[1, 2, 3], [4, 5, 6]], [{"x": [1, 2, 3]}, {"x": [4, 5, 6]}]):
        decoded = from_rows(rows, one_input())
        assert decoded.form is Form.ROW
        assert decoded.inputs["x"].tolist() == [[1, 2, 3], [4, 5, 6]]


def test_rows_of_several_inputs_are_objects_and_come_in_the_order_of_the_model() -> None:
    rows = [{"b": [7, 8], "a": [1, 2, 3]}, {"a": [4, 5, 6], "b": [9, 10]}]
    inputs = from_rows(rows, TWO_INPUTS).inputs
    assert list(inputs) == ["a", "b"]
    assert inputs["a"].tolist() == [[1, 2, 3], [4, 5, 6]]
    assert inputs["b"].tolist() == [[7, 8], [9, 10]]


def test_columns_of_one_input_may_be_named_or_not() -> None:
    for columns in ([[1, 2, 3]], {"x": [[1, 2, 3]]}):
        decoded = from_columns(columns, one_input())
        assert decoded.form is Form.COLUMN
        assert decoded.inputs["x"].tolist() == [[1, 2, 3]]


def test_columns_of_several_inputs_are_an_object() -> None:
    inputs = from_columns({"b": [[7, 8]], "a": [[1, 2, 3]]}, TWO_INPUTS).inputs
    assert {name: array.tolist() for name, array in inputs.items()} == {"a": [[1, 2, 3]], "b": [[7, 8]]}


def test_no_row_is_an_empty_batch() -> None:
    with pytest.raises(EmptyBatchError):
        from_rows([], one_input())


@pytest.mark.parametrize(
    ("rows", "kind", "text"),
    [
        ([[1, 2, 3]], MissingInputError, "expected each row to be an object with the inputs 'a', 'b', got an array"),
        ([3], MissingInputError, "got a number"),
        ([True], MissingInputError, "got a boolean"),
        (["a"], MissingInputError, "got a string"),
        ([None], MissingInputError, "got null"),
        ([{"a": [1, 2, 3]}], MissingInputError, "input 'b' is missing in row 0: expected 'a', 'b', got 'a'"),
        ([{}], MissingInputError, "input 'a' is missing in row 0: expected 'a', 'b', got nothing"),
        ([{"a": 1, "b": 2}, {"a": 1}], MissingInputError, "input 'b' is missing in row 1"),
        ([{"a": 1, "b": 2}, {"a": 1, "b": 2, "c": 3}], UnknownInputError, "unknown input 'c' in row 1"),
        ([{"a": 1, "b": 2}, [1]], WrongTypeError, "row 1: expected an object like the other rows, got an array"),
    ],
)
def test_rows_that_do_not_name_the_inputs_are_refused(rows: list[Any], kind: type[BadRequestError], text: str) -> None:
    with pytest.raises(kind) as raised:
        from_rows(rows, TWO_INPUTS)
    assert text in raised.value.message


@pytest.mark.parametrize(
    ("columns", "kind", "text"),
    [
        ([[1, 2, 3]], MissingInputError, "expected an object with the inputs 'a', 'b', got an array"),
        ({"a": [[1, 2, 3]]}, MissingInputError, "input 'b' is missing"),
        ({"a": [[1]], "b": [[1]], "c": [[1]]}, UnknownInputError, "unknown input 'c'"),
        ({"a": None, "b": [[1]]}, WrongTypeError, "input 'a': expected numbers or text, got null"),
    ],
)
def test_columns_that_do_not_name_the_inputs_are_refused(
    columns: object, kind: type[BadRequestError], text: str
) -> None:
    with pytest.raises(kind) as raised:
        from_columns(columns, TWO_INPUTS)
    assert text in raised.value.message


@pytest.mark.parametrize(
    ("shape", "rows", "laid_out"),
    [
        (("N", 1), [5, 6], (2, 1)),
        (("N", 1, 1), [5, 6], (2, 1, 1)),
        (("N", 3, 1), [[1, 2, 3]], (1, 3, 1)),
        (("N", 3), [5, 6], (2,)),  # for validation to refuse
        (("N", "L"), [5, 6], (2,)),
        (("N",), [5, 6], (2,)),
        ((), [5], (1,)),
    ],
)
def test_a_row_may_leave_out_trailing_axes_of_size_one(
    shape: tuple[int | str, ...], rows: list[Any], laid_out: tuple[int, ...]
) -> None:
    assert from_rows(rows, one_input(shape=shape)).inputs["x"].shape == laid_out


def test_many_given_names_are_not_all_listed() -> None:
    given_names = {f"name{number}": 1 for number in range(1000)}
    with pytest.raises(MissingInputError) as raised:
        from_columns(given_names, taking(spec("x")))
    assert raised.value.message.count("name") == 5
