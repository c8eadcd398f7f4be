"""Where work is done that would hold the loop up: decoding, validating and encoding of more than a little."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

# Parsing holds Python's lock from its first byte to its last, 1.4 ms for each megabyte of JSON (numbers alone are read
# in pieces, `serving.codecs.pieces`). While several threads wait for it the loop is one of them, and each may take it
# before the loop does; so bodies from here on, of which one takes longer than a turn (5 ms), are parsed one at a time:
# then the loop waits for one parse at most.
HUGE_BYTES = 4 * 1024 * 1024
# For all others. They wait for Python's lock most of the time: with four, image-json is no faster, and what each keeps
# (a parser's buffers, freed memory) is there twice as often.
THREADS = 2


class Offload:
    """Two pools of threads, for long work and for very long work."""

    def __init__(self) -> None:
        self._long = ThreadPoolExecutor(THREADS, "long-work")
        self._huge = ThreadPoolExecutor(1, "very-long-work")

    async def run(self, work: Callable[[], T], size: int) -> T:
        """Have a thread do it; `size` is that of what it is done to, in bytes."""
        pool = self._huge if size >= HUGE_BYTES else self._long
        return await asyncio.get_running_loop().run_in_executor(pool, work)

    def close(self) -> None:
        """Let the threads end; to be called when nobody waits for them any more."""
        for pool in (self._long, self._huge):
            pool.shutdown(wait=False, cancel_futures=True)
