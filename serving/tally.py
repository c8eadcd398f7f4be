"""A histogram's counts: how many values lay where, and their sum."""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate
from math import inf


class Tally:
    """How many values were within each of some bounds; belongs to one thread, or is kept by a lock.

    Args:
        bounds: ascending; a value that is equal to one is within it.
    """

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = (*bounds, inf)
        self._within = [0] * len(self._bounds)
        self.sum = 0.0
        """Of all values."""

    def add(self, value: float) -> None:
        """Count a value."""
        self._within[bisect_left(self._bounds, value)] += 1
        self.sum += value

    def up_to(self) -> list[tuple[float, int]]:
        """Each bound with the number of values that were no larger, the last one being infinity."""
        return list(zip(self._bounds, accumulate(self._within), strict=True))
