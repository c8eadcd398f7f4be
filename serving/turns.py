"""Which of several models with the same weights is run, and for how long it has been that one."""

from collections.abc import Callable

from serving.mapped import let_go

# Runs of one kind after which the next ones are expected to be of that kind, too. To let go takes some 5 ms, and the
# run after it some more.
SETTLED = 256


class Turns:
    """Has memory let go when one of the models has been run for a while, and not the others.

    Called from the lanes' threads at once; that a run in a hundred is not counted then does not matter.

    Args:
        let_go: does it.
    """

    def __init__(self, let_go: Callable[[], object] = let_go) -> None:
        self._let_go = let_go
        self._last: int | None = None
        self._runs = 0

    def ran(self, which: int) -> None:
        """One of them has made a run: which is told by a number, for to know the model would keep it."""
        if which != self._last:
            self._last, self._runs = which, 0
        # Not what is in self._runs after that: another thread may have gone on, past the number.
        runs = self._runs = self._runs + 1
        if runs == SETTLED:
            self._let_go()
