"""Making one run, wherever that is done: join -> run -> split; and what runs are known to take."""

from collections.abc import Callable, Hashable
from time import monotonic
from typing import TypeAlias

from serving.batch import join, split
from serving.costs import Costs
from serving.metrics import Metrics
from serving.signature import Inputs, Outputs

# What runs a batch: a model on all cores, or on one.
Runner: TypeAlias = Callable[[Inputs], Outputs]
# What comes of a batch: an answer for each request, or what the model raised.
Attempt: TypeAlias = list[Outputs] | BaseException


class Runs:
    """Called from the loop and from the lanes' threads; what they share is one dict operation each.

    Args:
        metrics: told of every run.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._costs = Costs()

    def attempt(self, runner: Runner, shape: Hashable | None, requests: list[Inputs], rows: list[int]) -> Attempt:
        """Run requests of so many rows each, together; `shape` is that of their rows, None to learn nothing of it."""
        try:
            started = monotonic()
            outputs = runner(join(requests))
            seconds = monotonic() - started
            self._metrics.batch(sum(rows), seconds)
            if shape is not None:
                self._costs.learn(shape, sum(rows), seconds)
            return split(outputs, rows)
        except BaseException as error:  # noqa: BLE001 (whatever it is, its requests must be told)
            return error

    def is_short(self, shape: Hashable | None, rows: int, most: float) -> bool:
        """Whether such a run takes no longer than `most` seconds, as far as earlier ones tell."""
        expected = None if shape is None else self._costs.expected(shape, rows)
        return expected is not None and expected <= most
