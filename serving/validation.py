"""Holding a request's arrays against the model's signature, before they cost anything."""

import numpy as np

from serving.casting import cast
from serving.codecs.layout import check_names
from serving.errors import EmptyBatchError, WrongDimensionError, WrongRankError, quoted
from serving.signature import Array, Dimension, Inputs, Signature, TensorSpec, described_shape


def validate(inputs: Inputs, signature: Signature) -> Inputs:
    """The arrays as the model takes them: right names, shapes and dtypes, contiguous, aligned, in the model's order.

    Raises:
        BadRequestError: WrongRankError, WrongDimensionError, EmptyBatchError, MissingInputError,
            UnknownInputError, or what `serving.casting.cast` raises.
    """
    check_names(inputs, signature)
    sizes: dict[Dimension, int] = {}
    for spec in signature.inputs:
        _check_shape(inputs[spec.name], spec, sizes)
    return {spec.name: _ready(cast(inputs[spec.name], spec)) for spec in signature.inputs}


def _check_shape(array: Array, spec: TensorSpec, sizes: dict[Dimension, int]) -> None:
    """Check one input; `sizes` remembers what each named dimension was in the inputs before it."""
    shape = array.shape
    if shape and shape[0] and shape[1:] == spec.row and sizes.setdefault(spec.shape[0], shape[0]) == shape[0]:
        return  # as nearly all are
    if not spec.any_rank and array.ndim != len(spec.shape):
        raise WrongRankError(
            f"{_expected(spec)} ({len(spec.shape)} dimensions), got {list(array.shape)} ({array.ndim} dimensions)"
        )
    for axis, (size, wanted) in enumerate(zip(array.shape, spec.shape, strict=not spec.any_rank)):
        if isinstance(wanted, str):
            before = sizes.setdefault(wanted, size)
            if before != size:
                raise WrongDimensionError(
                    f"{_expected(spec)}, got {list(array.shape)}: {quoted(wanted)} is {before} in another input"
                )
        elif size != wanted:
            raise WrongDimensionError(f"{_expected(spec)}, got {list(array.shape)} (dimension {axis})")
    if array.ndim and array.shape[0] == 0:
        raise EmptyBatchError(f"{_expected(spec)} with at least one row, got none")


def _expected(spec: TensorSpec) -> str:
    shape = "an array" if spec.any_rank else f"shape {described_shape(spec.shape)}"
    return f"input {quoted(spec.name)}: expected {shape}"


def _ready(array: Array) -> Array:
    # A .npy file may put numbers at odd addresses.
    flags = array.flags
    return (
        array if flags.carray or (flags.c_contiguous and flags.aligned) else np.require(array, requirements=["C", "A"])
    )
