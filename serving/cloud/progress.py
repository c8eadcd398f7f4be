"""How far it is, told where it takes long: every ten percent, and never more often than every two seconds."""

import time
from collections.abc import Callable
from typing import IO

Say = Callable[[str], None]

PERCENT = 100
STEP = 10
# What is done within it needs no words.
QUIET_SECONDS = 2.0


class Progress:
    """Called with how many bytes more are done, it tells how many percent of `total` that makes."""

    def __init__(self, say: Say, doing: str, total: int) -> None:
        self._say = say
        self._doing = doing
        self._total = max(total, 1)
        self._done = 0
        self._told = 0
        self._last = time.monotonic()

    def __call__(self, more: int) -> None:
        """Count these bytes in."""
        self._done += more
        percent = self._done * PERCENT // self._total
        if percent < self._told + STEP or time.monotonic() < self._last + QUIET_SECONDS:
            return
        self._told, self._last = percent - percent % STEP, time.monotonic()
        self._say(f"{self._doing} {self._told} % of {self._total:,} bytes")


class Counted:
    """A stream whose reads are counted into a progress; it has what `tarfile` asks of one."""

    def __init__(self, stream: IO[bytes], progress: Progress) -> None:
        self._stream = stream
        self._progress = progress

    def read(self, size: int = -1, /) -> bytes:
        """As the stream itself."""
        data = self._stream.read(size)
        self._progress(len(data))
        return data
