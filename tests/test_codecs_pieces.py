"""Texts of nests cut into pieces."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn

from properties import MODERATE
from serving.codecs import numbers, pieces

shapes = stn.array_shapes(min_dims=1, max_dims=4, max_side=5)


def cut(text: str, axes: int) -> list[str]:
    return [piece.decode() for piece in pieces.pieces(text.encode(), 0, len(text), axes)]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "PIECE_BYTES", 4)


def test_both_sides_of_a_cut_get_the_brackets_around_it() -> None:
    assert cut("[10,20,30,40,50]", 1) == ["[10,20]", "[30,40]", "[50]"]
    assert cut("[[10,20,30,40],[50]]", 2) == ["[[10]]", "[[20,30]]", "[[40],[50]]"]
    assert cut("[[[10]], [ [20] ] ,[[30]]]", 3) == ["[[[10]]]", "[ [ [20] ] ]", "[[[30]]]"]


@MODERATE
@given(data=st.data(), shape=shapes, indent=st.sampled_from([None, 1]))
def test_every_piece_is_a_nest_and_together_they_have_all_numbers(
    data: st.DataObject, shape: tuple[int, ...], indent: int | None
) -> None:
    array = data.draw(stn.arrays(np.int16, shape))
    found: list[Any] = []
    for piece in cut(json.dumps(array.tolist(), indent=indent), array.ndim):
        found += flat(json.loads(piece))
    assert found == array.ravel().tolist()


def flat(nest: Any) -> list[Any]:  # noqa: ANN401 (a number or a list of such)
    return [number for inner in nest for number in flat(inner)] if isinstance(nest, list) else [nest]


def test_a_text_without_a_comma_where_one_is_looked_for_stays_whole() -> None:
    assert cut("[123456789012345678]", 1) == ["[123456789012345678]"]


def test_brackets_that_are_far_apart_leave_the_body_to_the_general_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numbers, "IN_PIECES", 0)
    body = f"[[1, 2]{' ' * 2 * pieces.NEAR_BYTES}, [3, 4]]"
    assert numbers.read(body.encode()) is None
    assert numbers.read(body.replace(" ", "").encode()) is not None
