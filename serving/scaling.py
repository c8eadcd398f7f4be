"""Measuring how a model scales: its runs' seconds by their rows, wide and narrow (`serving.formation`).

The runs of one size are made while nothing else is, in the moment that their caller gives them, and the quickest
counts: what disturbs a run only ever makes it longer.
"""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from time import monotonic
from typing import Protocol, TypeAlias, TypeVar

from serving.backends import Model
from serving.formation import MARGIN
from serving.signature import Inputs

T = TypeVar("T")
# Synthetic inputs of so many rows.
InputsOf: TypeAlias = Callable[[int], Inputs]

# The system takes some milliseconds until it has spread threads over the cores; so many runs are made of short ones,
# one after the other.
RUNS = 8
# The first one also allocates.
LEAST_RUNS = 2
# Of one size's runs: requests wait for them. Of those that are expected to take longer, each is made by itself, with
# requests between them.
MOST_SECONDS = 0.04
# Of a single run, on all cores and on one: a larger batch is not tried when it is expected to take longer. MiniLM takes
# 63 ms for 8 rows on one core, and its rate with them is a twenty-fifth more than with 4.
LONGEST_WIDE = 0.04
LONGEST_NARROW = 0.08
# Doublings without a gain after which there will be none: one may be a disturbance.
IDLE_DOUBLINGS = 2


class Alone(Protocol):
    """Has something done while nothing else runs, and gives what it returns."""

    def __call__(self, work: Callable[[], T], /) -> T:
        """Wait for it."""
        ...


def measure_wide(model: Model, inputs: InputsOf, *, max_rows: int, alone: Alone) -> dict[int, float]:
    """Seconds of a run of 1, 2, 4 … rows up to `max_rows`, as long as more of them are faster.

    Raises:
        ServingError: the model does not run on these inputs.
    """
    return dict(_sizes(partial(seconds_of, model), inputs, max_rows, alone, LONGEST_WIDE))


def measure_narrow(model: Model, lanes: int, inputs: InputsOf, *, max_rows: int, alone: Alone) -> dict[int, float]:
    """The same of as many runs at once as there are lanes, each of so many rows: seconds until all have ended.

    All sizes are measured in two turns: what disturbs one of them has often passed by the other.
    """
    with ThreadPoolExecutor(lanes) as pool:
        run = partial(_at_once, pool, model, lanes)
        found = dict(_sizes(run, inputs, max_rows, alone, LONGEST_NARROW))
        return least(found, dict(_sizes(run, inputs, max(found), alone, LONGEST_NARROW)))


def run_at_once(model: Model, lanes: int, inputs: Inputs) -> None:
    """Make as many runs at once as there are lanes. Raises ServingError as `Model.run` does."""
    with ThreadPoolExecutor(lanes) as pool:
        _at_once(pool, model, lanes, inputs)


def least(seconds: Mapping[int, float], again: Mapping[int, float]) -> dict[int, float]:
    """What was measured, where it was measured again the lesser of both."""
    return {rows: min(cost, again.get(rows, cost)) for rows, cost in seconds.items()}


def _at_once(pool: ThreadPoolExecutor, model: Model, lanes: int, inputs: Inputs) -> float:
    """Seconds until all have ended."""
    started = monotonic()
    for done in [pool.submit(model.run, inputs) for _ in range(lanes)]:
        done.result()
    return monotonic() - started


def seconds_of(model: Model, inputs: Inputs) -> float:
    """What a run takes."""
    started = monotonic()
    model.run(inputs)
    return monotonic() - started


def _sizes(
    run: Callable[[Inputs], float], inputs: InputsOf, max_rows: int, alone: Alone, longest: float
) -> Iterator[tuple[int, float]]:
    """Rows and the seconds of a run of so many, none of which is expected to take longer than `longest`."""
    rows, best, idle, expected = 1, 0.0, 0, 0.0
    while rows <= max_rows and expected <= longest and idle < IDLE_DOUBLINGS:
        of_size = partial(run, inputs(rows))
        if expected > MOST_SECONDS:
            seconds = min(alone(of_size) for _ in range(LEAST_RUNS))
        else:
            seconds = alone(partial(_quickest, of_size))
        yield rows, seconds
        idle = 0 if rows / seconds > best * MARGIN else idle + 1
        best = max(best, rows / seconds)
        expected = 2 * seconds
        rows *= 2


def _quickest(run: Callable[[], float]) -> float:
    """The least of some runs."""
    times: list[float] = []
    while len(times) < LEAST_RUNS or (len(times) < RUNS and sum(times) < MOST_SECONDS):
        times.append(run())
    return min(times)
