"""Measuring how a model scales (`serving.scaling`): its runs' seconds by their rows, wide and narrow.

The runs of one size are made while nothing else is, in the moment that their caller gives them, and the quickest
counts: what disturbs a run only ever makes it longer. Both kinds are measured in turns, so that a core that is slow for
a while is slow for both, until a turn confirms what is known.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from time import monotonic
from typing import NamedTuple, Protocol, TypeAlias, TypeVar

from serving.backends import Model
from serving.scaling import Scaling, Seconds
from serving.signature import Inputs

T = TypeVar("T")
# Synthetic inputs of so many rows.
InputsOf: TypeAlias = Callable[[int], Inputs]

# The system takes some milliseconds until it has spread threads over the cores; so many runs are made of short ones,
# one after the other.
RUNS = 8
# The first one also allocates, or finds the caches cold.
LEAST_RUNS = 2
# After so long a size is not run once more, for there will be another turn; and requests wait.
ENOUGH_SECONDS = 0.03
# Of runs that are expected to take longer, each is made by itself, with requests between them.
MOST_SECONDS = 0.04
# Of a single run, on all cores and on one: a larger batch is not tried when it is expected to take longer. MiniLM takes
# 63 ms for 8 rows on one core, and its rate with them is a twenty-fifth more than with 4.
LONGEST_WIDE = 0.04
LONGEST_NARROW = 0.08
# The fewest rows that tell anything of batches are always tried: a large model may live by them all the more.
TOGETHER = 2
# What one number of rows must be ahead of another before it is believed: runs of the same kind differ by as much.
MARGIN = 1.03
# Doublings without a gain after which there will be none: one may be a disturbance.
IDLE_DOUBLINGS = 2
# The most turns, and after how long none is begun. A disturbance of a second passes within them; one that stays is in
# all that is compared.
MOST_TURNS = 4
MOST_TURNS_SECONDS = 2.0


class Alone(Protocol):
    """Has something done while nothing else runs, and gives what it returns."""

    def __call__(self, work: Callable[[], T], /) -> T:
        """Wait for it."""
        ...


class Timing(NamedTuple):
    """Makes one turn of measurements.

    `inputs` makes what is run, `max_rows` are the most rows of it, and `alone` has a size run while nothing else is.
    Of either kind 1, 2, 4 … rows are measured, as long as more of them are faster. Both raise ServingError where the
    model does not run on these inputs.
    """

    inputs: InputsOf
    max_rows: int
    alone: Alone

    def wide(self, model: Model) -> Seconds:
        """Seconds of a run on all cores."""
        return dict(self._sizes(partial(_seconds_of, model), LONGEST_WIDE))

    def narrow(self, model: Model, lanes: int) -> Seconds:
        """Seconds until as many runs at once as there are lanes, each of so many rows, have ended."""
        with ThreadPoolExecutor(lanes) as pool:
            return dict(self._sizes(partial(_at_once, pool, model, lanes), LONGEST_NARROW))

    def _sizes(self, run: Callable[[Inputs], float], longest: float) -> Iterator[tuple[int, float]]:
        """Rows and the seconds of a run of so many; but of two, none is expected to take longer than `longest`."""
        rows, best, idle, expected = 1, 0.0, 0, 0.0
        while rows <= self.max_rows and idle < IDLE_DOUBLINGS and (expected <= longest or rows == TOGETHER):
            of_size = partial(run, self.inputs(rows))
            if expected > MOST_SECONDS:
                seconds = min(self.alone(of_size) for _ in range(LEAST_RUNS))
            else:
                seconds = self.alone(partial(_quickest, of_size))
            yield rows, seconds
            idle = 0 if rows / seconds > best * MARGIN else idle + 1
            best = max(best, rows / seconds)
            expected = 2 * seconds
            rows *= 2


def settled(first: Scaling, measure: Callable[[], Scaling]) -> Scaling:
    """What was measured first, and is measured again until a turn confirms it."""
    found, until = first, monotonic() + MOST_TURNS_SECONDS
    for _ in range(MOST_TURNS):
        turn, known = measure(), found
        found = known.quickest(turn)
        if known.is_confirmed_by(turn) or monotonic() > until:
            break
    return found


def run_at_once(model: Model, lanes: int, inputs: Inputs) -> None:
    """Make as many runs at once as there are lanes. Raises ServingError as `Model.run` does."""
    with ThreadPoolExecutor(lanes) as pool:
        _at_once(pool, model, lanes, inputs)


def _at_once(pool: ThreadPoolExecutor, model: Model, lanes: int, inputs: Inputs) -> float:
    """Seconds until all have ended."""
    started = monotonic()
    for done in [pool.submit(model.run, inputs) for _ in range(lanes)]:
        done.result()
    return monotonic() - started


def _seconds_of(model: Model, inputs: Inputs) -> float:
    """What a run takes."""
    started = monotonic()
    model.run(inputs)
    return monotonic() - started


def _quickest(run: Callable[[], float]) -> float:
    """The least of some runs."""
    times: list[float] = []
    while len(times) < LEAST_RUNS or (len(times) < RUNS and sum(times) < ENOUGH_SECONDS):
        times.append(run())
    return min(times)
