"""What the property tests share: how many examples they try, and the arrays that they draw."""

from typing import Any, Final

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn

from serving.signature import Array

MODERATE: Final = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""No deadline: a test must not fail because its machine is busy."""
THOROUGH: Final = settings(MODERATE, max_examples=150)
"""For the input that anybody may send."""

NUMERIC: Final = (
    "float16",
    "float32",
    "float64",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "bool",
)
"""Every element type that ONNX Runtime and numpy share, but strings."""


def arrays(dtype: str, *, min_dims: int = 0, min_side: int = 0, max_dims: int = 3) -> st.SearchStrategy[Array]:
    """Arrays of `dtype` of any small shape and any values, NaN and infinities included."""
    return stn.arrays(np.dtype(dtype), stn.array_shapes(min_dims=min_dims, max_dims=max_dims, min_side=min_side))


def numeric_arrays(*, min_dims: int = 0, min_side: int = 0) -> st.SearchStrategy[Array]:
    """Arrays of any of the NUMERIC types."""
    return st.sampled_from(NUMERIC).flatmap(lambda dtype: arrays(dtype, min_dims=min_dims, min_side=min_side))


RUN_ROWS: Final = (1, 2, 4, 8, 16, 32)
"""The sizes that runs are measured with."""


def run_seconds() -> st.SearchStrategy[dict[int, float]]:
    """Seconds of runs by their rows, of the first of RUN_ROWS."""
    costs = st.lists(st.floats(1e-4, 1.0), min_size=1, max_size=len(RUN_ROWS))
    return costs.map(lambda values: dict(zip(RUN_ROWS, values, strict=False)))


def texts() -> st.SearchStrategy[str]:
    """Any text that UTF-8 can write, NUL and all line ends included."""
    return st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


def text_arrays(*, min_dims: int = 0, min_side: int = 0, max_dims: int = 2) -> st.SearchStrategy[Array]:
    """Arrays of strings as a model takes and gives them: of objects."""
    shapes = stn.array_shapes(min_dims=min_dims, max_dims=max_dims, min_side=min_side, max_side=4)
    return stn.arrays(np.dtype(object), shapes, elements=texts(), fill=st.nothing())


def same(one: Any, other: Array) -> bool:  # noqa: ANN401 (whatever came back)
    """Equal dtype, shape and values; a NaN equals a NaN."""
    return (
        isinstance(one, np.ndarray)
        and one.dtype == other.dtype
        and one.shape == other.shape
        and bool(np.array_equal(one, other, equal_nan=other.dtype.kind in "fc"))
    )
