"""One connection: requests of the ordinary kind go the fast way, everything else through uvicorn's parser.

    bytes -> a whole head of the ordinary kind? -> body -> serving.express -> answer
                        | no
                        +-> uvicorn -> ASGI -> FastAPI

Which way is decided anew for each message, at its first byte and only between messages, so the two never
see parts of the same one. Both keep HTTP/1.1's order: while an answer is owed, later bytes wait.
"""

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeAlias

from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from serving.filling import Filling
from serving.room import LARGE_BODY_BYTES

if TYPE_CHECKING:
    from serving.express import Express, Ride
    from serving.invocations import Answer

Fields: TypeAlias = list[tuple[bytes, bytes]]

END_OF_HEAD = b"\r\n\r\n"
# A head that is longer goes the general way; SageMaker's are of some hundred bytes.
MOST_HEAD_BYTES = 4096


class Gate:
    """Where the fast way begins, closed until there is a model to lead to; and what all connections' answers share."""

    def __init__(self) -> None:
        self.express: Express | None = None
        self._heads: dict[tuple[int, str], bytes] = {}
        self._fields: Fields | None = None

    def head(self, status: int, content_type: str, fields: Fields) -> bytes:
        """An answer's head up to its length; made anew when uvicorn's own fields are, each second, for the date."""
        if fields is not self._fields:
            self._fields = fields
            self._heads = {}
        key = (status, content_type)
        if key not in self._heads:
            lines = [_status_line(status), *(b"%b: %b" % field for field in fields)]
            self._heads[key] = b"\r\n".join([*lines, b"content-type: " + content_type.encode(), b"content-length: "])
        return self._heads[key]


class Connection(HttpToolsProtocol):
    """uvicorn's protocol with the fast way in front of it."""

    def __init__(
        self,
        gate: Gate,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._gate = gate
        self._in_message = False  # uvicorn's parser is within one
        self._ride: Ride | None = None  # a request on the fast way
        self._missing = 0  # bytes of its body that have not come; when all have, its answer is owed
        self._pieces: list[bytes] = []
        self._filling: Filling | None = None  # a large body's, while it is being received
        self._sending: Ride | None = None  # the one whose answer is not all sent
        self._unwanted = 0  # bytes to come of a body that has its answer already
        self._ahead = b""  # what came before that answer was written
        self._last = False  # close after it
        self._idle_since = 0.0  # the loop's time when the last answer was written

    def data_received(self, data: bytes) -> None:
        """Take what the socket has."""
        if self._unwanted:
            data = self._drop(data)
        if not data:
            return
        if self._missing and self._ride is not None:
            self._add(self._ride, data)
        elif self._ride is not None or self._ahead:
            self._keep(data)
        elif self._is_between_messages() and (express := self._gate.express) and self._begin(express, data):
            return
        else:
            super().data_received(data)

    def on_message_begin(self) -> None:
        """Called by uvicorn's parser."""
        self._in_message = True
        super().on_message_begin()

    def on_message_complete(self) -> None:
        """Called by uvicorn's parser."""
        self._in_message = False
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone, or the answer that was the last has been sent."""
        if self._ride is not None:
            self._ride.leave()
            self._ride = None
        self._let_go()
        self._pieces, self._ahead, self._filling = [], b"", None
        super().connection_lost(exc)

    def resume_writing(self) -> None:
        """The system has taken what was to be sent."""
        super().resume_writing()
        self._let_go()

    def shutdown(self) -> None:
        """The server stops: finish what is owed, close else."""
        if self._ride is not None:
            self._last = True
        else:
            super().shutdown()

    def _is_between_messages(self) -> bool:
        idle = self.cycle is None or self.cycle.response_complete
        return idle and not self._in_message and not self.flow.write_paused

    def _begin(self, express: "Express", data: bytes) -> bool:
        """Take a message whose whole head is here and of the ordinary kind."""
        end = data.find(END_OF_HEAD, 0, MOST_HEAD_BYTES)
        found = express.find(data[:end]) if end > 0 else None
        if found is None:
            return False
        self._missing, invocation = found
        self._ride = express.ride(invocation, self._respond)
        start = end + len(END_OF_HEAD)
        if self._missing - (len(data) - start) >= LARGE_BODY_BYTES:
            self._reserve(self._ride, memoryview(data)[start:])
        else:
            self._add(self._ride, data[start:])
        return True

    def _reserve(self, ride: "Ride", received: memoryview) -> None:
        """Have the rest of a large body received once there is room for it, and nothing until then."""
        size = self._missing
        self._missing -= len(received)
        self.flow.pause_reading()
        ride.reserve(size, lambda: self._fill(ride, size, received))

    def _fill(self, ride: "Ride", size: int, received: memoryview) -> None:
        """Have the rest of a large body received in place."""
        body = bytearray(size)
        body[: len(received)] = received

        def done(whole: bytes) -> None:
            self._missing, self._filling = 0, None
            ride.start(whole)

        self.flow.resume_reading()
        self._filling = Filling(self.transport, self, body, len(received), done)
        self._filling.begin()

    def _add(self, ride: "Ride", data: bytes) -> None:
        """More of the body; once it is whole it is joined, once, and run."""
        if len(data) > self._missing:
            self._keep(data[self._missing :])
            data = data[: self._missing]
        self._missing -= len(data)
        if self._missing:
            self._pieces.append(data)
            return
        body = b"".join((*self._pieces, data)) if self._pieces else data
        self._pieces = []
        ride.start(body)

    def _keep(self, data: bytes) -> None:
        """Bytes of a later message wait until the answer that is owed is written; the sender, if they are many."""
        self._ahead += data
        if len(self._ahead) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()

    def _let_go(self) -> None:
        ride, self._sending = self._sending, None
        if ride:
            ride.let_go()

    def _give_up(self) -> None:
        """The answer came before the body was whole: what is still to come of it is dropped."""
        self._unwanted, self._missing = self._filling.stop() if self._filling else self._missing, 0
        self._filling = None
        self.flow.resume_reading()

    def _drop(self, data: bytes) -> bytes:
        """What is not of the body that is dropped."""
        dropped = min(self._unwanted, len(data))
        self._unwanted -= dropped
        return data[dropped:]

    def _respond(self, answer: "Answer") -> None:
        """Write the answer, and go on with what came meanwhile."""
        assert self._ride is not None  # it is the one that calls  # noqa: S101
        last = self._last or self._ride.is_last
        self._sending, self._ride = self._ride, None
        self.server_state.total_requests += 1
        self.transport.write(self._written(answer, last=last))
        if self.flow.write_paused:
            self._sending.hold(self.transport.abort)
        else:
            self._let_go()
        if self._missing:
            self._give_up()
        if last:
            self.transport.close()
        elif self._ahead:
            self.loop.call_soon(self._go_on)
        else:
            self._idle_since = self.loop.time()
            self._watch(self.timeout_keep_alive)

    def timeout_keep_alive_handler(self) -> None:
        """Close if nothing has come for so long; one alarm a connection, set anew when it rings too early."""
        self.timeout_keep_alive_task = None
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if self._ride is None and left <= 0:
            super().timeout_keep_alive_handler()
        else:
            self._watch(max(left, self.timeout_keep_alive if self._ride else 0))

    def _watch(self, seconds: float) -> None:
        if self.timeout_keep_alive_task is None:
            self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def _go_on(self) -> None:
        """Take what came meanwhile as if it came now."""
        if not self.transport.is_closing():
            data, self._ahead = self._ahead, b""
            self.flow.resume_reading()
            self.data_received(data)

    def _written(self, answer: "Answer", *, last: bool) -> bytes:
        """The answer as HTTP/1.1 has it."""
        start = self._gate.head(answer.status, answer.content_type, self.server_state.default_headers)
        close = b"\r\nconnection: close" if last else b""
        return b"%b%d%b\r\n\r\n%b" % (start, len(answer.body), close, answer.body)


def _status_line(status: int) -> bytes:
    return f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode()
