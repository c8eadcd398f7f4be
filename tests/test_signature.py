"""What a signature says of itself, and how answers are told apart by rows."""

from typing import Any

import numpy as np
import pytest

from serving.signature import Dimension, Signature, TensorSpec, Value, described_shape, is_per_row, row_count
from signatures import TWO_INPUTS, giving, one_input, sequence, spec, taking


@pytest.mark.parametrize(
    ("tensor", "text"),
    [
        (spec(shape=("batch", 3, 224, 224)), "float32 [batch, 3, 224, 224]"),
        (spec(dtype="string", shape=("N",)), "string [N]"),
        (spec(dtype="int64", shape=()), "int64 []"),
        (sequence(), "seq(map(int64,tensor(float)))"),
    ],
)
def test_a_tensor_describes_itself_for_people(tensor: TensorSpec, text: str) -> None:
    assert tensor.described == text


def test_a_signature_describes_itself_for_machines() -> None:
    assert giving(spec("y", "string", ("N", 2)), sequence()).as_json == {
        "inputs": [{"name": "x", "dtype": "float32", "shape": ["N", 3], "kind": "tensor"}],
        "outputs": [
            {"name": "y", "dtype": "string", "shape": ["N", 2], "kind": "tensor"},
            {"name": "maps", "dtype": "seq(map(int64,tensor(float)))", "shape": [], "kind": "maps"},
        ],
    }


def test_strings_are_held_as_objects() -> None:
    assert spec(dtype="string").numpy_dtype == np.dtype(object)
    assert spec(dtype="uint8").numpy_dtype == np.dtype(np.uint8)


def test_inputs_are_named_in_the_order_of_the_model() -> None:
    assert TWO_INPUTS.input_names == ["a", "b"]


def shaped(*shapes: tuple[Dimension, ...]) -> list[TensorSpec]:
    return [spec(f"t{number}", shape=shape) for number, shape in enumerate(shapes)]


@pytest.mark.parametrize(
    ("signature", "expected"),
    [
        (one_input(), True),
        (one_input(shape=("N",)), True),
        (one_input(shape=(1, 3)), False),
        (one_input(shape=()), False),
        (TWO_INPUTS, True),
        (taking(*shaped(("N", 3), ("M", 3))), True),  # exporters name one axis twice; warm-up finds out
        (taking(*shaped(("N", 3), (1, 3))), False),
        (taking(*shaped(("N", 3), ())), False),
        (giving(*shaped(("N", 3), ("M",))), True),  # warm-up finds out what M is
        (giving(*shaped(("N", 3), ())), False),
        (giving(*shaped((1, 3))), False),
        (giving(sequence()), True),
        (giving(sequence(kind="other")), False),
        (Signature((), (spec(),)), False),
    ],
)
def test_rows_may_ride_together_only_where_every_first_axis_is_free(signature: Signature, *, expected: bool) -> None:
    assert signature.has_batch_axis is expected


@pytest.mark.parametrize(
    ("signature", "expected"),
    [
        (one_input(), True),
        (one_input(shape=("N", "L", 3)), True),
        (giving(*shaped(("N", 1000), ("N",))), True),
        (giving(sequence()), True),
        (giving(*shaped(("N", 3), ("N", "found", 4))), False),
    ],
)
def test_rows_answered_apart_fit_only_where_no_size_is_the_models_to_choose(
    signature: Signature, *, expected: bool
) -> None:
    assert signature.sizes_follow is expected


@pytest.mark.parametrize(
    ("shape", "row"),
    [
        (("N", 3, 4), (3, 4)),
        (("N",), ()),
        ((1, 3), None),
        (("N", "length"), None),
        (("N", 3, "length"), None),
        ((), None),
    ],
)
def test_a_rows_shape_is_told_where_rows_alone_are_free(
    shape: tuple[Dimension, ...], row: tuple[int, ...] | None
) -> None:
    assert spec(shape=shape).row == row


@pytest.mark.parametrize(("shape", "text"), [((), "[]"), ((1,), "[1]"), (("N", 3), "[N, 3]")])
def test_shapes_are_written_as_people_write_them(shape: tuple[Dimension, ...], text: str) -> None:
    assert described_shape(shape) == text


@pytest.mark.parametrize(("shapes", "rows"), [([(4, 3)], 4), ([(2,), (5,)], 2), ([()], 1), ([], 1)])
def test_the_rows_of_a_request_are_the_first_axis_of_its_first_input(shapes: list[tuple[int, ...]], rows: int) -> None:
    assert row_count({str(number): np.zeros(shape) for number, shape in enumerate(shapes)}) == rows


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.zeros((2, 3)), True),
        (np.zeros(2), True),
        (np.zeros((3, 2)), False),
        (np.array(2), False),
        ([{}, {1: 2.0}], True),
        ([{}], False),
        ([np.zeros(2), np.zeros(2)], False),  # a sequence of two tensors, not of two rows
        ({"a": 1, "b": 2}, False),
        (None, False),
    ],
)
def test_which_values_hold_one_element_for_each_of_two_rows(value: Value | Any, *, expected: bool) -> None:  # noqa: ANN401
    assert is_per_row(value, 2) is expected
