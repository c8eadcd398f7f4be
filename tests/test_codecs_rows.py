"""Bodies that are read at once give what each gives alone, and answers that are written at once are those of each."""

import json
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.bodies import as_npy
from outcomes import assert_same_outcome, outcome
from properties import MODERATE, NUMERIC, THOROUGH, arrays
from serving.codecs import Decoded, Form
from serving.codecs import csv as csv_codec
from serving.codecs import json as json_codec
from serving.codecs import npy as npy_codec
from serving.codecs.together import (
    MOST_NUMBERS,
    decode_csv,
    decode_json,
    decode_npy,
    encode_csv,
    encode_json,
    encode_npy,
)
from serving.signature import Outputs, Signature
from signatures import TWO_INPUTS, one_input, spec, taking

Bodies = Sequence[bytes]

JSON_SIGNATURES = [
    one_input(),
    one_input("int64"),
    one_input("float64", ("N", 1)),
    one_input("float32", ("N",)),
    one_input("float32", ("N", 1, 2)),
]
CSV_SIGNATURES = [
    one_input(),
    one_input("uint8", ("N", 2)),
    one_input("float32", ("N", 2, 1)),
    taking(spec("a", "float32", ("N", 1)), spec("b", "float64", ("N", 2))),
    taking(spec("a", "int64", ("N", 1)), spec("b", "float32", ("N", 1))),
    taking(spec("a", "string", ("N", 1)), spec("b", "bool", ("N", 1))),
]
NOT_AT_ONCE = "not at once"
LIMIT = 1_000_000


def by_body(whole: Decoded, body: int) -> Decoded:
    return whole._replace(inputs={name: array[body : body + 1] for name, array in whole.inputs.items()})


def assert_as_alone(
    at_once: Callable[[Bodies, Signature], Decoded | None],
    alone: Callable[[bytes, Signature], Decoded],
    bodies: Bodies,
    signature: Signature,
) -> bool:
    """Whether they were read at once; then each is what it is alone."""
    found = outcome(lambda: at_once(bodies, signature) or Decoded({}, Form.ROW, NOT_AT_ONCE))
    if isinstance(found, str) or found.signature == NOT_AT_ONCE:
        return False
    for place, body in enumerate(bodies):
        assert_same_outcome(by_body(found, place), outcome(lambda body=body: alone(body, signature)))  # type: ignore[misc]
    return True


integers = st.integers(-(2**63), 2**63 - 1)
floats = st.floats(allow_nan=False, allow_infinity=False)


@THOROUGH
@given(
    data=st.data(),
    around=st.sampled_from(['{"instances":[[%s]]}', '{"inputs": [[%s]] }\n', " [[%s]]", "[[[%s]]]", "[%s]"]),
    elements=st.sampled_from([integers, floats]),
)
def test_bodies_of_one_row_are_read_at_once(
    data: st.DataObject, around: str, elements: st.SearchStrategy[float]
) -> None:
    rows = data.draw(st.lists(st.lists(elements, min_size=3, max_size=3), min_size=1, max_size=5))
    bodies = [(around % json.dumps(row)[1:-1]).encode() for row in rows]
    was_at_once = assert_as_alone(decode_json, json_codec.decode, bodies, one_input())
    has_points = {b"." in body for body in bodies}
    # 1e+16 is a fraction without a point, which makes a body with it another kind than one of plain integers.
    assert was_at_once or any(b"e" in body for body in bodies) or len(has_points) > 1


PIECES = [
    "1",
    "2",
    "-3",
    "4.5",
    "1e3",
    "01",
    "-0",
    "1E400",
    "9007199254740993",
    ",",
    ",",
    "[",
    "]",
    "],[",
    "]]",
    "[[",
    '"',
    '"1"',
    "null",
    "true",
    "NaN",
    "{",
    "}",
    ":",
]
pieces = st.sampled_from([*PIECES, ", ", " ", "\n", '{"instances":[[', ']]}\n{"instances":[[', "]]}"])


@THOROUGH
@given(data=st.data(), signature=st.sampled_from(JSON_SIGNATURES))
def test_whatever_the_bodies_each_is_what_it_is_alone(data: st.DataObject, signature: Signature) -> None:
    around = data.draw(st.sampled_from(['{"instances":[[%s]]}', '{"inputs":[[[%s]]]}', "[%s]", "[[%s]]", "%s"]))
    rows = data.draw(st.lists(st.lists(pieces, max_size=7).map("".join), min_size=1, max_size=4))
    assert_as_alone(decode_json, json_codec.decode, [(around % row).encode() for row in rows], signature)


@THOROUGH
@given(data=st.data())
def test_bodies_that_are_one_text_cut_elsewhere_are_not_mended(data: st.DataObject) -> None:
    whole = b"".join(b'{"instances":[[%d,%d,3]]}' % (number, number) for number in range(4))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), min_size=1, max_size=4)))
    bodies = [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    assert_as_alone(decode_json, json_codec.decode, bodies, one_input())


@pytest.mark.parametrize(
    ("bodies", "are_at_once"),
    [
        (["[[1,2,3]]", "[[4,5,6]]"], True),
        (["[[1,2,3]]", "[[4,5]]"], False),
        (["[[1,2,3]]", "[[4,5,6.5]]"], False),
        (["[[1,2,3]]", "[[4,5,6e1]]"], False),
        (["[[1,2,3]]", "[[4,5,6],[7,8,9]]"], False),
        (["[[1,2,3]]", "[[4,5,6]] "], False),
        (["[[1,2,3]]", '[[4,5,"6"]]'], False),
        (['{"instances":[[1,2,3]]}', '{"inputs":[[1,2,3]]}'], False),
        (['{"instances":[[1]]}\n{"instances":[[2', " ]]}"], False),
        (["[[]]", "[[]]"], False),
        (["[[1,2,3", "[[4,5,6"], False),
        (["", ""], False),
    ],
)
def test_what_is_read_at_once(bodies: list[str], are_at_once: bool) -> None:
    encoded = [body.encode() for body in bodies]
    assert assert_as_alone(decode_json, json_codec.decode, encoded, one_input()) == are_at_once


def test_models_whose_rows_may_differ_are_asked_one_by_one() -> None:
    bodies = [b"[[1,2,3]]"] * 2
    assert decode_json(bodies, TWO_INPUTS) is None
    assert decode_json(bodies, one_input(shape=("N", "M"))) is None
    assert decode_json(bodies, one_input(shape=(1, 3))) is None
    assert decode_csv([b"1,2,3"] * 2, one_input(shape=("N", "M"))) is None


fields = st.one_of(
    st.integers(-(2**64), 2**65).map(str),
    st.floats().map(str),
    st.sampled_from(["-0", "-0.0", "5", "007", "", " 6", '"7"', "x", "[8", "9]", "1\n2", "\r", "1e5", "true"]),
)


@THOROUGH
@given(data=st.data(), signature=st.sampled_from(CSV_SIGNATURES))
def test_lines_are_what_each_is_alone(data: st.DataObject, signature: Signature) -> None:
    elements = data.draw(st.sampled_from([fields, st.integers(0, 300).map(str), floats.map(str)]))
    lines = data.draw(st.lists(st.lists(elements, min_size=1, max_size=3).map(",".join), min_size=1, max_size=4))
    end = data.draw(st.sampled_from(["", "\n", "\r\n"]))
    bodies = [(line + end).encode() for line in lines]
    assert_as_alone(decode_csv, csv_codec.decode, bodies, signature)
    assert_as_alone(decode_csv, lambda body, given: csv_codec.decode(body, given, loose=True), bodies, signature)


def test_lines_of_plain_numbers_are_read_at_once() -> None:
    assert assert_as_alone(decode_csv, csv_codec.decode, [b"1,2,3\n", b"4,5,6"], one_input())
    assert assert_as_alone(decode_csv, csv_codec.decode, [b"1.5,2,3\r\n", b"4,5.5,6\n"], one_input())
    assert not assert_as_alone(decode_csv, csv_codec.decode, [b"1.5,2,3", b"4,5,6"], one_input())
    assert not assert_as_alone(decode_csv, csv_codec.decode, [b"1,2,3\n4,5,6", b"7,8,9"], one_input())


@THOROUGH
@given(data=st.data())
def test_arrays_are_what_each_is_alone(data: st.DataObject) -> None:
    signature = data.draw(st.sampled_from(JSON_SIGNATURES))
    one = data.draw(arrays(data.draw(st.sampled_from(NUMERIC)), min_dims=1))
    count = data.draw(st.integers(1, 4))
    others = st.sampled_from([one, np.flip(one), one[:0], one.astype(str), one.T, np.concatenate([one, one])])
    bodies = [
        as_npy(np.asarray(data.draw(others)))[: data.draw(st.sampled_from([None, None, None, -1]))]
        for _ in range(count)
    ]
    assert_as_alone(partial(decode_npy, limit=LIMIT), partial(npy_codec.decode, limit=LIMIT), bodies, signature)


def test_arrays_of_one_row_are_read_at_once() -> None:
    at_once, alone = partial(decode_npy, limit=LIMIT), partial(npy_codec.decode, limit=LIMIT)
    row, strange = np.array([[1.5, 2.5, 3.5]]), np.array([["a"]])
    assert assert_as_alone(at_once, alone, [as_npy(row), as_npy(2 * row)], one_input())
    for other in (row.astype(np.float32), np.concatenate([row, row]), row[0], row[:, :2], strange):
        assert not assert_as_alone(at_once, alone, [as_npy(row), as_npy(other)], one_input())
        assert not assert_as_alone(at_once, alone, [as_npy(other), as_npy(row)], one_input())
    assert not assert_as_alone(at_once, alone, [as_npy(strange), as_npy(strange)], one_input())
    assert decode_npy([as_npy(row)] * 2, TWO_INPUTS, LIMIT) is None


@MODERATE
@given(data=st.data(), dtype=st.sampled_from(NUMERIC), form=st.sampled_from(list(Form)))
def test_answers_are_those_that_each_would_have_had(data: st.DataObject, dtype: str, form: Form) -> None:
    array = data.draw(arrays(dtype, min_dims=1, min_side=1))
    rows: list[Outputs] = [{"y": array[row : row + 1]} for row in range(len(array))]
    assert encode_json({"y": array}, form, len(array)) == [json_codec.encode(row, form, 1) for row in rows]
    assert encode_csv({"y": array}, form, len(array)) == [csv_codec.encode(row, form, 1) for row in rows]
    assert encode_npy({"y": array}, form, len(array)) == [npy_codec.encode(row, form, 1) for row in rows]


@pytest.mark.parametrize(
    "outputs",
    [
        {"y": np.zeros((2, 3)), "z": np.zeros((2, 3))},
        {"y": np.zeros((3, 2))},
        {"y": np.array(2.0)},
        {"y": np.zeros((2, 0))},
        {"y": np.array([["a"], ["b"]], dtype=object)},
        {"y": [{1: 0.5}, {1: 0.5}]},
        {"y": np.zeros((2, MOST_NUMBERS))},
    ],
)
def test_other_answers_are_written_one_by_one(outputs: dict[str, object]) -> None:
    assert encode_json(outputs, Form.ROW, 2) is None  # type: ignore[arg-type]
    assert encode_csv(outputs, Form.ROW, 2) is None  # type: ignore[arg-type]
    assert encode_npy(outputs, Form.ROW, 2) is None  # type: ignore[arg-type]
