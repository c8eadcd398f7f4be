"""Numbers are brought to the model's dtype only when none changes beyond rounding; the oracle counts exactly."""

import math
from contextlib import suppress
from fractions import Fraction
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from properties import MODERATE, NUMERIC, THOROUGH, arrays, numeric_arrays, same, texts
from serving.casting import cast
from serving.errors import BadRequestError, InexactValueError, WrongTypeError
from serving.signature import Array, TensorSpec

INTEGERS = [name for name in NUMERIC if "int" in name]
FLOATS = [name for name in NUMERIC if "float" in name]
# The largest up to which no two whole numbers share a float64; JavaScript's Number.MAX_SAFE_INTEGER.
SAFE = 2**53 - 1


def spec(dtype: str) -> TensorSpec:
    return TensorSpec("x", dtype, ("N",))


def cast_one(value: float, source: str, wanted: str) -> Any:  # noqa: ANN401 (a numpy scalar)
    """The one value after the cast; None when it is refused as not exact."""
    try:
        result = cast(np.array([value], dtype=source), spec(wanted))
    except InexactValueError:
        return None
    assert result.dtype == np.dtype(wanted)
    return result[0]


def overflow(wanted: str) -> Fraction:
    """From here on a number rounds to infinity: half a step above the largest finite one."""
    largest = np.finfo(wanted).max
    step = Fraction(float(largest)) - Fraction(float(np.nextafter(largest, np.zeros((), wanted))))
    return Fraction(float(largest)) + step / 2


def is_nearest(exact: Fraction, result: Any) -> bool:  # noqa: ANN401 (a numpy scalar)
    """Whether neither neighbour of the result is closer to the exact number."""
    kind = result.dtype.type
    with np.errstate(over="ignore"):
        neighbours = [np.nextafter(result, kind(-math.inf)), np.nextafter(result, kind(math.inf))]
    error = abs(Fraction(float(result)) - exact)
    return all(error <= abs(Fraction(float(n)) - exact) for n in neighbours if np.isfinite(n))


def edges(wanted: str) -> list[int]:
    limits = np.iinfo(wanted)
    return [limits.min, limits.min - 1, limits.max, limits.max + 1]


EDGES = sorted({edge for name in INTEGERS for edge in edges(name)} | {0, 1, SAFE, SAFE + 1, SAFE + 2, -SAFE - 1})


@pytest.mark.parametrize("wanted", INTEGERS)
@THOROUGH
@given(value=st.sampled_from(EDGES) | st.integers(-(2**63), 2**64 - 1))
def test_an_integer_is_kept_or_refused(wanted: str, value: int) -> None:
    if not -(2**63) <= value < 2**64:
        return
    source = "uint64" if value >= 2**63 else "int64"
    limits = np.iinfo(wanted)
    got = cast_one(value, source, wanted)
    assert (got is None) == (not limits.min <= value <= limits.max)
    assert got is None or int(got) == value


@pytest.mark.parametrize("wanted", INTEGERS)
@THOROUGH
@given(value=st.floats() | st.sampled_from(EDGES).map(float) | st.integers(-300, 300).map(float))
def test_a_float_becomes_an_integer_only_when_it_is_that_integer_for_sure(wanted: str, value: float) -> None:
    limits = np.iinfo(wanted)
    fits = math.isfinite(value) and value.is_integer() and limits.min <= value <= limits.max and abs(value) <= SAFE
    got = cast_one(value, "float64", wanted)
    assert (got is not None) == fits
    assert got is None or int(got) == value


@pytest.mark.parametrize("wanted", FLOATS)
@THOROUGH
@given(value=st.integers(-(2**63), 2**64 - 1) | st.integers(-70_000, 70_000))
def test_an_integer_becomes_the_nearest_float_or_is_refused(wanted: str, value: int) -> None:
    got = cast_one(value, "uint64" if value >= 2**63 else "int64", wanted)
    assert (got is None) == (abs(value) >= overflow(wanted))
    assert got is None or is_nearest(Fraction(value), got)


@pytest.mark.parametrize("wanted", FLOATS)
@THOROUGH
@given(value=st.floats())
def test_a_float_becomes_the_nearest_float_or_is_refused(wanted: str, value: float) -> None:
    got = cast_one(value, "float64", wanted)
    if math.isnan(value):
        assert math.isnan(got)
    elif math.isinf(value):
        assert float(got) == value
    else:
        assert (got is None) == (abs(Fraction(value)) >= overflow(wanted))
        assert got is None or is_nearest(Fraction(value), got)


@pytest.mark.parametrize(
    ("value", "fits"), [(65504.0, True), (65519.9, True), (65520.0, False), (-65520.0, False), (math.inf, True)]
)
def test_float16_overflows_where_rounding_does(value: float, *, fits: bool) -> None:
    assert (cast_one(value, "float64", "float16") is not None) == fits


@pytest.mark.parametrize("around", list(permutations([math.nan, 1.0, 1e40, -1e40], 3)))
def test_one_number_among_others_that_overflows_is_refused(around: tuple[float, ...]) -> None:
    with pytest.raises(InexactValueError, match=r"got -?1e\+40$"):
        cast(np.array(around), spec("float32"))


def test_an_integer_that_passed_through_a_float_is_refused_where_it_may_have_been_another() -> None:
    # JSON's [9007199254740993, 0.5] is one float64 array, in which the first is 9007199254740992.
    assert cast_one(float(2**53 + 1), "float64", "int64") is None
    assert cast_one(float(2**53 - 1), "float64", "int64") == 2**53 - 1


@pytest.mark.parametrize("value", [3.7, math.nan, math.inf, -math.inf, 1e300])
def test_what_is_no_integer_is_refused_with_the_value(value: float) -> None:
    with pytest.raises(InexactValueError, match=r"^input 'x': expected values that int64 holds, got ") as raised:
        cast(np.array([1.0, value]), spec("int64"))
    assert raised.value.message.endswith(str(np.float64(value)))


@pytest.mark.parametrize("source", [name for name in NUMERIC if name != "bool"])
@MODERATE
@given(data=st.data())
def test_zero_and_one_may_stand_for_booleans_and_nothing_else(source: str, data: st.DataObject) -> None:
    array = data.draw(arrays(source))
    if np.isin(array, (0, 1)).all():
        assert same(cast(array, spec("bool")), array.astype(bool))
    else:
        with pytest.raises(InexactValueError):
            cast(array, spec("bool"))


@pytest.mark.parametrize("wanted", [name for name in NUMERIC if name != "bool"])
def test_booleans_are_no_numbers(wanted: str) -> None:
    with pytest.raises(WrongTypeError, match=f"expected {wanted}, got booleans"):
        cast(np.array([True]), spec(wanted))


@pytest.mark.parametrize("wanted", NUMERIC)
@pytest.mark.parametrize(
    "array", [np.array(["1"]), np.array([b"1"]), np.array(["1"], dtype=object)], ids=["str", "bytes", "object"]
)
def test_text_is_no_number(wanted: str, array: Array) -> None:
    with pytest.raises(WrongTypeError, match=f"expected {wanted}, got text"):
        cast(array, spec(wanted))


@pytest.mark.parametrize("source", [*NUMERIC, "complex128"])
def test_numbers_are_no_strings(source: str) -> None:
    with pytest.raises(WrongTypeError, match="expected strings, got "):
        cast(np.ones(2, source), spec("string"))


def test_complex_numbers_are_no_real_ones() -> None:
    with pytest.raises(WrongTypeError, match="expected float32, got complex128"):
        cast(np.array([1j]), spec("float32"))


def test_a_complex_model_takes_real_and_complex_numbers() -> None:
    assert same(cast(np.array([1.5]), spec("complex64")), np.array([1.5 + 0j], np.complex64))
    assert same(cast(np.array([1j]), spec("complex64")), np.array([1j], np.complex64))


@MODERATE
@given(array=numeric_arrays())
def test_the_right_dtype_passes_untouched(array: Array) -> None:
    assert cast(array, spec(array.dtype.name)) is array


@pytest.mark.parametrize("dtype", [name for name in NUMERIC if name not in ("int8", "uint8", "bool")])
@MODERATE
@given(data=st.data())
def test_big_endian_numbers_come_out_in_the_order_of_this_machine(dtype: str, data: st.DataObject) -> None:
    array = data.draw(arrays(dtype))
    result = cast(array.astype(array.dtype.newbyteorder(">")), spec(dtype))
    assert result.dtype.isnative
    assert same(result, array)


@pytest.mark.parametrize("shape", [(), (0,), (0, 3), (2, 0)])
@pytest.mark.parametrize("wanted", NUMERIC)
def test_the_shape_is_kept_even_where_there_is_nothing(shape: tuple[int, ...], wanted: str) -> None:
    result = cast(np.zeros(shape, np.float64), spec("float32" if wanted == "bool" else wanted))
    assert result.shape == shape


def test_extended_precision_is_read_without_a_warning() -> None:
    with pytest.raises(InexactValueError):
        cast(np.array([np.longdouble("1e4000")]), spec("int64"))
    assert same(cast(np.array([np.longdouble(3)]), spec("int64")), np.array([3]))


@MODERATE
@given(text=texts())
def test_text_of_every_sort_becomes_python_strings(text: str) -> None:
    trimmed = text.rstrip("\0")  # numpy's fixed-width text cannot hold NULs at the end
    for array in (np.array([[trimmed]]), np.array([[trimmed.encode()]]), np.array([[text]], dtype=object)):
        result = cast(array, spec("string"))
        assert result.dtype == object
        assert result.tolist() == [[text if array.dtype == object else trimmed]]


def test_bytes_that_are_not_utf8_are_refused() -> None:
    with pytest.raises(WrongTypeError, match="not UTF-8"):
        cast(np.array([b"\xff"]), spec("string"))


@pytest.mark.parametrize("array", [np.array(["\ud800"]), np.array(["\ud800"], dtype=object)], ids=["str", "object"])
def test_half_a_surrogate_pair_is_no_text_that_a_model_could_read(array: Array) -> None:
    with pytest.raises(WrongTypeError, match="expected text"):
        cast(array, spec("string"))


@THOROUGH
@given(
    array=numeric_arrays() | st.sampled_from(["S3", "U3", "M8[s]", "c8", "f2"]).map(lambda t: np.zeros(2, t)),
    wanted=st.sampled_from([*NUMERIC, "string"]),
)
def test_a_cast_gives_the_dtype_and_the_shape_or_a_bad_request(array: Array, wanted: str) -> None:
    with suppress(BadRequestError):
        result = cast(array, spec(wanted))
        assert result.dtype == spec(wanted).numpy_dtype
        assert result.shape == array.shape
