"""Bodies with inputs by name are read as the general decoder reads them, and every other body is left to it."""

import json
from collections.abc import Iterator
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outcomes import assert_same_outcome, outcome
from properties import MODERATE, THOROUGH
from serving.codecs import Decoded, json_parts, numbers
from serving.codecs import json as codec
from serving.codecs.layout import from_rows
from serving.codecs.numbers import Numbers, read
from serving.signature import Signature, TensorSpec
from signatures import one_input

SIGNATURE = Signature((TensorSpec("a", "float32", ("N", "M")), TensorSpec("b b", "int64", ("N",))), ())


@pytest.fixture(params=[None, 0], ids=["as it comes", "every row a part"], autouse=True, scope="module")
def way(request: pytest.FixtureRequest) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        if request.param is not None:
            patch.setattr(json_parts, "ROW_BYTES", request.param)
        yield


def assert_alike(body: bytes, signature: Signature = SIGNATURE) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_parts, "decode", lambda *_: None)
        wanted = outcome(lambda: codec.decode(body, signature))
    assert_same_outcome(outcome(lambda: codec.decode(body, signature)), wanted)
    large = cast("bytes", bytearray(body))  # as large ones come
    assert_same_outcome(outcome(lambda: codec.decode(large, signature)), wanted)


values = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
odd = values | st.sampled_from([None, True, "}, {", '"', 'x": [1', 2**63, -(2**63), 2**64, {"b64": "AAA="}, {}])


@st.composite
def columns(draw: st.DrawFn, elements: st.SearchStrategy[Any]) -> dict[str, Any]:
    rows, width = draw(st.integers(0, 4)), draw(st.integers(1, 3))
    lists = st.lists(elements, min_size=rows, max_size=rows)
    return {
        "a": draw(st.lists(st.lists(elements, min_size=width, max_size=width), min_size=rows, max_size=rows)),
        "b b": draw(lists),
    }


@THOROUGH
@given(given=columns(values) | columns(odd), indent=st.sampled_from([None, 1]), by_row=st.booleans())
def test_it_is_read_as_the_general_decoder_reads_it(given: dict[str, Any], indent: int | None, by_row: bool) -> None:
    if by_row:
        rows = [{"a": a, "b b": b} for a, b in zip(given["a"], given["b b"], strict=True)]
        text = json.dumps({"instances": rows}, indent=indent)
    else:
        text = json.dumps({"inputs": given}, indent=indent)
    assert_alike(text.encode())


@MODERATE
@given(
    body=st.recursive(
        odd,
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["inputs", "instances", "a", "b b", 'q"']), inner, max_size=3)
        ),
        max_leaves=20,
    ),
    key=st.sampled_from(["inputs", "instances"]),
)
def test_whatever_the_body_the_answer_is_the_general_decoders(body: Any, key: str) -> None:  # noqa: ANN401 (JSON)
    assert_alike(json.dumps({key: body}).encode())


@pytest.mark.parametrize(
    "body",
    [
        '{"inputs": {"a": [[1]], "b b": [2]}',
        '{"inputs": {"a": [[1]], "b b": [2]}}}',
        '{"inputs": {"a": [[1]], "b b": [2]}} x',
        '{"inputs": {"a": [[1]] "b b": [2]}}',
        '{"inputs": {"a": [[1]],, "b b": [2]}}',
        '{"inputs": {"a": [[1]], "b b": [2],}}',
        '{"inputs": {"a": [[1]], "a": [[2]], "b b": [2]}}',
        '{"inputs": {"a": [[1]], "b\\u0020b": [2]}}',
        '{"inputs": {"a": [[1]]}}',
        '{"inputs": {"a": [[1]], "b b": [2], "c": [3]}}',
        '{"inputs": {"a": [[1]], "b b": [2]}, "signature_name": "x"}',
        '{"inputs": {"a": [[1]], "b b": [NaN]}}',
        '{"instances": [{"a": [1], "b b": 2}',
        '{"instances": [{"a": [1], "b b": 2},]}',
        '{"instances": [{"a": [1], "b b": 2} {"a": [1], "b b": 2}]}',
        '{"instances": [{"a": [1], "b b": 2}, 3]}',
        '{"instances": [{"a": [1], "b b": 2}, {"a": [1, 2], "b b": 2}]}',
        '{"instances": [{"a": [1], "b b": 2}, {"a": [1]}]}',
        '{"instances": [{"a": [1], "b b": 2}, {"a": ["}, {"], "b b": 2}]}',
        '{"instances": [{"a": [1], "b b": 18446744073709551615}, {"a": [1], "b b": 2}]}',
        '{"instances": [{"a": [1], "b b": true}, {"a": [1], "b b": 2}]}',
        '{"instances": []}',
        '{"instances": [{}]}',
    ],
)
def test_odd_bodies_are_answered_as_by_the_general_decoder(body: str) -> None:
    assert_alike(body.encode())


def test_a_name_that_is_no_text_is_left_to_the_general_decoder() -> None:
    assert_alike(b'{"inputs": {"\xff": [[1]], "b b": [2]}}')


def test_nests_become_arrays_without_the_general_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "parse", lambda _: pytest.fail("the general decoder was asked"))
    monkeypatch.setattr(json_parts, "from_rows", lambda *_: pytest.fail("a row was made of Python objects"))
    found = codec.decode(b'{"inputs": {"a": [[1.5, 2]], "b b": [3]}}', SIGNATURE)
    assert (found.inputs["a"].tolist(), found.inputs["b b"].tolist()) == ([[1.5, 2]], [3])
    found = codec.decode(b'{"instances": [{"x": [1, 2]}]}', one_input())
    assert found.inputs["x"].tolist() == [[1, 2]]


def test_small_rows_are_read_a_part_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def watched(rows: list[Any], signature: Signature) -> Decoded:
        asked.append(len(rows))
        return from_rows(rows, signature)

    monkeypatch.setattr(json_parts, "ROW_BYTES", 10_000)
    monkeypatch.setattr(json_parts, "PART_BYTES", 1000)
    monkeypatch.setattr(json_parts, "from_rows", watched)
    rows = [{"a": [n, n], "b b": n} for n in range(1000)]
    found = codec.decode(json.dumps({"instances": rows}).encode(), SIGNATURE)
    np.testing.assert_array_equal(found.inputs["b b"], np.arange(1000))
    assert sum(asked) == len(rows)
    assert max(asked) < 50


def test_no_body_takes_much_longer_than_by_the_general_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names that the model does not have are not read; of rows there are few parts, however small they become."""
    asked: list[int] = []

    def watched(body: bytes) -> Numbers | None:
        asked.append(len(body))
        return read(body)

    monkeypatch.setattr(json_parts, "ROW_BYTES", 1000)
    monkeypatch.setattr(numbers, "read", watched)
    many = {f"c{n}": [n] for n in range(1000)}
    assert json_parts.decode(json.dumps({"inputs": {"a": [[1]], **many}}).encode(), SIGNATURE) is None
    assert len(asked) == 1
    rows = [{"a": [0] * 1000, "b b": [0]}] + [{"a": [0], "b b": [0]}] * 1000
    json_parts.decode(json.dumps({"instances": rows}).encode(), SIGNATURE)
    assert len(asked) < 10
