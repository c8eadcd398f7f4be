"""How a model scales: what its runs were measured to take, and what of that is to be believed. Pure.

A run takes longer than it needs when something else has one of its cores; nothing makes one shorter. So the
quickest of several counts, for each number of rows. Whether runs on all cores are ahead of those on one core
each is told by turns instead, in each of which both were measured one soon after the other: a processor that
is quicker for a moment, because its neighbours rest, makes either kind look better than it is.
"""

from collections.abc import Mapping
from typing import NamedTuple, Self, TypeAlias

# Seconds of a run by its rows, powers of two.
Seconds: TypeAlias = Mapping[int, float]

# How much quicker a run must be than it was before for this to be news: those of one kind differ by 2 or 3 %.
STEADY = 1.05
# And how much slower for something to be in its way: a client that starts, or another program on one of the cores,
# doubles or trebles it.
DISTURBED = 1.2


class Scaling(NamedTuple):
    """What was measured: `wide` runs of one alone, `narrow` ones of each of `lanes` at once.

    `leads` are those of wide runs in each turn: how many times as many rows a second they gave as narrow ones.
    """

    wide: Seconds
    narrow: Seconds
    lanes: int
    leads: tuple[float, ...] = ()

    @property
    def lead(self) -> float:
        """Of wide runs, as most turns had it: in half of them it was no less. Without narrow runs there is no lead."""
        leads = sorted(self.leads or self._leads)
        return leads[(len(leads) - 1) // 2] if leads else 0.0

    @property
    def _leads(self) -> tuple[float, ...]:
        return (best_rate(self.wide) / (best_rate(self.narrow) * self.lanes),) if self.narrow else ()

    @property
    def smooth(self) -> Self:
        """The same without what can only be a disturbance."""
        return self._replace(wide=smooth(self.wide), narrow=smooth(self.narrow))

    def quickest(self, turn: Self) -> Self:
        """What is known with another turn."""
        wide, narrow = _quickest(self.wide, turn.wide), _quickest(self.narrow, turn.narrow)
        return self._replace(wide=wide, narrow=narrow, leads=self.leads + turn._leads)

    def is_confirmed_by(self, turn: Self) -> bool:
        """Whether it tells nothing new, and was not disturbed."""
        return _is_confirmed(self.wide, turn.wide) and _is_confirmed(self.narrow, turn.narrow)


def smooth(seconds: Seconds) -> dict[int, float]:
    """The same without what can only be a disturbance.

    A batch takes no longer than both of its halves after one another, and no less than either.
    """
    found: dict[int, float] = {}
    for rows, cost in sorted(seconds.items()):
        found[rows] = min(cost, 2 * found.get(rows // 2, cost))
    for rows in sorted(found, reverse=True):
        found[rows] = min(found[rows], found.get(2 * rows, found[rows]))
    return found


def best_rate(seconds: Seconds) -> float:
    """The best rate of one lane, in rows a second; 0 if nothing is known."""
    return max((rows / cost for rows, cost in seconds.items()), default=0.0)


def _quickest(some: Seconds, others: Seconds) -> dict[int, float]:
    """The lesser of both, or the only one."""
    return {
        rows: min(seconds[rows] for seconds in (some, others) if rows in seconds) for rows in sorted({*some, *others})
    }


def _is_confirmed(known: Seconds, turn: Seconds) -> bool:
    return all(rows in known and known[rows] / STEADY <= cost <= known[rows] * DISTURBED for rows, cost in turn.items())
