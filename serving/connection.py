r"""One connection: requests of the ordinary kind go the fast way, everything else through uvicorn's parser.

    bytes -> a whole head of the ordinary kind? -> body -> serving.express -> answer
                        | no                  \-> serving.ping ------------/
                        +-> serving.general: uvicorn -> ASGI -> FastAPI

Which way is decided anew for each message, at its first byte and only between messages, so the two never
see parts of the same one. Both keep HTTP/1.1's order: while an answer is owed, later bytes wait.
"""

import asyncio
import logging
from typing import TYPE_CHECKING, cast

from serving.answer import Answer, refused
from serving.arrival import Arrival
from serving.errors import ServingError
from serving.gate import Gate
from serving.ping import is_to_be_kept

if TYPE_CHECKING:
    from serving.early import EarlyRide
    from serving.express import Ride
    from serving.general import Exchange

log = logging.getLogger(__name__)

END_OF_HEAD = b"\r\n\r\n"
# A head that is longer goes the general way; SageMaker's are of some hundred bytes.
MOST_HEAD_BYTES = 4096
# So many bytes of later messages may wait here; uvicorn has as many.
MOST_AHEAD_BYTES = 64 * 1024
# Load balancers, SageMaker's among them, keep connections for 60 s; the side that reuses one must be the
# first to give it up, or requests are lost in the race.
KEEP_ALIVE_SECONDS = 75


class Connection(asyncio.Protocol):
    """What the event loop calls with what the socket has.

    Args:
        gate: what it shares with all others.
        loop: the running one.
        keep_alive: seconds after an answer, after which an idle connection is closed.
    """

    def __init__(self, gate: Gate, loop: asyncio.AbstractEventLoop, keep_alive: float = KEEP_ALIVE_SECONDS) -> None:
        self._gate = gate
        self._loop = loop
        self._keep_alive = keep_alive
        self.transport: asyncio.Transport
        self._exchange: Exchange | None = None  # the general way, once it has been taken
        self._ride: Ride | EarlyRide | None = None  # a request on the fast way
        self._arrival: Arrival | None = None  # its body's, if it has not come with the head
        self._sending: Ride | EarlyRide | None = None  # the one whose answer is not all sent
        self._is_full = False  # the system does not take what is to be sent
        self._unwanted = 0  # bytes to come of a body that has its answer already
        self._ahead = b""  # what came before that answer was written, or before the general way was there
        self._last = False  # close after it
        self._idle_since = 0.0  # the loop's time when the last answer was written
        self._entering: asyncio.Task[None] | None = None  # waits for the general way
        self._alarm: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client is there."""
        self.transport = cast("asyncio.Transport", transport)  # a socket's
        self._gate.enter(self)

    def data_received(self, data: bytes) -> None:
        """Take what the socket has."""
        if self._unwanted:
            data = self._drop(data)
        if not data:
            return
        if self._arrival is not None and self._arrival.missing:
            self._arrival.add(data)
        elif self._ride is not None or self._ahead:
            self._keep(data)
        elif not (self._is_between_messages and self._begin(data)):
            self._pass_on(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone, or the answer that was the last has been sent."""
        self._gate.leave(self)
        if self._alarm is not None:
            self._alarm.cancel()
        if self._ride is not None:
            self._ride.leave()
            self._ride = None
        self._let_go()
        self._arrival, self._ahead = None, b""
        if self._exchange is not None:
            self._exchange.connection_lost(exc)

    def pause_writing(self) -> None:
        """The system does not take what is to be sent."""
        self._is_full = True
        if self._exchange is not None:
            self._exchange.pause_writing()

    def resume_writing(self) -> None:
        """The system has taken what was to be sent."""
        self._is_full = False
        if self._exchange is not None:
            self._exchange.resume_writing()
        self._let_go()

    def shutdown(self) -> None:
        """The server stops: finish what is owed, close else."""
        if self._ride is not None or self._ahead:
            self._last = True
        elif self._exchange is not None:
            self._exchange.shutdown()
        else:
            self.transport.close()

    def abort(self) -> None:
        """Close at once, whatever is owed."""
        self.transport.abort()

    @property
    def _is_between_messages(self) -> bool:
        return not self._is_full and (self._exchange is None or self._exchange.is_between_messages)

    def _begin(self, data: bytes) -> bool:
        """Take a message whose whole head is here and of the ordinary kind."""
        end = data.find(END_OF_HEAD, 0, MOST_HEAD_BYTES)
        if end <= 0:
            return False
        head, start = data[:end], end + len(END_OF_HEAD)
        taken = self._gate.express.take(head, self._respond)
        if taken is not None:
            self._ride, length, is_kept = taken
            self._last = self._last or not is_kept
            self._receive(self._ride, length, data[start:])
            return True
        is_ping_kept = is_to_be_kept(head)
        if is_ping_kept is None:
            return False
        self._ahead = data[start:]
        self._write(self._gate.ping.answer(), last=self._last or not is_ping_kept)
        return True

    def _receive(self, ride: "Ride | EarlyRide", size: int, data: bytes) -> None:
        """Have its body received, of which this is here."""
        if len(data) == size:
            ride.start(data)
        else:
            self._arrival = Arrival(self.transport, self, ride, size, self._keep)
            self._arrival.begin(data)

    def _pass_on(self, data: bytes) -> None:
        """Let the general way take it, which comes into being with the first who needs it."""
        if self._exchange is None:
            general = self._gate.general.made
            if general is None:
                self._keep(data)
                self._entering = self._loop.create_task(self._enter())
                return
            self._exchange = general.exchange(self.transport, self._loop, self._rest)
            if self._is_full:
                self._exchange.pause_writing()
        self._exchange.data_received(data)
        if self._last:
            self._exchange.shutdown()

    async def _enter(self) -> None:
        """Wait until there is a general way, and go on."""
        try:
            await self._gate.general.get()
        except Exception:
            log.exception("what answers unusual requests could not be made")
            if not self.transport.is_closing():
                self._write(refused(ServingError()), last=True)
        else:
            self._go_on()

    def _keep(self, data: bytes) -> None:
        """Bytes of a later message wait until the answer that is owed is written; the sender, if they are many."""
        self._ahead += data
        if len(self._ahead) > MOST_AHEAD_BYTES:
            self.transport.pause_reading()

    def _let_go(self) -> None:
        ride, self._sending = self._sending, None
        if ride:
            ride.let_go()

    def _drop(self, data: bytes) -> bytes:
        """What is not of the body that is dropped."""
        dropped = min(self._unwanted, len(data))
        self._unwanted -= dropped
        return data[dropped:]

    def _respond(self, answer: Answer) -> None:
        """Answer the request on the fast way."""
        assert self._ride is not None  # it is the one that calls  # noqa: S101
        last = self._last or self._ride.is_last
        self._sending, self._ride = self._ride, None
        if self._arrival is not None:
            self._unwanted, self._arrival = self._arrival.give_up(), None
        self._write(answer, last=last)
        if self._is_full:
            self._sending.hold(self.transport.abort)
        else:
            self._let_go()

    def _write(self, answer: Answer, *, last: bool) -> None:
        """Write the answer as HTTP/1.1 has it, and go on with what came meanwhile."""
        start = self._gate.head(answer.status, answer.content_type)
        close = b"\r\nconnection: close" if last else b""
        self.transport.write(b"%b%d%b\r\n\r\n%b" % (start, len(answer.body), close, answer.body))
        if last:
            self.transport.close()
        elif self._ahead:
            self._loop.call_soon(self._go_on)
        else:
            self._rest()

    def _go_on(self) -> None:
        """Take what came meanwhile as if it came now."""
        if not self.transport.is_closing():
            data, self._ahead = self._ahead, b""
            self.transport.resume_reading()
            self.data_received(data)

    def _rest(self) -> None:
        """Nothing is owed: close if nothing comes for so long; one alarm, set anew when it rings too early."""
        self._idle_since = self._loop.time()
        if self._alarm is None:
            self._alarm = self._loop.call_later(self._keep_alive, self._ring)

    def _ring(self) -> None:
        left = self._idle_since + self._keep_alive - self._loop.time()
        is_idle = self._ride is None and not self._ahead and self._is_between_messages
        if is_idle and left <= 0:
            self.transport.close()
        else:
            self._alarm = self._loop.call_later(left if left > 0 else self._keep_alive, self._ring)
