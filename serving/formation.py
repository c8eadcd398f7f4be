"""How many runs of a model are made at once, and of how many rows: the pure core of the lanes.

A model may be run *wide*, one run at a time on all cores, or *narrow*, as many runs at once as there are cores
on a single one each. A lone request always wants the first. Under load it depends on the model: weights that are
read once for many rows want large wide batches, and what gains little from batches wants narrow runs, which
never wait for one another. `serving.scaling` is what was measured, `formation_of` what follows from it.
"""

from math import ceil
from typing import NamedTuple

from serving.scaling import Scaling, Seconds, best_rate

# What the most rows may be behind the best and be taken all the same. EfficientNet on one core is at its best with 2
# rows; 4 are 2.5 % behind, and cost the server 1 to 2 % of its rate.
AS_GOOD = 1.02
# How much of narrow runs' time a wide one may take to be preferred under load. Whatever else runs on one of its
# cores, be it the server's own work for other requests, has all threads of a wide run wait; of narrow runs, one.
ADVANTAGE = 0.93
# What another doubling is expected to gain for sizes that were not measured to be taken, too.
GROWING = 1.10


class Run(NamedTuple):
    """What may be started: on all cores or on one, and of how many rows at most."""

    is_wide: bool
    rows: int


class Formation(NamedTuple):
    """What is run at once.

    `lanes` runs of at most `rows` rows each; with `wide_up_to` or fewer requests waiting and nothing
    running, one wide run instead. A formation that is not `divided` has runs of one kind only, called wide.
    Where `rows` are fewer than may ride together, more were measured to gain nothing, or it is being measured.
    """

    lanes: int
    rows: int
    wide_up_to: int = 0
    divided: bool = False

    def next(self, waiting: int, running: int, *, under_way: int, wide_runs: bool) -> Run | None:
        """What to start of so many requests that wait; None for nothing yet.

        Args:
            waiting: how many requests wait.
            running: how many runs are being made.
            under_way: of how many requests those are.
            wide_runs: whether one of them is wide.
        """
        if not self.divided:
            return self._share(waiting, running, under_way, is_wide=True)
        if wide_runs:
            return None
        if not running and waiting <= self.wide_up_to:
            return Run(is_wide=True, rows=max(1, waiting))
        return self._share(waiting, running, under_way, is_wide=False)

    def _share(self, waiting: int, running: int, under_way: int, *, is_wide: bool) -> Run | None:
        """A free lane's part of what waits, and no more than a lane's part of all that are there.

        Else eight callers end up as seven in one lane and one in the other, who wait for one another.
        """
        free = self.lanes - running
        if free <= 0:
            return None
        rows = min(self.rows, ceil(waiting / free), ceil((waiting + under_way) / self.lanes))
        return Run(is_wide=is_wide, rows=max(1, rows))


def formation_of(scaling: Scaling, max_rows: int) -> tuple[Formation, str]:
    """What is best for a model that scales so, and why; batches of at most `max_rows` rows."""
    smooth = scaling.smooth
    rates = f"one run on all cores gives {best_rate(smooth.wide):.0f} rows/s"
    if smooth.narrow:
        rates += f", {smooth.lanes} on one core each {best_rate(smooth.narrow) * smooth.lanes:.0f}"
    wide_up_to = _wide_up_to(smooth)
    if wide_up_to is None:
        rows = _rows_that_pay(scaling.wide, max_rows)
        return Formation(lanes=1, rows=rows), f"{rates}; {_paying(rows, max_rows)}"
    rows = _rows_that_pay(scaling.narrow, max_rows)
    reason = f"{rates}; {_quicker(wide_up_to)}; {_paying(rows, max_rows)}"
    return Formation(scaling.lanes, rows, wide_up_to, divided=True), reason


def _wide_up_to(scaling: Scaling) -> int | None:
    """The most requests, a power of two, that one wide run answers sooner than narrow runs that share them.

    None for any number of them.
    """
    sooner = 0
    for rows, seconds in scaling.wide.items():
        each = _doubled_up(ceil(rows / scaling.lanes))
        if each not in scaling.narrow:
            break
        # A lone request leaves the other cores idle.
        if seconds > scaling.narrow[each] * (ADVANTAGE if rows > 1 else 1):
            return sooner
        sooner = rows
    return None if not scaling.narrow or scaling.lead * ADVANTAGE > 1 else sooner


def _doubled_up(rows: int) -> int:
    """The next power of two."""
    return 1 << (rows - 1).bit_length()


def _rows_that_pay(seconds: Seconds, max_rows: int) -> int:
    """The most rows with which a run is as good as at its best.

    Not the fewest: to take one size too many for a good one costs as good as nothing, to take one too few may cost
    a sixth, and any of the times may be a disturbance's. But one that was slower, for whatever reason, is not taken.
    """
    best, largest = best_rate(seconds), max(seconds)
    if largest == 1:
        return max_rows
    most = max(rows for rows, cost in seconds.items() if rows / cost * AS_GOOD >= best)
    while most >= largest and most < max_rows and 2 * _expected(seconds, most) > _expected(seconds, 2 * most) * GROWING:
        most *= 2
    return min(most, max_rows)


def _expected(seconds: Seconds, rows: int) -> float:
    """Of a size that was not measured: on the line through the fewest and the most rows that were, two at least."""
    fewest, most = min(seconds), max(seconds)
    each = (seconds[most] - seconds[fewest]) / (most - fewest)
    return seconds[most] + each * (rows - most)


def _paying(rows: int, max_rows: int) -> str:
    return f"batches of up to {max_rows} pay" if rows == max_rows else f"batches of more than {rows} gain nothing"


def _quicker(wide_up_to: int) -> str:
    if not wide_up_to:
        return "not even for a lone request is the former quicker"
    return f"{'for a lone request' if wide_up_to == 1 else f'for up to {wide_up_to} at once'} the former is quicker"
