"""What is made in a thread when it is first needed, and then kept."""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Later(Generic[T]):
    """Makes something once. Belongs to the running loop, which goes on meanwhile.

    Args:
        make: what makes it. What it raises is raised to everyone who asks, for it is not called again.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._making: asyncio.Future[T] | None = None

    @property
    def made(self) -> T | None:
        """It, if it has been made."""
        making = self._making
        if making is None or not making.done() or making.cancelled() or making.exception():
            return None
        return making.result()

    async def get(self) -> T:
        """It, made now if nobody has asked before; whoever leaves while it is made does not stop that."""
        if self._making is None:
            self._making = asyncio.ensure_future(asyncio.to_thread(self._make))
        return await asyncio.shield(self._making)
