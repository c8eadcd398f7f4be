"""Calls that a thread wants made on the event loop, kept until there is one."""

from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import asyncio

T = TypeVar("T")


class Mailbox:
    """Makes calls in the order in which they came."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._kept: list[Callable[[], object]] = []
        self._loop: asyncio.AbstractEventLoop | None = None

    def open(self, loop: "asyncio.AbstractEventLoop") -> None:
        """Have calls made on this loop, those kept so far first."""
        with self._lock:
            for call in self._kept:
                loop.call_soon_threadsafe(call)
            self._kept.clear()
            self._loop = loop

    def call(self, function: Callable[..., object], *arguments: object) -> None:
        """Have a function called, and do not wait. Raises RuntimeError when the loop is closed."""
        with self._lock:
            if self._loop is None:
                self._kept.append(partial(function, *arguments))
            else:
                self._loop.call_soon_threadsafe(function, *arguments)

    def ask(self, function: Callable[..., T], *arguments: object) -> T:
        """Have a function called, on a loop that is there by now, and wait for what it returns or raises."""

        async def called() -> T:
            return function(*arguments)

        return self.run(called()).result()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> "Future[T]":
        """Have a coroutine run, on a loop that is there by now."""
        import asyncio  # noqa: PLC0415 (whoever made the loop has imported it; this thread may be here before)

        assert self._loop is not None  # opened  # noqa: S101
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)
