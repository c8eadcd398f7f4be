"""Which axes of a module's inputs are free, told by running it with others, and how its outputs go along."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from serving.backends.torch.examples import Example
from serving.backends.torch.tensors import OUTPUT, dtype_name
from serving.signature import Array, Dimension, TensorSpec

# The first axis of all inputs and outputs, where it is free.
BATCH = "batch"
# By how much another axis is made longer: enough for a picture that is too large for its classifier's weights to be so
# after five halvings, and a multiple of what networks that halve and double need.
LONGER = 32

# Runs the module on examples and gives its outputs by name; None where it does not run.
Attempt = Callable[[Mapping[str, Example]], Mapping[str, Array] | None]


@dataclass(frozen=True, slots=True)
class Try:
    """A run with one dimension of another size than the example's, and what came of it."""

    dimension: str
    size: int
    outputs: Mapping[str, Array]


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of one input."""

    name: str
    number: int


def specs(
    base: Mapping[str, Example], outputs: Mapping[str, Array], attempt: Attempt
) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """The inputs and outputs of a module that runs on the example `base` and gives `outputs`."""
    shapes: dict[str, list[Dimension]] = {name: list(example.shape) for name, example in base.items()}
    tries: list[Try] = []
    for dimension, axes, sizes in _candidates(base):
        if any(not isinstance(shapes[axis.name][axis.number], int) for axis in axes):
            continue  # free already, by itself
        made = [(size, attempt(_varied(base, axes, size))) for size in sizes]
        if all(found is not None for _, found in made):
            tries += [Try(dimension, size, found) for size, found in made if found is not None]
            for axis in axes:
                shapes[axis.name][axis.number] = dimension
    inputs = tuple(
        TensorSpec(name, dtype_name(base[name].dtype), tuple(shape), usual=base[name].shape)
        for name, shape in shapes.items()
    )
    return inputs, tuple(_output(name, array, tries) for name, array in outputs.items())


def unknown(names: Mapping[str, Example]) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """Of a module that nothing is known of but its inputs' names and likely types."""
    inputs = tuple(TensorSpec(name, dtype_name(one.dtype), (), any_rank=True) for name, one in names.items())
    return inputs, (TensorSpec(OUTPUT, "float32", (), any_rank=True),)


def _candidates(base: Mapping[str, Example]) -> Iterator[tuple[str, list[Axis], tuple[int, ...]]]:
    """The dimensions that may be free: a name, its axes, and the sizes to try."""
    if all(example.shape for example in base.values()):
        axes = [Axis(name, 0) for name in base]
        rows = {example.shape[0] for example in base.values()}
        if len(rows) == 1:
            yield BATCH, axes, (2,) if rows == {1} else (1, max(rows) + 1)
    every = [Axis(name, number) for name, one in base.items() for number in range(len(one.shape)) if number]
    for axis in every:
        yield f"{axis.name}.{axis.number}", [axis], (_size(base, axis) + LONGER,)
    # Then those of one size together: token ids and their mask are as long as each other.
    for first in every:
        together = [axis for axis in every if _size(base, axis) == _size(base, first)]
        if len(together) > 1 and together[0] == first:
            yield f"{first.name}.{first.number}", together, (_size(base, first) + LONGER,)


def with_one_row(base: Mapping[str, Example]) -> dict[str, Example]:
    """The example with one row, which costs the least to try; empty where its inputs do not have rows in common."""
    if len({example.shape[:1] for example in base.values()}) != 1 or not all(one.shape for one in base.values()):
        return {}
    return {name: example.with_axis(0, 1) for name, example in base.items()}


def _size(base: Mapping[str, Example], axis: Axis) -> int:
    return base[axis.name].shape[axis.number]


def _varied(base: Mapping[str, Example], axes: list[Axis], size: int) -> dict[str, Example]:
    varied = dict(base)
    for axis in axes:
        varied[axis.name] = varied[axis.name].with_axis(axis.number, size)
    return varied


def _output(name: str, array: Array, tries: list[Try]) -> TensorSpec:
    dtype = array.dtype.name
    others = [(one, one.outputs.get(name)) for one in tries]
    if any(other is None or other.ndim != array.ndim for _, other in others):
        return TensorSpec(name, dtype, (), any_rank=True)
    shape: list[Dimension] = list(array.shape)
    for number, size in enumerate(array.shape):
        moved = {one.dimension for one, other in others if other is not None and other.shape[number] != size}
        if moved:
            (first, *more) = sorted(moved)
            follows = all(
                other.shape[number] == one.size for one, other in others if other is not None and one.dimension == first
            )
            shape[number] = first if follows and not more else f"{name}.{number}"
    return TensorSpec(name, dtype, tuple(shape))
