"""CSV: what a spreadsheet's or Python's own writer makes is read, and what is written they read."""

import csv
import io
from contextlib import suppress
from math import prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn

from properties import MODERATE, NUMERIC, THOROUGH, arrays, same, text_arrays, texts
from serving.codecs import Form
from serving.codecs import csv as codec
from serving.errors import (
    BadRequestError,
    EmptyBatchError,
    InexactValueError,
    InvalidCsvError,
    RaggedArrayError,
    ServingError,
    WrongTypeError,
)
from serving.signature import Array, Inputs, Signature
from serving.validation import validate
from signatures import TWO_INPUTS, one_input, spec, taking


def read(body: str | bytes, signature: Signature) -> Inputs:
    """All that a server does with a body before it runs the model."""
    decoded = codec.decode(body if isinstance(body, bytes) else body.encode(), signature)
    assert decoded.form is Form.ROW
    return validate(decoded.inputs, signature)


def lines(answer: bytes) -> list[list[str]]:
    """An answer as Python's own reader reads it."""
    return list(csv.reader(io.StringIO(answer.decode(), newline=""), strict=True))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("1,2,3", [[1, 2, 3]]),
        ("1;2;3\n4;5;6\n", [[1, 2, 3], [4, 5, 6]]),
        ("1\t\t3", [[1, None, 3]]),
        ("1|2|3", [[1, 2, 3]]),
        ("0.5 2 3", [[0.5, 2, 3]]),
        (",2,\n1, ,3", [[None, 2, None], [1, None, 3]]),
        ("1, 2, nan", [[1, 2, None]]),
    ],
)
def test_loosely_read_any_delimiter_will_do_and_what_is_not_there_is_nan(
    body: str, expected: list[list[float | None]]
) -> None:
    (array,) = codec.decode(body.encode(), one_input(), loose=True).inputs.values()
    wanted = np.array([[np.nan if value is None else value for value in row] for row in expected])
    np.testing.assert_array_equal(array, wanted)


@pytest.mark.parametrize(
    ("body", "error"),
    [("1;2;x", WrongTypeError), ("1;2\n1;2;3", RaggedArrayError), ("\n\n", EmptyBatchError), ("\xff", InvalidCsvError)],
)
def test_loosely_read_too_what_is_wrong_is_told(body: str, error: type[BadRequestError]) -> None:
    with pytest.raises(error):
        codec.decode(body.encode("latin-1"), one_input(), loose=True)


@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@MODERATE
@given(array=text_arrays(min_dims=2, min_side=1))
def test_quotes_commas_and_line_ends_in_fields_arrive_as_they_were_sent(end: str, quoting: int, array: Array) -> None:
    """sagemaker-tensorflow-serving-container mixes up fields with quotes and commas."""
    if end == "\n" and quoting == csv.QUOTE_MINIMAL:
        array = np.vectorize(lambda text: text.replace("\r", ""), otypes=[object])(array)  # Python does not quote it
    text = io.StringIO(newline="")
    csv.writer(text, quoting=quoting, lineterminator=end).writerows(array.tolist())  # type: ignore[arg-type]
    assert read(text.getvalue(), one_input("string", ("N", "L")))["x"].tolist() == array.tolist()


@MODERATE
@given(array=text_arrays(min_dims=2, min_side=1))
def test_strings_are_written_so_that_they_read_back(array: Array) -> None:
    assert lines(codec.encode({"y": array}, Form.ROW, len(array))) == array.tolist()


@pytest.mark.parametrize("dtype", [name for name in NUMERIC if name != "bool"])
@MODERATE
@given(data=st.data())
def test_numbers_arrive_as_they_were_sent(dtype: str, data: st.DataObject) -> None:
    array = data.draw(arrays(dtype, min_dims=2, max_dims=2, min_side=1))
    text = io.StringIO(newline="")
    csv.writer(text).writerows(array.tolist())
    assert same(read(text.getvalue(), one_input(dtype, ("N", "L")))["x"], array)


@pytest.mark.parametrize("dtype", NUMERIC)
@MODERATE
@given(data=st.data())
def test_numbers_are_written_one_line_a_row_and_read_back_exactly(dtype: str, data: st.DataObject) -> None:
    array = data.draw(arrays(dtype, min_dims=1, min_side=1))
    answer = lines(codec.encode({"y": array}, Form.ROW, len(array)))
    assert len(answer) == len(array)
    values = [[text == "true" if dtype == "bool" else text for text in line] for line in answer]
    assert same(np.array(values).astype(dtype).reshape(array.shape), array)


def test_nan_and_infinity_are_written_as_in_json_and_read_in_any_case() -> None:
    array = np.array([[np.nan, np.inf, -np.inf]], np.float32)
    assert codec.encode({"y": array}, Form.ROW, 1) == b"NaN,Infinity,-Infinity\n"
    for text in ("NaN,Infinity,-Infinity", "nan,inf,-inf", "NAN,+INF,-infinity"):
        assert same(read(text, one_input())["x"], array)


@pytest.mark.parametrize("text", ["1e400,1,2", "1,-1e999,2", "1,2,1" + "0" * 400])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
def test_a_number_too_large_for_a_double_does_not_become_infinity(text: str, dtype: str) -> None:
    with pytest.raises(InexactValueError):
        read(text, one_input(dtype))


@pytest.mark.parametrize("text", ["1e400", "1" + "0" * 5000])
def test_a_long_number_is_quoted_short(text: str) -> None:
    with pytest.raises(BadRequestError) as raised:
        read(f"1,2,{text}", one_input("int64"))
    assert len(raised.value.message) < 200


@pytest.mark.parametrize("field", ["", " ", "a", "0x10", "1;2", "--1", "1 2", "None", "null"])
@pytest.mark.parametrize("dtype", ["float32", "int64", "uint8"])
def test_a_field_that_is_no_number_is_named_with_its_place(field: str, dtype: str) -> None:
    with pytest.raises(WrongTypeError) as raised:
        read(f'1,2,3\n4,"{field}",6', one_input(dtype))
    assert raised.value.message == f"input 'x': expected a number in line 2, column 2, got {field!r}"


def test_a_column_is_counted_over_all_inputs() -> None:
    with pytest.raises(WrongTypeError, match="line 1, column 5, got 'e'"):
        read("1,2,3,4,e", TWO_INPUTS)


@pytest.mark.parametrize("text", ["3.7,1,2", "256,1,2", "-1,1,2"])
def test_a_number_that_the_model_cannot_hold_is_refused(text: str) -> None:
    with pytest.raises(InexactValueError):
        read(text, one_input("uint8"))


@pytest.mark.parametrize("dtype", ["int64", "uint64"])
@THOROUGH
@given(value=st.integers(-(2**63), 2**64 - 1), other=st.sampled_from(["0", "1.0", "1e3"]))
def test_every_integer_arrives_as_it_was_sent_or_not_at_all(dtype: str, value: int, other: str) -> None:
    signature = one_input(dtype, ("N", 2))
    limits = np.iinfo(dtype)
    fits = limits.min <= value <= limits.max and (other == "0" or abs(value) < 2**53)
    if fits:
        assert read(f"{value},{other}", signature)["x"].tolist() == [[value, int(float(other))]]
    else:
        with pytest.raises(InexactValueError):
            read(f"{value},{other}", signature)


def test_booleans_are_words_or_digits() -> None:
    assert read("true,FALSE,1\n 0 ,True,false", one_input("bool"))["x"].tolist() == [
        [True, False, True],
        [False, True, False],
    ]
    with pytest.raises(WrongTypeError, match="expected true, false, 1 or 0, got 'yes'"):
        read("yes,1,0", one_input("bool"))


@MODERATE
@given(shape=stn.array_shapes(min_dims=1, max_dims=4))
def test_a_row_is_laid_out_row_major(shape: tuple[int, ...]) -> None:
    array = np.arange(prod(shape), dtype=np.float32).reshape(shape)
    body = codec.encode({"y": array}, Form.ROW, shape[0])
    assert same(read(body, one_input(shape=("N", *shape[1:])))["x"], array)


def test_several_inputs_take_their_columns_in_turn() -> None:
    inputs = read("1,2,3,4,5\n6,7,8,9,0", TWO_INPUTS)
    assert inputs["a"].tolist() == [[1, 2, 3], [6, 7, 8]]
    assert inputs["b"].tolist() == [[4, 5], [9, 0]]


def test_the_one_input_with_a_free_axis_takes_the_rest() -> None:
    signature = taking(spec("a", shape=("N", "L")), spec("b", shape=("N",)))
    inputs = read("1,2,3,4", signature)
    assert inputs["a"].tolist() == [[1, 2, 3]]
    assert inputs["b"].tolist() == [4]


@pytest.mark.parametrize(
    ("signature", "text"),
    [
        (TWO_INPUTS, r"expected 5 columns \(3 for 'a', 2 for 'b'\), got 4"),
        (taking(spec("a", shape=("N", "L")), spec("b", shape=("N", "M"))), "cannot tell the shapes"),
        (taking(spec("a", shape=("N", "L")), spec("b", shape=("N", 4))), "cannot tell the shapes"),
        (one_input(shape=("N", 3, 2)), "expected 6 columns, got 4"),
        (one_input(shape=("N", "H", "W")), "expected a fixed number of columns, got 4"),
    ],
)
def test_columns_that_do_not_fit_the_inputs_are_counted(signature: Signature, text: str) -> None:
    with pytest.raises(InvalidCsvError, match=text):
        read("1,2,3,4", signature)


@pytest.mark.parametrize(
    ("body", "kind", "text"),
    [
        ("1,2,3\n4,5", RaggedArrayError, "line 2: expected 3 fields as in line 1, got 2"),
        ("\n\n", EmptyBatchError, "at least one"),
        ('1,"2,3', InvalidCsvError, "not CSV"),
        ('1,"2"3,4', InvalidCsvError, "not CSV"),
        (b"1,2,\xff", InvalidCsvError, "not UTF-8"),
    ],
)
def test_what_is_no_table_is_refused(body: str | bytes, kind: type[BadRequestError], text: str) -> None:
    with pytest.raises(kind, match=text):
        read(body, one_input())


def test_a_text_of_more_than_128_kilobytes_is_refused_with_the_limit() -> None:
    with pytest.raises(InvalidCsvError, match="field limit"):
        read("a" * 200_000, one_input("string", ("N",)))


def test_a_byte_order_mark_spaces_and_empty_lines_are_passed_over() -> None:
    assert read("\ufeff 1, 2 ,3\r\n\r\n4,5,6\r\n", one_input())["x"].tolist() == [[1, 2, 3], [4, 5, 6]]


def test_an_answer_without_one_element_a_row_is_a_single_line() -> None:
    assert codec.encode({"y": np.array(1.5)}, Form.ROW, 2) == b"1.5\n"
    assert codec.encode({"y": np.array([1, 2, 3])}, Form.ROW, 2) == b"1,2,3\n"


def test_an_answer_for_one_row_of_scalars_has_one_field() -> None:
    assert codec.encode({"y": np.array([1, 2], np.int64)}, Form.ROW, 2) == b"1\n2\n"


@pytest.mark.parametrize("dtype", ["float32", "int64", "string", "bool"])
@THOROUGH
@given(
    body=st.binary(max_size=60)
    | st.text('0123456789,.-+eEnaif"\n\r ', max_size=40).map(str.encode)
    | st.lists(st.lists(texts(), max_size=3).map(",".join), max_size=3).map("\n".join).map(str.encode)
)
def test_any_body_raises_nothing_but_errors_of_the_table(dtype: str, body: bytes) -> None:
    with suppress(ServingError):
        read(body, one_input(dtype, ("N", "L")))
