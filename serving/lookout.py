"""Looking whether anybody else is coming before a batch leaves: as many turns of the loop as bring somebody.

That is not a wait: a look finds nothing at once when nobody else is there. It makes batches as large as there are
callers, and steady.
"""

import asyncio
from collections.abc import Callable

# How often the loop may look for further requests before a batch leaves. A look costs some 10 us and is
# taken only while the last one found somebody; the bound is for senders that never pause.
LOOKS = 16


class Lookout:
    """Belongs to the running loop, on which everything here is called.

    Args:
        has_room: whether it makes a difference if more come.
        quiet: called when the loop has gone quiet, or there is no more room.
    """

    def __init__(self, has_room: Callable[[], bool], quiet: Callable[[], None]) -> None:
        self._has_room = has_room
        self._quiet = quiet
        self._loop = asyncio.get_running_loop()
        self._arrivals = 0
        self.is_looking = False
        """Whether `quiet` is going to be called."""

    def saw(self) -> None:
        """Somebody has come."""
        self._arrivals += 1

    def look(self) -> None:
        """Have `quiet` called as soon as the loop is."""
        if not self.is_looking:
            self.is_looking = True
            self._loop.call_soon(self._look, self._arrivals, LOOKS)

    def _look(self, seen: int, looks: int) -> None:
        """Look once more if somebody has come since the last look."""
        if self._arrivals != seen and looks and self._has_room():
            self._loop.call_soon(self._look, self._arrivals, looks - 1)
            return
        self.is_looking = False
        self._quiet()
