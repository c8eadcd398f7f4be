"""The body of a request on the fast way, from the first of its bytes to the last."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from serving.filling import Filling
from serving.room import LARGE_BODY_BYTES

if TYPE_CHECKING:
    import asyncio

    from serving.early import EarlyRide
    from serving.express import Ride


class Arrival:
    """Gathers a body and starts its ride: in pieces that are joined once, or in place if much of it is to come.

    Args:
        transport: the connection's.
        protocol: the connection's own, which gets the bytes unless they are received in place.
        ride: the request's.
        size: of the body, in bytes.
        keep: called with what comes after it.
    """

    def __init__(
        self,
        transport: "asyncio.Transport",
        protocol: "asyncio.Protocol",
        ride: "Ride | EarlyRide",
        size: int,
        keep: Callable[[bytes], None],
    ) -> None:
        self.missing = size
        self._transport = transport
        self._protocol = protocol
        self._ride = ride
        self._keep = keep
        self._pieces: list[bytes] = []
        self._filling: Filling | None = None

    def begin(self, data: bytes) -> None:
        """These bytes came with the head."""
        if self.missing - len(data) >= LARGE_BODY_BYTES:
            self._reserve(data)
        else:
            self.add(data)

    def add(self, data: bytes) -> None:
        """These came, of which the last may be another message's."""
        if len(data) > self.missing:
            self._keep(data[self.missing :])
            data = data[: self.missing]
        self.missing -= len(data)
        self._pieces.append(data)
        if not self.missing:
            body, self._pieces = b"".join(self._pieces), []
            self._ride.start(body)

    def give_up(self) -> int:
        """The answer is there already: how many bytes of the body are still to come, which nobody wants."""
        missing = self._filling.stop() if self._filling else self.missing
        if missing:
            self._transport.resume_reading()
        return missing

    def _reserve(self, received: bytes) -> None:
        """Have the rest of a large body received once there is room for it, and nothing until then."""
        size = self.missing
        self.missing -= len(received)
        self._transport.pause_reading()
        self._ride.reserve(size, lambda: self._fill(size, received))

    def _fill(self, size: int, received: bytes) -> None:
        """Have the rest of a large body received in place."""
        body = bytearray(size)
        body[: len(received)] = received

        def done(whole: bytes) -> None:
            self.missing, self._filling = 0, None
            self._ride.start(whole)

        self._transport.resume_reading()
        self._filling = Filling(self._transport, self._protocol, body, len(received), done)
        self._filling.begin()
