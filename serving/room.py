"""The room that large bodies have together, so that many at once are read one after the other, not until memory ends.

    asked -> (waiting) -> given -> left

Pure: no I/O, no clock. A body takes its place before it is read, and leaves it when its request has been answered. Who
finds no room waits in the order in which all came; meanwhile the sender's system keeps what cannot be sent, so waiting
costs nothing here. Deadlines are for those who wait: `serving.express` and `serving.body`.
"""

import sys
from collections.abc import Callable
from typing import NamedTuple

from serving.errors import BodyTimeoutError, OverloadedError, ServingError

# Smaller bodies take no place: as many as may wait (`SERVING_MAX_QUEUE`) have 128 MB together.
LARGE_BODY_BYTES = 128 * 1024
# What bodies may have of the memory that is left when the model is loaded. Until its answer is sent one takes up to 8
# times its size: `0,` is two bytes of JSON, eight of the int64 that is read, four of the model's float32, and as many
# of what it gives back and of how that is written; pictures of uint8 are similar. The other half is for what runs take.
# With a quarter, 40 requests of 24 MB of such numbers exceed the limit of a container of 1 GB; so 400 MB serve them.
SHARE = 1 / 16
# And of each core, be there ever so much memory: a core works on one body, and this is the largest that SageMaker sends
# (25 MB), with something for those behind it.
CORE_BYTES = 32 * 1024 * 1024
# Of that, what those may have that come when there is a body for each core already: a picture's 1.4 MB of JSON five
# times, its array 14 times, which is what the next runs want. More only waits, and as memory (docs/performance.md).
AHEAD_BYTES = 8 * 1024 * 1024
# How much of a request's time its body has to come once there is room for it: less than all, or those who have waited
# behind one that never comes would be late, too.
COMING = 1 / 2


class Extent(NamedTuple):
    """How much room there is: `whole` bytes for all bodies together.

    Of those that come when `working` others are there already, only as many as have `ahead` bytes together.
    """

    whole: int = sys.maxsize
    working: int = 1
    ahead: int = sys.maxsize


def room_for(max_bytes: int, available: int | None, cores: int) -> Extent:
    """What bodies may have: what was set, else by the cores and the memory that is left, in bytes, if that is known."""
    if max_bytes:
        return Extent(max_bytes)
    enough = cores * CORE_BYTES
    # Where nothing is left they are read one by one.
    whole = enough if available is None else min(enough, max(1, int(available * SHARE)))
    return Extent(whole, cores, cores * AHEAD_BYTES)


class Place:
    """A body's part of the room."""

    __slots__ = ("is_ahead", "is_given", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self.is_given = False
        self.is_ahead = False

    def patience(self, timeout: float) -> float:
        """How long to wait for room, and then for the body, in seconds, where a request has so many."""
        return timeout * COMING if self.is_given else timeout

    def late(self, timeout: float) -> ServingError:
        """What is told a request that has waited so long."""
        seconds = self.patience(timeout)
        if self.is_given:
            return BodyTimeoutError(f"expected the whole body within {seconds:g} s")
        return OverloadedError(
            f"expected room for {self.size} bytes of a body within {seconds:g} s, but others have all of it "
            "(SERVING_MAX_BODIES_MB); try again later"
        )


class Room:
    """Who has a place, and who waits for one.

    Args:
        extent: how much room there is; may change, for those who ask from then on.
        max_waiting: how many may wait.
    """

    def __init__(self, extent: Extent, max_waiting: int) -> None:
        self.extent = extent
        self._max_waiting = max_waiting
        self._taken = 0
        self._ahead = 0  # of that, by those that came when there were enough to work on
        self._working = 0  # how many of the others there are
        self._waiting: dict[Place, Callable[[], None]] = {}  # and what tells each that it is given

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    @property
    def taken(self) -> int:
        """Bytes that those who have a place have together."""
        return self._taken

    def ask(self, size: int, given: Callable[[], None]) -> Place:
        """A place for so many bytes; what is more than the whole room gets all of it.

        It may be given at once (`is_given`). Else `given` is called when it is, unless it is left before.
        Raises OverloadedError when too many wait already.
        """
        place = Place(min(size, self.extent.whole))
        if not self._waiting and self._fits(place):
            self._give(place)
        elif len(self._waiting) < self._max_waiting:
            self._waiting[place] = given
        else:
            raise OverloadedError(
                f"{self.waiting} large bodies wait already: expected fewer than {self._max_waiting}; try again later"
            )
        return place

    def leave(self, place: Place) -> None:
        """It is not wanted any more, be it given or not; once for each place."""
        if place.is_given:
            self._count(place, -1)
        else:
            del self._waiting[place]
        while self._waiting and self._fits(first := next(iter(self._waiting))):
            given = self._waiting.pop(first)
            self._give(first)
            given()

    def _fits(self, place: Place) -> bool:
        if self._taken + place.size > self.extent.whole:
            return False
        return self._has_worker or self._ahead + place.size <= self.extent.ahead

    @property
    def _has_worker(self) -> bool:
        return self._working < self.extent.working

    def _give(self, place: Place) -> None:
        place.is_given = True
        place.is_ahead = not self._has_worker
        self._count(place, 1)

    def _count(self, place: Place, sign: int) -> None:
        self._taken += sign * place.size
        if place.is_ahead:
            self._ahead += sign * place.size
        else:
            self._working += sign
