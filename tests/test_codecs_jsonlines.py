"""JSON lines: one value a line each way."""

import json
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from properties import MODERATE, THOROUGH, numeric_arrays, same
from serving.codecs import Form, jsonlines
from serving.errors import EmptyBatchError, InvalidJsonError, ServingError, WrongTypeError
from serving.signature import Array
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
