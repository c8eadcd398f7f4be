"""JSON: the forms of requests, the forms of answers, and numbers that come back as they went."""

import base64
import json
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from properties import MODERATE, NUMERIC, THOROUGH, arrays, numeric_arrays, same, text_arrays
from serving.codecs import Form
from serving.codecs import json as codec
from serving.errors import (
    BadRequestError,
    InvalidJsonError,
    MissingInputError,
    ServingError,
    UnknownSignatureError,
    WrongTypeError,
)
from serving.signature import Array, Dimension, Outputs, Signature, Value
from serving.validation import validate
from signatures import TWO_INPUTS, one_input, spec


def decoded(body: str | bytes, *shape: int | str, dtype: str = "float32") -> tuple[Form, list[Any]]:
    """The form and the values of a request for a model of one input, [N, 3] where nothing is said."""
    text = body if isinstance(body, bytes) else body.encode()
    request = codec.decode(text, one_input(dtype, shape or ("N", 3)))
    return request.form, request.inputs["x"].tolist()


def encoded(outputs: Outputs, form: Form, rows: int) -> Any:  # noqa: ANN401 (any JSON value)
    """An answer as Python's own reader reads it."""
    return json.loads(codec.encode(outputs, form, rows))


@pytest.mark.parametrize(
    ("body", "form"),
    [
        ('{"instances": [[1, 2, 3], [4, 5, 6]]}', Form.ROW),
        ('{"instances": [{"x": [1, 2, 3]}, {"x": [4, 5, 6]}]}', Form.ROW),
        ('{"signature_name": "serving_default", "instances": [[1, 2, 3], [4, 5, 6]]}', Form.ROW),
        ("[[1, 2, 3], [4, 5, 6]]", Form.ROW),
        ('[{"x": [1, 2, 3]}, {"x": [4, 5, 6]}]', Form.ROW),
        (" \n[[1,2,3],[4,5,6]]\n", Form.ROW),
        ('{"inputs": [[1, 2, 3], [4, 5, 6]]}', Form.COLUMN),
        ('{"inputs": {"x": [[1, 2, 3], [4, 5, 6]]}}', Form.COLUMN),
        ('{"inputs": [[1, 2, 3], [4, 5, 6]], "signature_name": "any"}', Form.COLUMN),
    ],
)
def test_each_form_of_a_request_means_the_same_array(body: str, form: Form) -> None:
    assert decoded(body) == (form, [[1, 2, 3], [4, 5, 6]])


@pytest.mark.parametrize(
    ("body", "shape", "values"),
    [
        ("[1, 2, 3]", ("N", 3), [[1, 2, 3]]),  # one row, as in AWS's TensorFlow container
        ('{"x": [1, 2, 3]}', ("N", 3), [[1, 2, 3]]),
        ("[1, 2, 3]", ("N",), [1, 2, 3]),  # rows are scalars, so it is a list of them
        ("[1, 2, 3]", ("N", 1), [[1], [2], [3]]),
        ('{"instances": [1, 2]}', ("N", 1), [[1], [2]]),
        ("[1, 2]", ("N", "L"), [[1, 2]]),
        ("7", ("N",), [7]),
        ('{"inputs": 7}', (), 7),
        ('{"inputs": []}', ("N", 3), []),
    ],
)
def test_bare_values_are_rows_as_the_signature_tells(body: str, shape: tuple[int | str, ...], values: object) -> None:
    request = codec.decode(body.encode(), one_input(shape=shape))
    assert request.inputs["x"].tolist() == values


def test_several_inputs_are_named_in_every_form() -> None:
    expected = {"a": [[1, 2, 3], [4, 5, 6]], "b": [[7, 8], [9, 0]]}
    rows = [{"a": a, "b": b} for a, b in zip(expected["a"], expected["b"], strict=True)]
    for document in ({"instances": rows}, rows, {"inputs": expected}):
        inputs = codec.decode(orjson.dumps(document), TWO_INPUTS).inputs
        assert {name: array.tolist() for name, array in inputs.items()} == expected


def test_one_row_of_several_inputs_may_stand_alone() -> None:
    request = codec.decode(b'{"b": [7, 8], "a": [1, 2, 3]}', TWO_INPUTS)
    assert request.form is Form.ROW
    assert request.inputs["b"].tolist() == [[7, 8]]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ('{"instances": [[1]], "inputs": [[1]]}', "expected one of"),
        ('{"instances": [[1]], "more": 1}', "['instances', 'more']"),
        ('{"inputs": [[1]], "more": 1}', "['inputs', 'more']"),
        ('{"instances": {"x": [1, 2, 3]}}', '"instances": expected an array of rows'),
        ('{"instances": 3}', '"instances": expected an array of rows, got 3'),
        ('{"instances": ' + '{"a":' * 900 + "1" + "}" * 901, '"instances": expected an array of rows'),
    ],
)
def test_objects_of_no_documented_form_are_refused(body: str, text: str) -> None:
    with pytest.raises(InvalidJsonError) as raised:
        decoded(body)
    assert text in raised.value.message


@pytest.mark.parametrize(
    "body",
    [
        "[1, 2",
        "{",
        "nothing",
        "[1,]",
        "[1] 2",
        "'a'",
        "[01]",
        '{"a": NaN',
        "[NaN,]",
        "[1e400]",
        "[NaN, 1e400]",
        "[-1e400, Infinity]",
        "[" + "9" * 5000 + "]",
        "[NaN, " + "9" * 5000 + "]",
        "[" * 100_000,
        "[" * 100_000 + "NaN",
        b"\xff\xfe",
        b"[NaN, \xff]",
        b'["\xff"]',
    ],
    ids=lambda body: repr(body[:20]),
)
def test_what_is_not_json_is_refused(body: str | bytes) -> None:
    with pytest.raises(InvalidJsonError, match="the body is not JSON"):
        decoded(body)


def test_nan_and_infinity_are_read_as_the_bare_words_that_python_writes() -> None:
    _, values = decoded(json.dumps([[float("nan"), float("inf"), float("-inf")]]))
    assert str(values) == "[[nan, inf, -inf]]"


@pytest.mark.parametrize("body", ["[[null, 1, 2]]", '[["NaN", 1, 2]]', '[["NaN", "1", "2"]]', "[[nan, 1, 2]]"])
def test_null_and_quoted_words_are_no_numbers(body: str) -> None:
    signature = one_input()
    with pytest.raises((WrongTypeError, InvalidJsonError)):
        validate(codec.decode(body.encode(), signature).inputs, signature)


@pytest.mark.parametrize("dtype", ["int64", "uint64"])
@THOROUGH
@given(value=st.integers(-(2**63), 2**64 - 1))
def test_every_integer_arrives_as_it_was_sent_or_not_at_all(dtype: str, value: int) -> None:
    signature = one_input(dtype, ("N", 2))
    limits = np.iinfo(dtype)
    for other in (0, limits.max):
        body = orjson.dumps({"inputs": [[value, other]]})
        if limits.min <= value <= limits.max:
            inputs = validate(codec.decode(body, signature).inputs, signature)
            assert inputs["x"].tolist() == [[value, other]]
        else:
            with pytest.raises(BadRequestError):
                validate(codec.decode(body, signature).inputs, signature)


@MODERATE
@given(array=text_arrays(min_dims=2, min_side=1))
def test_text_arrives_as_it_was_sent(array: Array) -> None:
    signature = one_input("string", ("N", "L"))
    body = orjson.dumps({"inputs": array.tolist()})
    assert validate(codec.decode(body, signature).inputs, signature)["x"].tolist() == array.tolist()


def test_half_a_surrogate_pair_is_refused_with_and_without_nan_in_the_body() -> None:
    signature = one_input("string", ("N",))
    for body in (b'["\\ud800"]', b'["\\ud800", "NaN"]'):
        with pytest.raises(BadRequestError):
            validate(codec.decode(body, signature).inputs, signature)


@THOROUGH
@given(array=numeric_arrays(min_dims=1))
def test_an_answer_in_column_form_reads_back_exactly(array: Array) -> None:
    values = encoded({"y": array}, Form.COLUMN, 1)["outputs"]
    if array.size:
        assert same(np.array(values, array.dtype), array)
    else:
        assert np.array(values).shape == array.shape[: np.array(values).ndim]


@pytest.mark.parametrize("dtype", NUMERIC)
@MODERATE
@given(data=st.data())
def test_an_answer_in_row_form_is_one_element_a_row(dtype: str, data: st.DataObject) -> None:
    array = data.draw(arrays(dtype, min_dims=1, min_side=1))
    predictions = encoded({"y": array}, Form.ROW, len(array))["predictions"]
    assert len(predictions) == len(array)
    assert same(np.array(predictions, array.dtype), array)


@MODERATE
@given(array=text_arrays(min_side=1))
def test_strings_read_back_exactly(array: Array) -> None:
    assert encoded({"y": array}, Form.COLUMN, 1) == {"outputs": array.tolist()}


@pytest.mark.parametrize("dtype", NUMERIC)
@pytest.mark.parametrize("value", [0, 1])
def test_a_scalar_is_a_bare_value(dtype: str, value: int) -> None:
    answer = codec.encode({"y": np.array(value, dtype)}, Form.COLUMN, 1)
    text = {"b": str(bool(value)).lower(), "f": f"{value}.0"}.get(np.dtype(dtype).kind, str(value))
    assert answer == b'{"outputs":' + text.encode() + b"}"


@pytest.mark.parametrize("shape", [(0,), (2, 0), (0, 3), (1, 0, 2)])
def test_arrays_without_elements_keep_the_axes_that_lists_can_show(shape: tuple[int, ...]) -> None:
    assert encoded({"y": np.zeros(shape)}, Form.COLUMN, 1) == {"outputs": np.zeros(shape).tolist()}


def test_slices_and_transposed_outputs_are_written_right() -> None:
    array = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    for view in (array.T, array[:, ::2, 1:], np.asfortranarray(array)):
        assert encoded({"y": view}, Form.COLUMN, 1) == {"outputs": view.tolist()}


def test_nan_and_infinity_are_written_as_the_bare_words() -> None:
    array = np.array([[np.nan, np.inf, 1], [-np.inf, 2, np.nan]], np.float32)
    assert codec.encode({"y": array}, Form.ROW, 2) == b'{"predictions":[[NaN,Infinity,1.0],[-Infinity,2.0,NaN]]}'


def test_several_outputs_are_an_object_a_row_or_an_object_of_columns() -> None:
    outputs: Outputs = {"label": np.array([7, 8]), "p": np.array([[0.5, 0.25], [1, 2]], np.float32)}
    assert encoded(outputs, Form.ROW, 2) == {"predictions": [{"label": 7, "p": [0.5, 0.25]}, {"label": 8, "p": [1, 2]}]}
    assert encoded(outputs, Form.COLUMN, 2) == {"outputs": {"label": [7, 8], "p": [[0.5, 0.25], [1, 2]]}}


def test_maps_are_objects_a_row() -> None:
    maps: list[Any] = [{10: np.float32(0.5), 20: 0.25}, {10: 1.0, 20: float("nan")}]
    outputs: Outputs = {"label": np.array(["a", "b"], dtype=object), "p": maps}
    assert codec.encode(outputs, Form.ROW, 2) == (
        b'{"predictions":[{"label":"a","p":{"10":0.5,"20":0.25}},{"label":"b","p":{"10":1.0,"20":NaN}}]}'
    )
    assert encoded({"p": maps[:1]}, Form.ROW, 1) == {"predictions": [{"10": 0.5, "20": 0.25}]}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        ([np.array([1.5]), np.array([2])], "[[1.5],[2]]"),
        ({"a": b"\xc3\xa4", "b": (1, 2)}, '{"a":"ä","b":[1,2]}'),
        ([1j], "[[0.0,1.0]]"),
        (np.array([1 + 2j]), "[[1.0,2.0]]"),
    ],
)
def test_sequences_and_optionals_become_what_json_has(value: Value, text: str) -> None:
    assert codec.encode({"y": value}, Form.COLUMN, 1).decode() == '{"outputs":' + text + "}"


@pytest.mark.parametrize("value", [np.array(1.5), np.array([1.5, 2, 3]), [np.array([1.0, 2.0])], {"a": 1}, None])
def test_an_answer_without_one_element_a_row_takes_column_form(value: Value) -> None:
    outputs: Outputs = {"rows": np.zeros((2, 3)), "other": value}
    assert list(encoded(outputs, Form.ROW, 2)) == ["outputs"]


def test_names_are_escaped() -> None:
    name = 'a"\\\n\x00ä'
    assert encoded({name: np.array([1]), "b": np.array([2])}, Form.COLUMN, 1) == {"outputs": {name: [1], "b": [2]}}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["x", "a", "b", "instances", "inputs", "signature_name"]), inner, max_size=3)
    ),
    max_leaves=12,
)


@pytest.mark.parametrize("signature", [one_input(), one_input("string", ("N",)), TWO_INPUTS], ids=["x", "text", "ab"])
@THOROUGH
@given(body=json_values.map(json.dumps).map(str.encode) | st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_body_raises_nothing_but_errors_of_the_table(signature: Any, body: bytes) -> None:  # noqa: ANN401
    with suppress(ServingError):
        validate(codec.decode(body, signature).inputs, signature)


def test_an_empty_object_names_what_is_missing() -> None:
    with pytest.raises(MissingInputError, match="input 'x' is missing"):
        decoded("{}")


def test_a_signature_that_is_not_served_is_refused() -> None:
    named = replace(one_input(), name="serving_default")
    body = b'{"signature_name": "%s", "instances": [[1, 2, 3]]}'
    assert codec.decode(body % b"serving_default", named).form is Form.ROW
    with pytest.raises(UnknownSignatureError, match="expected one of 'serving_default', got 'other'"):
        codec.decode(body % b"other", named)
    assert codec.decode(body % b"other", one_input()).form is Form.ROW


def test_the_signature_that_the_body_names_is_the_one_that_reads_it() -> None:
    signatures: dict[str, Signature] = {}
    signatures["first"] = replace(one_input(), name="first", others=signatures)
    signatures["second"] = replace(TWO_INPUTS, name="second", others=signatures)
    row = {"a": [1, 2, 3], "b": [4, 5]}
    body = json.dumps({"signature_name": "second", "instances": [row]}).encode()
    assert codec.decode(body, signatures["first"]).signature == "second"
    assert set(codec.decode(body, signatures["first"]).inputs) == {"a", "b"}
    default = json.dumps({"signature_name": "", "instances": [[1, 2, 3]]}).encode()
    assert codec.decode(default, signatures["first"]).signature is None
    with pytest.raises(UnknownSignatureError, match="expected one of 'first', 'second', got 3"):
        codec.decode(b'{"signature_name": 3, "instances": [[1, 2, 3]]}', signatures["first"])


@pytest.mark.parametrize("body", ["[1,2,3]\n[4,5,6]", "[1,2,3][4,5,6]", ' {"x": [1,2,3]} \t\n\n{"x": [4,5,6]}\n'])
def test_arrays_and_objects_side_by_side_are_rows(body: str) -> None:
    assert decoded(body) == (Form.ROW, [[1, 2, 3], [4, 5, 6]])


@pytest.mark.parametrize(
    "body", ["[1,2,3] 4", "[1,2,3][4,5", "[1,2,3]]", "[1][" * 3, "[1]" + "[" * 100_000, "[1e999][1]"]
)
def test_what_only_begins_so_is_no_json(body: str) -> None:
    with pytest.raises(InvalidJsonError):
        decoded(body)


def b64(value: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(value).decode()}


PICTURE = b"\xff\xd8\x00"


@pytest.mark.parametrize(
    ("document", "shape", "wanted"),
    [
        ({"instances": [b64(PICTURE), b64(b"")]}, ("N",), [PICTURE, b""]),
        ({"instances": [{"x": b64(PICTURE)}, {"x": "text"}]}, ("N",), [PICTURE, "text"]),
        ({"instances": [[b64(PICTURE), "text"]]}, ("N", 2), [[PICTURE, "text"]]),
        ({"inputs": [b64(PICTURE)]}, ("N",), [PICTURE]),
        ({"inputs": {"x": [b64(PICTURE)]}}, ("N",), [PICTURE]),
        ({"inputs": b64(PICTURE)}, (), PICTURE),
        ([b64(PICTURE)], ("N",), [PICTURE]),
        (b64(PICTURE), ("N",), [PICTURE]),
    ],
)
def test_bytes_come_as_base64_where_text_belongs(document: Any, shape: tuple[Dimension, ...], wanted: Any) -> None:  # noqa: ANN401
    signature = one_input("string", shape)
    inputs = validate(codec.decode(json.dumps(document).encode(), signature).inputs, signature)
    assert inputs["x"].tolist() == wanted


@pytest.mark.parametrize("text", ['"a"', '"a b="', '"=="', '"YQ==\\n"', "3", "null", '["YQ=="]'])
def test_what_is_no_base64_is_refused(text: str) -> None:
    with pytest.raises(WrongTypeError, match="input 'x': expected base64"):
        codec.decode(b'{"instances": [{"b64": %s}]}' % text.encode(), one_input("string", ("N",)))


def test_base64_is_no_number_and_a_name_where_an_input_is_called_so() -> None:
    with pytest.raises(WrongTypeError, match="expected numbers or text, got an object"):
        codec.decode(b'{"instances": [{"x": {"b64": "YQ=="}}]}', one_input())
    named = Signature((spec("b64"),), one_input().outputs)
    assert codec.decode(b'{"instances": [{"b64": [1, 2, 3]}]}', named).inputs["b64"].tolist() == [[1, 2, 3]]


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("y", b"\xff", '{"b64":"/w=="}'),
        ("y", b"\xff\x00", '{"b64":"/wA="}'),
        ("y", "a", '"a"'),
        ("y_bytes", "a", '{"b64":"YQ=="}'),
        ("y_bytes", b"\xff", '{"b64":"/w=="}'),
    ],
)
def test_bytes_are_written_as_base64(name: str, value: Any, text: str) -> None:  # noqa: ANN401
    values = np.empty(2, dtype=object)
    values[:] = [value, "b"]
    written = codec.encode({name: values}, Form.ROW, 2).decode()
    assert written.startswith('{"predictions":[' + text)
    assert codec.row_values({name: values}, 2)[0].decode() == text
    assert codec.encode({"y_bytes": np.ones(1)}, Form.ROW, 1) == b'{"predictions":[1.0]}'
