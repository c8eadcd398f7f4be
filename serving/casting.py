"""Bringing the numbers of a request to the model's data types without changing them.

Rule: a number is cast only when no value changes beyond rounding. 3.0 becomes the int64 3, 3.7 is an
error; 0.1 becomes the nearest float32, 1e40 is an error because it would become infinity; 300 does not
fit uint8. Booleans and numbers are different things, except that 0 and 1 may stand for false and true.
"""

from typing import Any

import numpy as np

from serving.errors import InexactValueError, WrongTypeError, quoted
from serving.signature import STRING, Array, TensorSpec

INTEGERS = "iu"
FLOATS = "f"
COMPLEX = "c"
NUMBERS = INTEGERS + FLOATS
# Up to here no two whole numbers share a float64; 2^53 is what 2^53 + 1 becomes when it is read as a float.
EXACT_FLOAT = 2**53 - 1
# Of as many numbers Python looks at each faster than numpy begins to look at all.
FEW = 32
LARGEST: dict[str, float] = {char: float(np.finfo(char).max) for char in np.typecodes["AllFloat"]}
BOOLEAN = "b"
# Fixed-width text and bytes out of .npy files; objects out of JSON and CSV, whose decoders let `str` through and
# `bytes` that came as base64.
TEXT = "USO"


def cast(array: Array, spec: TensorSpec) -> Array:
    """The array with the dtype of `spec`, its shape unchanged; the same array where nothing is to do.

    Raises:
        WrongTypeError: the array's elements are of another sort (text for numbers, or the other way about).
        InexactValueError: some value would change beyond rounding.
    """
    if spec.dtype == STRING:
        return _to_strings(array, spec)
    target = spec.numpy_dtype
    if array.dtype == target:
        return array.astype(target, copy=False)  # also brings big-endian files to this machine's order
    source = array.dtype.kind
    if source in NUMBERS and target.kind in INTEGERS:
        return _exact(array, target, _fits_integer(array, target), spec)
    if (source in NUMBERS and target.kind in FLOATS + COMPLEX) or source == target.kind == COMPLEX:
        return _to_float(array, target, spec)
    if source in NUMBERS and target.kind == BOOLEAN:
        return _exact(array, target, (array == 0) | (array == 1), spec)
    raise WrongTypeError(f"input {quoted(spec.name)}: expected {spec.dtype}, got {_sort(array)}")


def _to_strings(array: Array, spec: TensorSpec) -> Array:
    if array.dtype.kind == "S":
        try:
            return np.char.decode(array, "utf-8").astype(object)
        except UnicodeDecodeError:
            raise WrongTypeError(f"input {quoted(spec.name)}: expected text, got bytes that are not UTF-8") from None
    if array.dtype.kind not in TEXT:
        raise WrongTypeError(f"input {quoted(spec.name)}: expected strings, got {_sort(array)}")
    result = array.astype(object, copy=False)
    try:
        "".join(value for value in result.flat if isinstance(value, str)).encode()  # as the model will read it
    except UnicodeEncodeError:
        raise WrongTypeError(f"input {quoted(spec.name)}: expected text, got halves of surrogate pairs") from None
    return result


def _to_float(array: Array, target: np.dtype[Any], spec: TensorSpec) -> Array:
    if 0 < array.size <= FEW and array.dtype.kind != COMPLEX:
        largest, values = LARGEST[target.char], array.ravel().tolist()
        # NaN fails both comparisons if it comes first; elsewhere min and max pass it over, and it hides no other one.
        if -largest <= min(values) and max(values) <= largest:
            return array.astype(target)
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        result = array.astype(target)
    finite = np.isfinite(result)
    # To count takes a third of the time of `all`.
    if np.count_nonzero(finite) == finite.size:
        return result
    return _checked(array, result, finite | ~np.isfinite(array), spec)


def _exact(array: Array, target: np.dtype[Any], fits: Array, spec: TensorSpec) -> Array:
    _checked(array, array, fits, spec)
    return array.astype(target)


def _checked(array: Array, result: Array, fits: Array, spec: TensorSpec) -> Array:
    if fits.all():
        return result
    offender = array[~fits].flat[0]
    raise InexactValueError(f"input {quoted(spec.name)}: expected values that {spec.dtype} holds, got {offender!s}")


def _fits_integer(array: Array, target: np.dtype[Any]) -> Array:
    """Which elements are whole numbers within the integer type's range; numpy compares with Python ints exactly."""
    limits = np.iinfo(target)
    if array.dtype.kind in INTEGERS:
        return np.asarray((array >= limits.min) & (array <= limits.max))
    with np.errstate(invalid="ignore", over="ignore"):  # extended precision overflows to infinity, which fits nothing
        wide = array.astype(np.float64)
        low, high = max(limits.min, -EXACT_FLOAT), min(limits.max, EXACT_FLOAT)
        return np.asarray((wide == np.trunc(wide)) & (wide >= low) & (wide <= high))


def _sort(array: Array) -> str:
    """What an array holds, in words that a caller of any language understands."""
    if array.dtype.kind in TEXT:
        return "text"
    if array.dtype.kind == BOOLEAN:
        return "booleans"
    return array.dtype.name
