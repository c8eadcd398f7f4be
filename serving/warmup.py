"""Running a model before its first request: synthetic inputs from its signature, and what that teaches.

Two things come of it. The first request finds everything allocated and compiled. And it is tried whether
the answer really is one row a row: two rows run together must give what each gives alone, or requests
are never joined (a model that subtracts the mean of its batch has a free first axis too).
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from math import prod
from random import Random
from time import monotonic
from typing import NamedTuple

import numpy as np

from serving.backends import Model, state_of
from serving.batch import join, split
from serving.errors import ServingError
from serving.signature import STRING, Array, Dimension, Inputs, Outputs, Signature, TensorSpec, Value

log = logging.getLogger(__name__)

# Sizes tried in turn for free axes that are not the batch: tokens, small pictures, ImageNet's pictures.
FREE_SIZES = (8, 32, 224)
# Instead of a size, for an input that takes any shape: a row of it is a single value.
NO_AXIS = 0
# Batches double up to the largest as long as warm-up is within this: readiness must not wait for long.
SECONDS = 5.0
# Seconds of a first run, which also allocates and takes some times as long as others. Two more of less than that are no
# matter for readiness; of more, for requests that would wait for them after it, or for a measurement.
MOMENT_SECONDS, LONG_SECONDS = 0.003, 0.25
# Joint and separate runs may differ by rounding, in bf16 by up to 2^-8 of the largest value; a model that
# mixes its rows differs by far more.
RELATIVE_TOLERANCE = 2.0**-6
ABSOLUTE_TOLERANCE = 1e-6
# Seeds of two rows of which the first begins with the larger number: that a model puts rows in order shows even if
# they are of one number each.
FIRST, SECOND = 0, 1
# Of 32 random bits, float32 holds 24 exactly: rounding none, it makes no 1 of a number below it.
WORD_SURPLUS = 8
FRACTION = np.float32(2.0**-24)


class Untried(NamedTuple):
    """A model that has answered one row, with free axes of this size, and may have `max_rows` if they can be joined."""

    free: int
    answer: Outputs
    max_rows: int


class WarmUp(NamedTuple):
    """What warm-up found.

    `max_rows` is the most rows that a joint run may have, 1 where requests must be kept apart, and `reason`
    is why; `rows` are the batch sizes that were run, in `seconds` altogether, of which the first run took
    `first_seconds`. `untried` is what `conclude` goes on with, where that has been left for later.
    """

    max_rows: int
    reason: str
    rows: tuple[int, ...]
    seconds: float
    first_seconds: float = 0.0
    untried: Untried | None = None

    @property
    def joins(self) -> bool:
        """Whether requests may be joined."""
        return self.max_rows > 1

    @property
    def line(self) -> str:
        """All of it, for the log."""
        rows = ", ".join(map(str, self.rows)) or "no"
        how = "run together" if self.joins else "run one by one"
        return f"in {self.seconds:.2f} s at {rows} rows; requests are {how}: {self.reason}"


def warm_up(model: Model, max_rows: int, seconds: float = SECONDS, *, may_wait: bool = False) -> WarmUp:
    """Run the model at the batch sizes that will be used, up to `max_rows`; never raises for its failure.

    After `seconds` no larger batch is begun; two rows are always tried, unless that `may_wait`, and takes long enough
    to be worth while: then `conclude` does it.

    Synthetic values may be ones that the model cannot run on (an index, a length), so a failure is logged
    and only keeps requests apart.
    """
    started = monotonic()
    if state := state_of(model):
        # Not even run: the first request must find it as it was loaded.
        reason = f"the model keeps something between calls ({state})"
        return WarmUp(max_rows=1, reason=reason, rows=(), seconds=monotonic() - started)
    try:
        free, answer = first_run(model)
    except ServingError:
        reason = "the model does not run on synthetic inputs, so joining could not be tried"
        log.warning("warm-up left out: %s", reason)
        return WarmUp(max_rows=1, reason=reason, rows=(), seconds=monotonic() - started)
    first = monotonic() - started
    untried = Untried(free, answer, max_rows)
    if may_wait and MOMENT_SECONDS < first < LONG_SECONDS and _may_join(model, max_rows):
        return WarmUp(1, "it is tried whether they may be joined", (1,), first, first, untried)
    return _tried(model, untried, started, seconds)._replace(first_seconds=first)


def conclude(model: Model, begun: WarmUp) -> WarmUp:
    """Try what was left for later; does nothing where nothing was."""
    if begun.untried is None:
        return begun
    return _tried(model, begun.untried, monotonic(), seconds=0)._replace(first_seconds=begun.first_seconds)


def _may_join(model: Model, max_rows: int) -> bool:
    return max_rows > 1 and model.signature.has_batch_axis


def _tried(model: Model, untried: Untried, started: float, seconds: float) -> WarmUp:
    """What comes of running more than one row."""
    max_rows, free = untried.max_rows, untried.free
    if not _may_join(model, max_rows):
        reason = "batching is off" if max_rows == 1 else "not every input and output has a free first axis"
        return WarmUp(max_rows=1, reason=reason, rows=(1,), seconds=monotonic() - started)
    obstacle, cost = _obstacle_to_joining(model, free, untried.answer)
    if obstacle:
        return WarmUp(max_rows=1, reason=obstacle, rows=(1, 2), seconds=monotonic() - started)
    rows = [1, 2]
    try:
        for larger in _larger_batches(model, free, max_rows, cost, started + seconds):
            rows.append(larger)  # noqa: PERF402 (those that ran count, though the next may fail)
        reason = "rows run together give what they give alone"
    except ServingError as error:
        max_rows = rows[-1]
        reason = f"rows run together give what they give alone, but more than {max_rows} do not run: {error}"
        log.warning("warm-up: %s", reason)
    return WarmUp(max_rows=max_rows, reason=reason, rows=tuple(rows), seconds=monotonic() - started)


def _larger_batches(model: Model, free: int, max_rows: int, cost: float, deadline: float) -> Iterator[int]:
    """Run batches of 4, 8, 16 … rows as long as the next, at twice the last one's cost, would end in time."""
    rows = 4
    while rows <= max_rows and monotonic() + 2 * cost < deadline:
        started = monotonic()
        model.run(synthesise(model.signature, rows, free))
        cost = monotonic() - started
        yield rows
        rows *= 2


def synthesise(signature: Signature, rows: int, free: int, seed: int = FIRST) -> Inputs:
    """Valid inputs of `rows` rows: numbers in [0, 1), integers 0 and 1 (which index any table), text.

    Free axes but the first get the size that is usual for them, else the size `free`, unless they bear a first one's
    name. An input of any shape has rows of `free` values, or of one where that is NO_AXIS. Equal arguments give equal
    values.
    """
    # Not numpy's own, which would be imported for this alone: 7 MB, and 15 ms before readiness.
    random = Random(seed)  # noqa: S311 (nothing is to be kept secret)
    first = {spec.shape[0] for spec in signature.inputs if spec.shape}
    sizes = {
        name: rows if name in first else spec.usual[axis] if spec.usual else free
        for spec in signature.inputs
        for axis, name in enumerate(spec.shape)
    }
    any_shape = (rows,) if free == NO_AXIS else (rows, free)
    return {
        spec.name: _values(spec, any_shape if spec.any_rank else _sized(spec.shape, sizes), random)
        for spec in signature.inputs
    }


def _sized(shape: Sequence[Dimension], sizes: Mapping[Dimension, int]) -> tuple[int, ...]:
    return tuple(size if isinstance(size, int) else sizes[size] for size in shape)


def _values(spec: TensorSpec, shape: tuple[int, ...], random: Random) -> Array:
    if spec.dtype == STRING:
        return np.full(shape, "a", dtype=object)
    if spec.numpy_dtype.kind in "fc":
        words = np.frombuffer(random.randbytes(4 * prod(shape)), np.uint32)
        return ((words >> WORD_SURPLUS) * FRACTION).reshape(shape).astype(spec.numpy_dtype)
    return (np.frombuffer(random.randbytes(prod(shape)), np.uint8) & 1).reshape(shape).astype(spec.numpy_dtype)


def free_size(model: Model, rows: int = 1, sizes: Sequence[int] = FREE_SIZES) -> int:
    """The first of the sizes for free axes with which the model runs on that many rows of synthetic inputs.

    Raises:
        ServingError: it runs with none of them; this is the last one's error.
    """
    return first_run(model, rows, sizes)[0]


def first_run(model: Model, rows: int = 1, sizes: Sequence[int] = FREE_SIZES) -> tuple[int, Outputs]:
    """That size, and what the model answered. Raises what `free_size` raises."""
    for size in (*sizes, NO_AXIS) if any(spec.any_rank for spec in model.signature.inputs) else sizes:
        try:
            return size, model.run(synthesise(model.signature, rows, size, FIRST))
        except ServingError as error:
            log.info("the model does not run with free axes of %d: %s", size, error)
            failure = error
    raise failure


def _obstacle_to_joining(model: Model, free: int, alone: Outputs) -> tuple[str, float]:
    """Why rows of this model must not run together, empty where they may; and the seconds that two took.

    `alone` is its answer to the first row.
    """
    rows = [synthesise(model.signature, 1, free, seed) for seed in (FIRST, SECOND)]
    try:
        apart = [alone, model.run(rows[1])]
        started = monotonic()
        together = split(model.run(join(rows)), [1, 1])
    except ServingError as error:
        return f"two rows do not run together: {error}", 0.0
    cost = monotonic() - started
    return "" if agree(apart, together) else "two rows run together do not give what each gives alone", cost


def agree(some: Sequence[Outputs], others: Sequence[Outputs]) -> bool:
    """Whether answers are the same but for rounding."""
    return all(_close(one[name], other[name]) for one, other in zip(some, others, strict=True) for name in one)


def _close(one: Value, other: Value) -> bool:
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return one.shape == other.shape and _close_arrays(one, other)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(_close(a, b) for a, b in zip(one, other, strict=True))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_close(np.asarray(one[k]), np.asarray(other[k])) for k in one)
    return one is None and other is None


def _close_arrays(one: Array, other: Array) -> bool:
    if one.dtype.kind not in "fc":
        return bool((one == other).all())
    if not one.size:
        return True
    scale = float(np.max(np.abs(one), initial=0.0, where=np.isfinite(one)))
    tolerance = RELATIVE_TOLERANCE * scale + ABSOLUTE_TOLERANCE
    return bool(np.allclose(one, other, rtol=0.0, atol=tolerance, equal_nan=True))
