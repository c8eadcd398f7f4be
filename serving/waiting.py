"""Those who await an answer, and the one alarm for all of their deadlines."""

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Generic, Protocol, TypeVar


class Timed(Protocol):
    """A request with a deadline, in monotonic seconds."""

    @property
    def deadline(self) -> float:
        """When its answer is given up."""
        ...


T = TypeVar("T", bound=Timed)


class Waiting(Generic[T]):
    """Requests without an answer, in the order in which they came, which is that of their deadlines.

    Belongs to the running loop, on which everything here is called.

    Args:
        give_up: called with each one whose time is up; it is not waiting any more then.
    """

    def __init__(self, give_up: Callable[[T], None]) -> None:
        self._give_up = give_up
        self._loop = asyncio.get_running_loop()
        self._open: dict[T, None] = {}
        self._alarm: asyncio.TimerHandle | None = None

    def add(self, request: T) -> None:
        """It waits from now on; its deadline is no earlier than any other's."""
        self._open[request] = None
        if self._alarm is None:
            self._set(request.deadline - monotonic())

    def remove(self, request: T) -> bool:
        """It waits no more; False if it did not."""
        if request not in self._open:
            return False
        del self._open[request]
        return True

    def _set(self, seconds: float) -> None:
        self._alarm = self._loop.call_later(seconds, self._ring)

    def _ring(self) -> None:
        """The oldest one's time may be up: give up those whose time is, and set the alarm for the next."""
        now = monotonic()
        late = []
        self._alarm = None
        for request in self._open:
            if request.deadline > now:
                self._set(request.deadline - now)
                break
            late.append(request)
        for request in late:
            self.remove(request)
            self._give_up(request)
