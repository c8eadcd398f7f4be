"""Receiving a large body straight into its place.

Else every piece that the socket has becomes an object of its own, and all of them are joined in the end: twice the
memory, and two copies more. Here the event loop is given the rest of one buffer to read into.
"""

import asyncio
from collections.abc import Callable
from typing import cast


class Filling(asyncio.BufferedProtocol):
    """Stands in for a connection's protocol until the body is whole.

    Args:
        transport: the connection's.
        protocol: to be put back then; it is told all that is none of the body's.
        body: all of it, of which the first `received` bytes are there already.
        done: called with the body, the protocol being back in its place.
    """

    def __init__(
        self,
        transport: asyncio.Transport,
        protocol: asyncio.Protocol,
        body: bytearray,
        received: int,
        done: Callable[[bytes], None],
    ) -> None:
        self._transport = transport
        self._protocol = protocol
        self._body = body
        self._rest = memoryview(body)[received:]
        self._done = done

    def begin(self) -> None:
        """Take the protocol's place."""
        self._change_to(self)

    def stop(self) -> int:
        """Give it back before the body is whole; how many bytes have not come."""
        missing = len(self._rest)
        self._change_to(self._protocol)
        self._release()
        return missing

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the next bytes belong: never beyond the body, so that a later message is not touched."""
        del sizehint
        return self._rest

    def buffer_updated(self, nbytes: int) -> None:
        """So many have come."""
        self._rest = self._rest[nbytes:]
        if not self._rest:
            self._change_to(self._protocol)
            body = self._body
            self._release()
            self._done(cast("bytes", body))  # decoders read either

    def eof_received(self) -> bool | None:
        """The sender will send no more."""
        return self._protocol.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """The sender is gone."""
        self._release()
        self._protocol.connection_lost(exc)

    def pause_writing(self) -> None:
        """The socket's buffer is full."""
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """It has room again."""
        self._protocol.resume_writing()

    def _release(self) -> None:
        """Keep nothing of the body: uvloop keeps this protocol until another such takes its place."""
        self._body = bytearray()
        self._rest = memoryview(self._body)

    def _change_to(self, protocol: asyncio.BaseProtocol) -> None:
        # How bytes are read is settled when reading begins.
        self._transport.pause_reading()
        self._transport.set_protocol(protocol)
        self._transport.resume_reading()
