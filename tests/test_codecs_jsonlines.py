"""JSON lines: one value a line each way."""

import json
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn

from outcomes import assert_same_outcome, outcome
from properties import MODERATE, THOROUGH, numeric_arrays, same
from serving.codecs import Form, jsonlines, numbers
from serving.errors import EmptyBatchError, InvalidJsonError, ServingError, WrongTypeError
from serving.signature import Array, Signature
from serving.validation import validate
from signatures import TWO_INPUTS, one_input


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\n\n", "\n \t\n"])
def test_each_line_is_a_row(end: str) -> None:
    for last in ("", end):
        body = ("[1, 2, 3]" + end + '[4, NaN, "6"]'.replace('"', "") + last).encode()
        request = jsonlines.decode(body, one_input())
        assert request.form is Form.ROW
        assert str(request.inputs["x"].tolist()) == "[[1.0, 2.0, 3.0], [4.0, nan, 6.0]]"


def test_rows_of_several_inputs_are_objects() -> None:
    inputs = jsonlines.decode(b'{"a": [1, 2, 3], "b": [4, 5]}\n{"b": [6, 7], "a": [8, 9, 0]}', TWO_INPUTS).inputs
    assert inputs["b"].tolist() == [[4, 5], [6, 7]]


def test_a_line_that_is_not_json_is_named() -> None:
    with pytest.raises(InvalidJsonError, match=r"^line 3: the body is not JSON"):
        jsonlines.decode(b"[1, 2, 3]\n\n[1, 2\n[4, 5, 6]", one_input())


@pytest.mark.parametrize("body", [b"\n", b" ", b"\r\n\r\n"])
def test_nothing_but_empty_lines_is_an_empty_batch(body: bytes) -> None:
    with pytest.raises(EmptyBatchError):
        jsonlines.decode(body, one_input())


def test_lines_of_different_sorts_are_refused() -> None:
    with pytest.raises(WrongTypeError, match="row 1"):
        jsonlines.decode(b'{"a": [1, 2, 3], "b": [4, 5]}\n[1]', TWO_INPUTS)


@MODERATE
@given(array=numeric_arrays(min_dims=1, min_side=1))
def test_an_answer_has_one_line_a_row_that_reads_back_exactly(array: Array) -> None:
    body = jsonlines.encode({"y": array}, Form.ROW, len(array))
    assert body.endswith(b"\n")
    rows = [json.loads(line) for line in body.splitlines()]
    assert len(rows) == len(array)
    assert same(np.array(rows, array.dtype), array)


@pytest.mark.parametrize("form", Form)
def test_several_outputs_are_an_object_a_line_in_either_form(form: Form) -> None:
    body = jsonlines.encode({"label": np.array(["a\n", "b"], dtype=object), "p": [{1: 0.5}, {1: 0.25}]}, form, 2)
    assert body == b'{"label":"a\\n","p":{"1":0.5}}\n{"label":"b","p":{"1":0.25}}\n'


def test_an_answer_without_one_element_a_row_is_one_line() -> None:
    assert jsonlines.encode({"total": np.array(1.5)}, Form.ROW, 2) == b'{"outputs":1.5}\n'


@THOROUGH
@given(body=st.binary(max_size=60) | st.text('[]{}:,x"1a\n NaN', max_size=40).map(str.encode))
def test_any_body_raises_nothing_but_errors_of_the_table(body: bytes) -> None:
    signature = one_input()
    with suppress(ServingError):
        validate(jsonlines.decode(body, signature).inputs, signature)


def assert_alike(body: bytes, signature: Signature) -> None:
    """Read as it is without a short way for numbers."""
    found = outcome(lambda: jsonlines.decode(body, signature))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(numbers, "read", lambda _: None)
        wanted = outcome(lambda: jsonlines.decode(body, signature))
    assert_same_outcome(found, wanted)


numeric = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
row_shapes = stn.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)


@THOROUGH
@given(data=st.data(), shape=row_shapes, end=st.sampled_from(["\n", "\r\n", "\r", "\n\n", " \n"]))
def test_numbers_are_read_as_line_by_line(data: st.DataObject, shape: tuple[int, ...], end: str) -> None:
    odd: st.SearchStrategy[Any] = st.sampled_from([True, None, "1", 2**64, [], float("nan")])
    elements = data.draw(st.sampled_from([numeric, numeric | odd]))
    rows = data.draw(st.lists(stn.arrays(object, shape, elements=elements), max_size=4))
    text = end.join(json.dumps(row.tolist()) for row in rows) + data.draw(st.sampled_from(["", end]))
    # And with a byte more or less, or one that is another.
    place = data.draw(st.integers(0, len(text)))
    for body in (
        text,
        text[:place] + text[place + 1 :],
        text[:place] + data.draw(st.sampled_from("[],\n1")) + text[place:],
    ):
        for signature in (one_input(), one_input(shape=("N",)), one_input(shape=("N", 1))):
            assert_alike(body.encode(), signature)


@pytest.mark.parametrize(
    "body",
    [
        "[1],[2]",
        "[1],[2]\n[3\n4]",
        "[1,1],[2,2]\n[3\n4]",
        "[[1]\n[2]]\n[[3],[4]],[[5],[6]]",
        "[[1],[2]]\n[[3]\n[4]],[[5],[6]]",
        "[1][2]",
        "[1]\n[2]]",
        "[1]\n\n[2]",
        "[1],\n[2]",
        "[1]\n,[2]",
        "1\n2",
        "1,2",
        "[]",
        "[]\n[]",
    ],
)
def test_lines_that_are_no_rows_are_not_taken_for_some(body: str) -> None:
    assert_alike(body.encode(), one_input())


def test_lines_of_numbers_are_not_parsed_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonlines, "parse", lambda _: pytest.fail("a line was parsed"))
    assert jsonlines.decode(b"[1,2,3]\r\n[4,5,6]\r\n", one_input()).inputs["x"].tolist() == [[1, 2, 3], [4, 5, 6]]
    picture = jsonlines.decode(b"[[1,2],[3,4]]\n[[5,6],[7,8]]", one_input(shape=("N", 2, 2)))
    assert picture.inputs["x"].tolist() == [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]
