"""Requests are joined into one run and its answer is split again, each row to its own."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from properties import MODERATE
from serving.batch import join, ride_key, split
from serving.errors import ModelFailedError
from serving.signature import Inputs, Outputs, Value, row_count

counts = st.lists(st.integers(1, 4), min_size=1, max_size=5)


def request_of(rows: int, start: int) -> Inputs:
    numbers = np.arange(start, start + rows)
    return {"a": numbers.astype(np.float32)[:, None] * [1, 10], "b": numbers.astype(str).astype(object)}


@MODERATE
@given(rows=counts)
def test_what_is_joined_and_answered_is_split_into_what_came(rows: list[int]) -> None:
    starts = np.cumsum([0, *rows])
    requests = [request_of(count, int(start)) for count, start in zip(rows, starts, strict=False)]
    together = join(requests)
    assert row_count(together) == sum(rows)
    answers = split(dict(together), rows)
    for request, answer in zip(requests, answers, strict=True):
        assert all(np.array_equal(answer[name], array) for name, array in request.items())


def test_inputs_of_different_numbers_of_rows_ride_with_nobody() -> None:
    assert ride_key({"a": np.ones((2, 3)), "b": np.ones((2, 3))}) is not None
    assert ride_key({"a": np.ones((2, 3)), "b": np.ones((5, 3))}) is None


@MODERATE
@given(rows=counts.filter(lambda rows: len(rows) > 1))
def test_maps_are_split_as_rows_are(rows: list[int]) -> None:
    maps: Value = [{1: number} for number in range(sum(rows))]
    parts = [part["p"] for part in split({"p": maps}, rows)]
    assert [row for part in parts for row in part] == maps  # type: ignore[union-attr]
    assert list(map(len, parts)) == rows  # type: ignore[arg-type]


def test_a_lone_request_is_neither_copied_nor_asked_for_rows() -> None:
    request = request_of(2, 0)
    assert join([request]) is request
    outputs: Outputs = {"total": np.array(1.5), "sequence": [np.zeros(3)], "nothing": None}
    (answer,) = split(outputs, [2])
    assert answer is outputs


@pytest.mark.parametrize("value", [np.array(1.5), np.zeros((3, 2)), [np.zeros(2)] * 4, [{}] * 3, {"a": 1}, None])
def test_an_output_that_is_not_one_element_a_row_cannot_be_split(value: Value) -> None:
    with pytest.raises(ModelFailedError, match="output 'odd' of a batch of 4 rows is not one element a row"):
        split({"rows": np.zeros((4, 2)), "odd": value}, [1, 3])


def test_requests_ride_together_when_all_but_their_rows_agrees() -> None:
    key = ride_key({"a": np.zeros((1, 3), np.float32), "b": np.zeros(1)})
    assert key == ride_key({"a": np.ones((5, 3), np.float32), "b": np.ones(5)})


@pytest.mark.parametrize(
    "other",
    [
        {"a": np.zeros((1, 4), np.float32)},
        {"a": np.zeros((1, 3), np.float64)},
        {"a": np.zeros((1, 3, 1), np.float32)},
        {"a": np.zeros((1, 3), np.float32), "b": np.zeros(1)},
        {"b": np.zeros((1, 3), np.float32)},
    ],
)
def test_requests_of_other_shapes_or_types_do_not_ride_along(other: Inputs) -> None:
    assert ride_key(other) != ride_key({"a": np.zeros((1, 3), np.float32)})
