"""Large requests are cut into parts, and the parts' answers put together again."""

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.errors import DeadlineExceededError, ModelFailedError, ModelRejectedInputError
from serving.parts import Outcome, Part, cut
from serving.signature import Array, Outputs

LABELS = ["a", "b", "c"]


def numbered(rows: int) -> Array:
    return np.arange(3 * rows, dtype=np.float32).reshape(rows, 3)


def answer_to(part: Part) -> Outputs:
    """Of each row its numbers, and its first one's label."""
    rows = part.inputs["x"]
    return {"y": 2 * rows, "labels": [{LABELS[int(row[0]) % 3]: float(row[1])} for row in rows]}


def cut_of(rows: int, most: int) -> tuple[list[Part], list[Outcome]]:
    told: list[Outcome] = []
    return cut(Part({"x": numbered(rows), "z": numbered(rows) + 1}, rows, told.append), most), told


@given(st.integers(2, 200), st.integers(1, 40), st.randoms())
def test_all_rows_come_back_in_order_whatever_the_parts_order(rows: int, most: int, chance: Random) -> None:
    parts, told = cut_of(rows, most)
    sizes = [part.rows for part in parts]
    assert sum(sizes) == rows
    assert max(sizes) <= most
    assert len(parts) == -(-rows // most)
    assert max(sizes) - min(sizes) <= 1
    assert all(len(array) == part.rows for part in parts for array in part.inputs.values())
    for part in chance.sample(parts, len(parts)):
        assert not told
        part.tell(answer_to(part))
    (whole,) = told
    expected = answer_to(Part({"x": numbered(rows)}, rows, told.append))
    assert isinstance(whole, dict)
    assert whole.keys() == expected.keys()
    np.testing.assert_array_equal(whole["y"], expected["y"])
    assert whole["labels"] == expected["labels"]


def test_nothing_is_copied() -> None:
    array = numbered(7)
    parts = cut(Part({"x": array}, 7, print), 3)
    assert all(np.shares_memory(part.inputs["x"], array) for part in parts)
    assert [list(part.inputs["x"][:, 0]) for part in parts] == [[0, 3], [6, 9], [12, 15, 18]]


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_the_first_error_is_the_requests_and_told_once(failing: int) -> None:
    parts, told = cut_of(6, 2)
    error = ModelRejectedInputError("no")
    for index, part in enumerate(parts):
        part.tell(error if index == failing else answer_to(part))
    parts[(failing + 1) % 3].tell(DeadlineExceededError())
    assert told == [error]


@pytest.mark.parametrize("value", [np.zeros((1, 2)), np.float32(1), [{}], None])
def test_an_output_that_has_not_one_element_a_row_is_no_answer(value: object) -> None:
    parts, told = cut_of(4, 2)
    for part in parts:
        part.tell({"y": value})  # type: ignore[dict-item]  # what a model should not give
    (error,) = told
    assert isinstance(error, ModelFailedError)
    assert error.message == "output 'y' of a run of 2 rows is not one element a row"


def test_rows_of_several_shapes_are_no_answer() -> None:
    parts, told = cut_of(4, 2)
    for part, columns in zip(parts, (3, 4), strict=True):
        part.tell({"y": np.zeros((2, columns))})
    (error,) = told
    assert isinstance(error, ModelFailedError)
    assert error.message == "output 'y' has rows of several shapes: [3] and [4]"


def test_texts_are_joined_as_they_are() -> None:
    parts, told = cut_of(4, 2)
    for part, words in zip(parts, (["a", "bc"], ["def", "g"]), strict=True):
        part.tell({"y": np.array(words, dtype=object)})
    (whole,) = told
    assert isinstance(whole, dict)
    assert isinstance(whole["y"], np.ndarray)
    assert whole["y"].tolist() == ["a", "bc", "def", "g"]
