"""One signature of a TensorFlow model: its tensors' names, types and shapes, and running it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from serving.errors import ModelFailedError, ModelLoadError, ModelRejectedInputError, ServingError
from serving.signature import STRING, Array, Dimension, Inputs, Outputs, Signature, TensorSpec

# TensorFlow's names are numpy's. Left out: bfloat16 and the quantised types, which numpy does not have,
# and the complex ones, which no format of ours but npy can write.
DTYPES = (
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
    STRING,
)
# What kernels raise for values that they cannot run on: an index outside its table, text that is no number,
# a failed tf.debugging.assert_*; OutOfRange is how some say "past the end". FailedPrecondition is not among
# them: it means a variable or a table that was not initialised, which no request can help.
REJECTIONS = (tf.errors.InvalidArgumentError, tf.errors.OutOfRangeError)

# Takes the inputs' arrays in the signature's order, gives the outputs' (tensors or arrays) in theirs.
Runner = Callable[[Sequence[Array]], Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A signature as it was loaded.

    `changing` are its operations whose weights may change from run to run. `owner` holds the variables, which
    TensorFlow's functions do not keep alive.
    """

    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]
    run: Runner
    changing: Sequence[str]
    owner: object


class TensorFlowModel:
    """One signature of a loaded model; `alternatives` are all of the model's, this one included, by name.

    Text goes in as `str` (or `bytes`, as they are) and comes out as `str`; an output that is not UTF-8, such
    as an encoded picture, stays `bytes`.
    """

    # A graph may hold loops over its inputs' values; and what TensorFlow runs is rarely short.
    is_steady = False

    def __init__(self, name: str, endpoint: Endpoint, alternatives: Mapping[str, "TensorFlowModel"]) -> None:
        self._alternatives = alternatives
        self._signature = Signature(
            tuple(_spec("input", key, tensor) for key, tensor in endpoint.inputs.items()),
            tuple(_spec("output", key, tensor) for key, tensor in endpoint.outputs.items()),
            name,
        )
        self._endpoint = endpoint

    @property
    def signature(self) -> Signature:
        """The names as TensorFlow Serving shows them."""
        return self._signature

    @property
    def alternatives(self) -> Mapping[str, "TensorFlowModel"]:
        """All signatures of the model by name."""
        return self._alternatives

    def run(self, inputs: Inputs) -> Outputs:
        """Run the function.

        Raises:
            ModelRejectedInputError: an operation refused these values.
            ModelFailedError: anything else that went wrong.
        """
        try:
            values = self._endpoint.run([inputs[name] for name in self._signature.input_names])
            arrays = [_array(value) for value in values]
        except ServingError:
            raise
        except REJECTIONS as error:
            raise ModelRejectedInputError from error
        except Exception as error:
            raise ModelFailedError from error
        return dict(zip(self._endpoint.outputs, arrays, strict=True))


def constants(arrays: Iterable[Array], tensors: Iterable[Any]) -> list[Any]:
    """The arrays as TensorFlow's tensors, of the types that the signature has.

    Raises:
        ModelRejectedInputError: a text with half of a surrogate pair, which UTF-8 cannot write.
    """
    pairs = zip(arrays, tensors, strict=True)
    try:
        return [tf.constant(array, tensor.dtype) for array, tensor in pairs]
    except ValueError as error:
        raise ModelRejectedInputError from error


def _array(value: Any) -> Array:  # noqa: ANN401 (a tensor of TensorFlow's, or an array)
    """An array of its own, never a view of the runtime's memory: `EagerTensor.numpy` copies."""
    given = value.numpy() if isinstance(value, tf.Tensor) else value
    # A scalar comes as numpy's number, or as `bytes`, which numpy would make a fixed-length array of.
    array = np.array(given, dtype=object) if isinstance(given, bytes) else np.asarray(given)
    return _text(array) if array.dtype == object else array


def _text(array: Array) -> Array:
    text = np.empty(array.size, dtype=object)
    text[:] = [_decoded(value) for value in array.ravel()]
    return text.reshape(array.shape)


def _decoded(value: bytes) -> str | bytes:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


def _spec(role: str, name: str, tensor: Any) -> TensorSpec:  # noqa: ANN401 (anything with dtype and shape)
    dense = isinstance(tensor, tf.Tensor | tf.TensorSpec)
    dtype = tensor.dtype.name if dense else type(tensor).__name__
    if dtype not in DTYPES:
        raise ModelLoadError(
            f"The model's {role} {name!r} is of type {dtype}. Expected: a dense tensor of one of {', '.join(DTYPES)}. "
            "Cast it inside the model (bfloat16 to float32, say), or save the model with a signature that does."
        )
    if tensor.shape.rank is None:
        return TensorSpec(name, dtype, (), any_rank=True)
    return TensorSpec(name, dtype, _shape(name, tensor.shape.as_list()))


def _shape(name: str, sizes: Sequence[int | None]) -> tuple[Dimension, ...]:
    """The shape with a name of its own for each free axis."""
    return tuple(f"{name}.{axis}" if size is None else size for axis, size in enumerate(sizes))
