"""Bodies of numbers alone are read as the general decoder reads them, and every other body is left to it."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn

from properties import MODERATE, THOROUGH, same
from serving.codecs import Form, nest, numbers, pieces
from serving.codecs import json as codec
from serving.codecs.json_text import parse
from serving.codecs.layout import from_rows
from serving.errors import BadRequestError
from signatures import TWO_INPUTS, one_input


def asarray(text: str) -> Any:  # noqa: ANN401 (an array, or what is none)
    """What the general decoder's way makes of a nest of numbers."""
    return from_rows(parse(text.encode()), one_input(shape=("N",))).inputs["x"]


WAYS: dict[str, dict[str, int]] = {
    "as a small body": {},
    "as a large one": {"LARGE": 0},
    "as a large one in pieces": {"LARGE": 0, "IN_PIECES": 0},
}


@pytest.fixture(params=list(WAYS.values()), ids=list(WAYS), autouse=True, scope="module")
def way(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every body by both ways to look at its structure, its numbers at once or cut at every other comma or so."""
    with pytest.MonkeyPatch.context() as patch:
        for name, least in request.param.items():
            patch.setattr(numbers, name, least)
        patch.setattr(pieces, "PIECE_BYTES", 3)
        if "IN_PIECES" in request.param:
            patch.setattr(nest, "PIECE_BYTES", 11)  # its structure, too, and not at whole words of bits
        yield


integers = st.integers(-(2**63), 2**63 - 1)
floats = st.floats(allow_nan=False, allow_infinity=False)
shapes = stn.array_shapes(min_dims=1, max_dims=5, max_side=4)


@THOROUGH
@given(data=st.data(), shape=shapes, key=st.sampled_from(["", "instances", "inputs"]))
def test_a_regular_nest_is_read_as_the_general_decoder_reads_it(
    data: st.DataObject, shape: tuple[int, ...], key: str
) -> None:
    elements = data.draw(st.sampled_from([integers, floats, st.one_of(st.integers(-(2**53), 2**53), floats)]))
    nest = data.draw(stn.arrays(object, shape, elements=elements)).tolist()
    indent = data.draw(st.sampled_from([None, 1]))
    text = json.dumps(nest, indent=indent)
    found = numbers.read(f' {{ "{key}" : {text}\n}}'.encode() if key else text.encode())
    assert found is not None
    assert found.key == key
    assert same(found.array, asarray(text))


nests: st.SearchStrategy[Any] = st.recursive(
    st.integers(-9, 9) | st.floats(-9, 9) | st.sampled_from([True, None, "1", 2**64, {}]),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=12,
)


@MODERATE
@given(nest=st.lists(nests, max_size=4))
def test_whatever_the_nest_the_answer_is_the_general_decoders(nest: list[Any]) -> None:
    text = json.dumps(nest)
    found = numbers.read(text.encode())
    if found is None:
        return
    try:
        assert same(found.array, asarray(text))
    except BadRequestError as error:
        pytest.fail(f"{text} is refused by the general decoder: {error}")


@pytest.mark.parametrize(
    "body",
    [
        "",
        "5",
        "[]",
        "[[]]",
        "[[], []]",
        "[[1], []]",
        "[[1, 2], [3]]",
        "[[1, 2, 3], [4]]",
        "[1, [2]]",
        "[[1], 2]",
        "[1, 2",
        "[1 2]",
        "[[1,]2,[3,4]]",
        "[[1,2],3[,4]]",
        "[[1,2]3,[4,5]]",
        "[[1,2],[4,5]6]",
        '["1,2", "3,4"]',
        "[1,,2]",
        "[1]]",
        "[1] 2",
        "[1][2]",
        "[01]",
        "[1.]",
        "[+1]",
        "[--1]",
        "[1e999]",
        "[true, 1]",
        "[null]",
        '["1"]',
        '["]"]',
        "[[1, true]]",
        "[[1, null]]",
        '[[1, "2"]]',
        "[[1, {}]]",
        '[[1, {"a": 2}]]',
        '[{"instances": 1}]',
        '{"instances": [[1]], "inputs": 2}',
        '{"instances": [[1], "inputs": 2}',
        "[NaN]",
        "[18446744073709551616]",
        "[-9223372036854775809]",
        '{"instances": [1], "signature_name": "x"}',
        '{"instances": [1], "instances": [2]}',
        '{"instances": [1]',
        '{"instances": [1]}}',
        '{"other": [1]}',
        "[" * 100 + "1" + "]" * 100,
        "[" * 100_000,
    ],
)
def test_anything_else_is_left_to_the_general_decoder(body: str) -> None:
    assert numbers.read(body.encode()) is None


@pytest.mark.parametrize(
    ("body", "form", "wanted"),
    [
        ('{"instances": [[1, 2, 3], [4, 5, 6]]}', Form.ROW, [[1, 2, 3], [4, 5, 6]]),
        ('{"inputs": [[1, 2, 3]]}', Form.COLUMN, [[1, 2, 3]]),
        ("[[1, 2, 3]]", Form.ROW, [[1, 2, 3]]),
        ("[1, 2, 3]", Form.ROW, [[1, 2, 3]]),
        ('{"instances": [1, 2, 3]}', Form.ROW, [1, 2, 3]),
    ],
)
def test_the_forms_are_those_of_every_body(body: str, form: Form, wanted: Any) -> None:  # noqa: ANN401
    decoded = codec.decode(body.encode(), one_input())
    assert (decoded.form, decoded.inputs["x"].tolist()) == (form, wanted)


def test_axes_of_one_may_be_left_out_here_too() -> None:
    assert codec.decode(b'{"instances": [5, 6]}', one_input(shape=("N", 1))).inputs["x"].tolist() == [[5], [6]]
    assert codec.decode(b"[5, 6]", one_input(shape=("N", 1))).inputs["x"].tolist() == [[5], [6]]


def test_a_model_of_several_inputs_is_not_for_this(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numbers, "read", lambda _: pytest.fail("it was asked"))
    with pytest.raises(BadRequestError):
        codec.decode(b"[[1, 2, 3]]", TWO_INPUTS)


def test_an_array_is_independent_of_the_next_body() -> None:
    first = numbers.read(b"[1, 2, 3]")
    second = numbers.read(b"[4, 5, 6]")
    assert first is not None
    assert second is not None
    np.testing.assert_array_equal(first.array, [1, 2, 3])
