"""Requests of several kinds as they wait in front of a server: as many as there are connections, in turn."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from threading import Condition
from typing import Final, TypeAlias

# Which kind is run next, of those that wait, in order.
Order: TypeAlias = Callable[[Sequence[int]], int]


def oldest(waiting: Sequence[int]) -> int:
    """Whoever came first."""
    return waiting[0]


def most(waiting: Sequence[int]) -> int:
    """The kind of which most wait."""
    return max(waiting, key=waiting.count)


ORDERS: Final[Mapping[str, Order]] = {"oldest": oldest, "most": most}


class Stream:
    """Callers with a request each at a time, of kinds that take turns; several threads may take some.

    Args:
        kinds: those of the requests, in their order, which begins anew after the last.
        at_hand: how many callers there are; who waits for a run to end sends nothing new.
        order: one of `ORDERS`.
    """

    def __init__(self, kinds: Sequence[int], at_hand: int, order: str) -> None:
        self._next = cycle(kinds)
        self._order = ORDERS[order]
        self._state = Condition()
        self._waiting: deque[int] = deque()
        self.give_back(at_hand)

    def take(self) -> tuple[int, int]:
        """A kind, and how many requests of it wait, which do so no more; blocks while none wait at all."""
        with self._state:
            self._state.wait_for(lambda: self._waiting)
            kind = self._order(self._waiting)
            taken = self._waiting.count(kind)
            self._waiting = deque(other for other in self._waiting if other != kind)
            return kind, taken

    def give_back(self, rows: int) -> None:
        """So many have been answered, and their callers send the next."""
        with self._state:
            self._waiting.extend(next(self._next) for _ in range(rows))
            self._state.notify_all()
