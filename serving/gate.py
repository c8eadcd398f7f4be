"""What all connections share: where each of the ways leads, the heads of answers, and who is connected."""

import asyncio
from functools import lru_cache
from http import HTTPStatus
from time import gmtime, time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from serving.connection import Connection
    from serving.early import Early
    from serving.express import Express
    from serving.general import General
    from serving.later import Later
    from serving.ping import Ping

# RFC 9110, 5.6.7: in English wherever the server is.
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Gate:
    """The ways from the connections.

    Args:
        ping: what `/ping` is answered.
        early: what ordinary invocations are answered until there is a model, and `express`.
        general: the general way, which costs nothing until somebody takes it.
    """

    def __init__(self, ping: "Ping", early: "Early", general: "Later[General]") -> None:
        self.ping = ping
        self.general = general
        self.express: Express | Early = early
        self._connections: set[Connection] = set()
        self._none_left = asyncio.Event()
        self._none_left.set()
        self._heads: dict[tuple[int, str], bytes] = {}
        self._date = b""

    @property
    def connections(self) -> "frozenset[Connection]":
        """Those that are there now."""
        return frozenset(self._connections)

    def enter(self, connection: "Connection") -> None:
        """It is there."""
        self._connections.add(connection)
        self._none_left.clear()

    def leave(self, connection: "Connection") -> None:
        """It is there no more."""
        self._connections.discard(connection)
        if not self._connections:
            self._none_left.set()

    async def empty(self) -> None:
        """Return when there is none left."""
        await self._none_left.wait()

    def head(self, status: int, content_type: str) -> bytes:
        """An answer's head up to its length; made anew each second, for the date."""
        date = date_now()
        if date != self._date:
            self._date = date
            self._heads = {}
        key = (status, content_type)
        if key not in self._heads:
            self._heads[key] = b"HTTP/1.1 %d %b\r\ndate: %b\r\ncontent-type: %b\r\ncontent-length: " % (
                status,
                HTTPStatus(status).phrase.encode(),
                date,
                content_type.encode(),
            )
        return self._heads[key]


def date_now() -> bytes:
    """The field `Date` of an answer: the wall clock's, for others read it."""
    return date_of(int(time()))


@lru_cache(1)
def date_of(second: int) -> bytes:
    """A time in Unix's seconds, as the field `Date` has it."""
    year, month, day, hour, minute, sec, weekday, *_ = gmtime(second)
    text = f"{DAYS[weekday]}, {day:02d} {MONTHS[month - 1]} {year} {hour:02d}:{minute:02d}:{sec:02d} GMT"
    return text.encode()
