"""What runs of a model cost, learned from the runs themselves: the pure core, without a clock of its own."""

from collections.abc import Hashable

# How much dearer the cheapest run seen becomes with each further one: noise (another thread's turn, a page
# fault) passes, a lasting change is believed after some ten runs, for 1.1^10 is 2.6.
FORGETTING = 1.1
# Shapes that are remembered; a caller may send any number of them.
MOST_SHAPES = 1024


class Costs:
    """Seconds of a run by the shape of its rows and their number, to the next power of two."""

    def __init__(self) -> None:
        self._seconds: dict[tuple[Hashable, int], float] = {}

    def learn(self, shape: Hashable, rows: int, seconds: float) -> None:
        """A run of so many rows took so long."""
        place = (shape, _doublings(rows))
        if place not in self._seconds and len(self._seconds) >= MOST_SHAPES:
            self._seconds.clear()
        self._seconds[place] = min(seconds, self._seconds.get(place, seconds) * FORGETTING)

    def expected(self, shape: Hashable, rows: int) -> float | None:
        """Seconds that such a run will take; None where none has been seen."""
        return self._seconds.get((shape, _doublings(rows)))


def _doublings(rows: int) -> int:
    return (rows - 1).bit_length()
