"""Which of several models with the same weights is run, and for how long it has been that one."""

from collections.abc import Callable
from time import monotonic

from serving.mapped import let_go

# After so long the next runs are expected to be of the same kind. To let go takes some 5 ms, and what comes back with
# the next run about as much: a hundredth of this, if the kinds change just after it each time.
SETTLED_SECONDS = 1.0


class Turns:
    """Has memory let go when one of the models has been run for a while, and not the others.

    Called from the lanes' threads at once; that it may be let go twice then does not matter.

    Args:
        let_go: does it.
        clock: seconds that only grow.
    """

    def __init__(self, let_go: Callable[[], object] = let_go, clock: Callable[[], float] = monotonic) -> None:
        self._let_go = let_go
        self._clock = clock
        self._last: int | None = None
        self._since = 0.0
        self._is_settled = False

    def ran(self, which: int) -> None:
        """One of them has made a run: which is told by a number, for to know the model would keep it."""
        if which != self._last:
            self._last, self._since, self._is_settled = which, self._clock(), False
        elif not self._is_settled and self._clock() - self._since >= SETTLED_SECONDS:
            self._is_settled = True
            self._let_go()
