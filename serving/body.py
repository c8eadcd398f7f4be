"""A request's body on the general way: read within the limit, the room that there is, and the time."""

import asyncio
from types import TracebackType
from typing import Self

from starlette.requests import Request

from serving.errors import PayloadTooLargeError
from serving.room import LARGE_BODY_BYTES, Place, Room
from serving.settings import Settings


class Body:
    """To be read within a `with` block that ends when the request has been answered: a large one has its place so long.

    Args:
        request: whose it is.
        settings: the user's.
        room: where it takes its place; None for a body that needs none.
    """

    def __init__(self, request: Request, settings: Settings, room: Room | None) -> None:
        self.request = request
        self._limit = settings.max_payload_bytes
        self._timeout = settings.timeout
        self._room = room
        self._place: Place | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._place and self._room:
            self._room.leave(self._place)

    @property
    def has_place(self) -> bool:
        """Whether it is a large one."""
        return self._place is not None

    async def read(self) -> bytes:
        """All of it, refused by its stated length before it is read, by its real one while it is.

        Raises:
            PayloadTooLargeError: it has more bytes than the limit.
            OverloadedError: it is large, and there was no room in time.
            BodyTimeoutError: it was not whole in time once there was.
            ClientDisconnect: the caller left.
        """
        try:
            async with asyncio.timeout(None) as alarm:
                return await self._read(alarm)
        except TimeoutError:
            if self._place is None:
                raise
            raise self._place.late(self._timeout) from None

    async def _read(self, alarm: asyncio.Timeout) -> bytes:
        stated = self.request.headers.get("content-length", "")
        if stated.isdigit():
            self._check(int(stated))
            await self._reserve(int(stated), int(stated), alarm)
        chunks = []
        received = 0
        async for chunk in self.request.stream():
            received += len(chunk)
            self._check(received)
            chunks.append(chunk)
            await self._reserve(received, self._limit, alarm)
        return b"".join(chunks)

    async def _reserve(self, known: int, size: int, alarm: asyncio.Timeout) -> None:
        """Wait for a place of this size, once so many bytes are known of that they are many."""
        if known < LARGE_BODY_BYTES or self._place or self._room is None:
            return
        given = asyncio.Event()
        place = self._place = self._room.ask(size, given.set)
        loop = asyncio.get_running_loop()
        if not place.is_given:
            alarm.reschedule(loop.time() + place.patience(self._timeout))
            await given.wait()
        alarm.reschedule(loop.time() + place.patience(self._timeout))

    def _check(self, size: int) -> None:
        if size > self._limit:
            raise PayloadTooLargeError(
                f"expected a body of at most {self._limit} bytes (SERVING_MAX_PAYLOAD_MB), got {size} or more"
            )
