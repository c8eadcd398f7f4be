"""A request's arrays are held against the signature: names, shapes, then values."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn

from properties import MODERATE, NUMERIC, THOROUGH, arrays, same
from serving.errors import (
    BadRequestError,
    EmptyBatchError,
    InexactValueError,
    MissingInputError,
    UnknownInputError,
    WrongDimensionError,
    WrongRankError,
)
from serving.signature import Array, Dimension, TensorSpec
from serving.validation import validate
from signatures import TWO_INPUTS, one_input, spec, taking


@pytest.mark.parametrize("dtype", NUMERIC)
@MODERATE
@given(data=st.data())
def test_what_fits_passes_with_its_dtype_and_values(dtype: str, data: st.DataObject) -> None:
    array = data.draw(arrays(dtype, min_side=1))
    signature = one_input(dtype, tuple(f"axis{axis}" for axis in range(array.ndim)))
    assert same(validate({"x": array}, signature)["x"], array)


def test_inputs_come_in_the_order_of_the_model() -> None:
    inputs = validate({"b": np.ones((2, 2), np.int64), "a": np.ones((2, 3))}, TWO_INPUTS)
    assert list(inputs) == ["a", "b"]
    assert inputs["a"].dtype == np.float32


def test_a_missing_and_an_unknown_input_are_named() -> None:
    with pytest.raises(MissingInputError, match="input 'b' is missing: expected 'a', 'b', got 'a'"):
        validate({"a": np.ones((1, 3))}, TWO_INPUTS)
    with pytest.raises(UnknownInputError, match="unknown input 'c': expected 'a', 'b'"):
        validate({"a": np.ones((1, 3)), "b": np.ones((1, 2)), "c": np.ones(1)}, TWO_INPUTS)


@pytest.mark.parametrize(
    ("shape", "wanted", "kind", "text"),
    [
        ((3,), ("N", 3), WrongRankError, "expected shape [N, 3] (2 dimensions), got [3] (1 dimensions)"),
        ((1, 1, 3), ("N", 3), WrongRankError, "got [1, 1, 3] (3 dimensions)"),
        ((), ("N",), WrongRankError, "got [] (0 dimensions)"),
        ((1,), (), WrongRankError, "expected shape [] (0 dimensions), got [1]"),
        ((2, 4), ("N", 3), WrongDimensionError, "expected shape [N, 3], got [2, 4] (dimension 1)"),
        ((2, 3), (1, 3), WrongDimensionError, "got [2, 3] (dimension 0)"),
        ((0, 3), (1, 3), WrongDimensionError, "got [0, 3] (dimension 0)"),
        ((2, 3), ("L", "L"), WrongDimensionError, "'L' is 2 in another input"),
        ((0, 3), ("N", 3), EmptyBatchError, "with at least one row, got none"),
    ],
)
def test_shapes_that_do_not_fit_are_refused_with_both(
    shape: tuple[int, ...], wanted: tuple[Dimension, ...], kind: type[BadRequestError], text: str
) -> None:
    with pytest.raises(kind) as raised:
        validate({"x": np.ones(shape)}, one_input(shape=wanted))
    assert raised.value.message.startswith("input 'x': expected shape ")
    assert text in raised.value.message


def test_an_axis_that_two_inputs_share_has_one_size() -> None:
    with pytest.raises(WrongDimensionError, match=r"input 'b': .*'N' is 3 in another input"):
        validate({"a": np.ones((3, 3)), "b": np.ones((2, 2), np.int64)}, TWO_INPUTS)


def test_shapes_are_checked_before_values() -> None:
    with pytest.raises(WrongRankError):
        validate({"x": np.array([0.5])}, one_input("int64"))
    with pytest.raises(InexactValueError):
        validate({"x": np.array([[0.5, 1, 2]])}, one_input("int64"))


def test_an_axis_other_than_the_first_may_be_empty() -> None:
    assert validate({"x": np.ones((2, 0))}, one_input(shape=("N", "L")))["x"].shape == (2, 0)


def test_an_input_of_any_shape_takes_all_but_no_rows() -> None:
    signature = taking(TensorSpec("x", "float32", (), any_rank=True))
    assert validate({"x": np.ones((2, 3))}, signature)["x"].shape == (2, 3)
    assert validate({"x": np.ones(1)}, signature)["x"].dtype == np.float32
    with pytest.raises(EmptyBatchError, match="'x': expected an array with at least one row"):
        validate({"x": np.ones((0, 3))}, signature)


def test_a_scalar_stays_a_scalar() -> None:
    assert validate({"x": np.array(2.5)}, one_input(shape=()))["x"].shape == ()


@MODERATE
@given(array=arrays("float32", min_dims=2, min_side=1))
def test_the_model_gets_arrays_in_c_order(array: Array) -> None:
    wide = tuple(f"axis{axis}" for axis in range(array.ndim))
    for view in (np.asfortranarray(array), array[::-1], np.repeat(array, 2, axis=-1)[..., ::2]):
        result = validate({"x": view}, one_input(shape=wide))["x"]
        assert result.flags.c_contiguous
        assert same(result, view.copy(order="C"))


@pytest.mark.parametrize("shape", [(2, 3), ()])
def test_the_model_gets_arrays_that_are_aligned(shape: tuple[int, ...]) -> None:
    """A .npy file from a stranger may put its numbers at any address; a model's kernels may not."""
    numbers = np.arange(6, dtype=np.float32)[: int(np.prod(shape))].reshape(shape)
    view = np.frombuffer(b"\0" + numbers.tobytes(), np.float32, numbers.size, 1).reshape(shape)
    assert not view.flags.aligned
    result = validate({"x": view}, one_input(shape=("N", 3) if shape else ()))["x"]
    assert result.flags.aligned
    assert same(result, numbers)


@THOROUGH
@given(
    shapes=st.lists(stn.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3), min_size=2, max_size=2),
    wanted=st.lists(st.lists(st.sampled_from(["N", "L", 1, 2]), max_size=2).map(tuple), min_size=2, max_size=2),
)
def test_a_shape_passes_when_names_can_be_given_sizes_and_not_else(
    shapes: list[tuple[int, ...]], wanted: list[tuple[Dimension, ...]]
) -> None:
    signature = taking(*(spec(name, shape=shape) for name, shape in zip("ab", wanted, strict=True)))
    inputs = {name: np.zeros(shape, np.float32) for name, shape in zip("ab", shapes, strict=True)}
    pairs = [
        (size, want)
        for shape, axes in zip(shapes, wanted, strict=True)
        for size, want in zip(shape, axes, strict=False)
    ]
    sizes = {want: {size for size, other in pairs if other == want} for _, want in pairs}
    fits = (
        all(len(shape) == len(axes) for shape, axes in zip(shapes, wanted, strict=True))
        and all(len(found) == 1 if isinstance(want, str) else found == {want} for want, found in sizes.items())
        and not any(shape and shape[0] == 0 for shape in shapes)
    )
    if fits:
        assert validate(inputs, signature)["b"].shape == shapes[1]
    else:
        with pytest.raises(BadRequestError):
            validate(inputs, signature)
