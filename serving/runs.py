"""Making one run, wherever that is done: join -> run -> split; and what runs are known to take."""

from collections.abc import Callable, Hashable, Sequence
from time import monotonic
from typing import TypeAlias

from serving.answer import Answer
from serving.batch import join, split
from serving.costs import Costs
from serving.metrics import Metrics
from serving.signature import Inputs, Outputs

# What runs a batch: a model on all cores, or on one.
Runner: TypeAlias = Callable[[Inputs], Outputs]
# What makes of the outputs of a batch, with the rows of each request, what each of them is told, in order.
Split: TypeAlias = Callable[[Outputs, Sequence[int]], Sequence[Outputs | Answer]]
# What comes of a batch: what each request is told, or what the model raised.
Attempt: TypeAlias = Sequence[Outputs | Answer] | BaseException


class Runs:
    """Called from the loop and from the lanes' threads; what they share is one dict operation each.

    Args:
        metrics: told of every run.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._costs = Costs()

    def attempt(
        self, runner: Runner, shape: Hashable | None, requests: list[Inputs], rows: list[int], splitting: Split = split
    ) -> Attempt:
        """Run requests of so many rows each, together; `shape` is that of their rows, None to learn nothing of it."""
        try:
            started = monotonic()
            outputs = runner(join(requests))
            seconds = monotonic() - started
            self._metrics.batch(sum(rows), seconds)
            if shape is not None:
                self._costs.learn(shape, sum(rows), seconds)
            return splitting(outputs, rows)
        except BaseException as error:  # noqa: BLE001 (whatever it is, its requests must be told)
            return error

    def is_short(self, shape: Hashable | None, rows: int, most: float) -> bool:
        """Whether such a run takes no longer than `most` seconds, as far as earlier ones tell."""
        expected = None if shape is None else self._costs.expected(shape, rows)
        return expected is not None and expected <= most
