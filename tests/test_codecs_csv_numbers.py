"""Tables of plain numbers are read as field by field, and every other body is read so."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outcomes import assert_same_outcome, outcome
from properties import THOROUGH
from serving.codecs import csv as codec
from serving.codecs import csv_numbers
from serving.signature import Signature
from signatures import one_input, spec, taking

SIGNATURES = [
    one_input(shape=("N", "M")),
    one_input("int64", shape=("N", "M")),
    one_input("uint8", shape=("N", 2)),
    taking(spec("a", "float32", ("N", 1)), spec("b", "float64", ("N", "M"))),
    taking(spec("a", "int64", ("N", 1)), spec("b", "float32", ("N", 1))),
    taking(spec("a", "int64", ("N", 1)), spec("b", "int32", ("N", 1))),
    taking(spec("a", "string", ("N", 1)), spec("b", "bool", ("N", 1))),
]


def assert_alike(body: bytes, signature: Signature, *, loose: bool = False) -> None:
    found = outcome(lambda: codec.decode(body, signature, loose=loose))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_numbers, "read", lambda _: None)
        wanted = outcome(lambda: codec.decode(body, signature, loose=loose))
    assert_same_outcome(found, wanted)


numbers = st.one_of(
    st.integers(-(2**64), 2**65).map(str),
    st.integers(-3, 300).map(str),
    st.floats().map(str),
    st.sampled_from(["-0", "-0.0", "0", "9007199254740993", "1e5", "1E400", "3.0"]),
)
odd = numbers | st.sampled_from(
    ["", " ", " 5", "5 ", "\t5", "+1", ".5", "5.", "007", "1_0", '"1"', "[1]", "1]", "[2", "x", "true", "\r", "\ufeff1"]
)


@THOROUGH
@given(data=st.data(), signature=st.sampled_from(SIGNATURES), loose=st.booleans())
def test_it_is_read_as_field_by_field(data: st.DataObject, signature: Signature, loose: bool) -> None:
    fields = data.draw(st.sampled_from([numbers, odd, st.integers(0, 300).map(str)]))
    width = data.draw(st.integers(1, 3))
    widths = data.draw(st.sampled_from([st.just(width), st.integers(0, 3)]))
    rows = data.draw(st.lists(widths.flatmap(lambda n: st.lists(fields, min_size=n, max_size=n)), max_size=4))
    end = data.draw(st.sampled_from(["\n", "\r\n", "\r", "\n\n"]))
    mark = data.draw(st.sampled_from([",", ", ", ";"]))
    text = end.join(mark.join(row) for row in rows) + data.draw(st.sampled_from(["", end, end + end]))
    assert_alike(text.encode(), signature, loose=loose)


@pytest.mark.parametrize(
    "body",
    ["", "\n", "1,\r2", "1\r2", "1,2\r\n3,4\r\n", "1],[2", "1,2],[3,4", "-0,1", "1,2,", ",1", "1,2\n\n3,4", "1 2"],
)
@pytest.mark.parametrize("loose", [False, True])
def test_odd_bodies_too(body: str, loose: bool) -> None:
    for signature in SIGNATURES:
        assert_alike(body.encode(), signature, loose=loose)


def test_plain_numbers_are_not_looked_at_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "_fields", lambda *_, **__: pytest.fail("the fields were looked at"))
    for body in (b"1,2.5\n3,4\n", bytearray(b"1,2.5\r\n3,4")):
        assert codec.decode(bytes(body), one_input()).inputs["x"].tolist() == [[1, 2.5], [3, 4]]


def test_a_long_integer_stays_what_it_is_beside_a_fraction() -> None:
    signature = taking(spec("a", "int64", ("N", 1)), spec("b", "float32", ("N", 1)))
    assert codec.decode(b"9007199254740993,0.5", signature).inputs["a"].tolist() == [[9007199254740993]]


def test_a_negative_zero_keeps_its_sign() -> None:
    assert np.signbit(codec.decode(b"-0,0", one_input()).inputs["x"]).tolist() == [[True, False]]
