"""A large body is received in place, whatever the pieces, and what follows it is not touched."""

import asyncio
import gc
import os
import weakref
from contextlib import suppress
from typing import Any

import pytest
import uvloop

from serving.filling import Filling

PATIENCE = 10.0


class Receiver(asyncio.Protocol):
    """Has the first bytes received in place, and keeps what comes after them."""

    def __init__(self, size: int, began: asyncio.Event) -> None:
        self.size = size
        self.began = began
        self.body = asyncio.get_running_loop().create_future()
        self.after = bytearray()
        self.lost = asyncio.get_running_loop().create_future()
        self.has_ended = False
        self.paused: list[str] = []

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401 (any kind of transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if self.body.done():
            self.after += data
            return
        body = bytearray(self.size)
        body[: len(data)] = data
        Filling(self.transport, self, body, len(data), self.body.set_result).begin()
        self.began.set()

    def eof_received(self) -> None:
        self.has_ended = True

    def pause_writing(self) -> None:
        self.paused.append("paused")

    def resume_writing(self) -> None:
        self.paused.append("resumed")

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set_result(exc)


async def received(sent: bytes, size: int) -> tuple[Receiver, bytes]:
    """What a receiver makes of this, of which the first bytes come alone."""
    loop = asyncio.get_running_loop()
    receivers: list[Receiver] = []
    began = asyncio.Event()

    def make() -> Receiver:
        receivers.append(Receiver(size, began))
        return receivers[0]

    server = await loop.create_server(make, "127.0.0.1", 0)
    _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(sent[:10])
    await writer.drain()
    await asyncio.wait_for(began.wait(), PATIENCE)
    writer.write(sent[10:])
    writer.write_eof()
    await asyncio.wait_for(receivers[0].lost, PATIENCE)
    writer.close()
    server.close()
    body = receivers[0].body
    return receivers[0], bytes(body.result()) if body.done() else b""


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def runner(request: pytest.FixtureRequest) -> Any:  # noqa: ANN401 (asyncio.Runner, closed at the end)
    with asyncio.Runner(loop_factory=request.param) as made:
        yield made


def test_the_body_is_whole_and_the_next_message_is_the_protocols(runner: asyncio.Runner) -> None:
    body = os.urandom(3 * 1024 * 1024 + 7)
    receiver, got = runner.run(received(body + b"next", len(body)))
    assert got == body
    assert bytes(receiver.after) == b"next"
    assert receiver.has_ended


def test_a_sender_that_leaves_is_told_to_the_protocol(runner: asyncio.Runner) -> None:
    receiver, got = runner.run(received(os.urandom(5000), 6000))
    assert got == b""
    assert receiver.has_ended


def test_flow_control_is_the_protocols(runner: asyncio.Runner) -> None:
    async def told() -> list[str]:
        receiver = Receiver(10, asyncio.Event())
        filling = Filling(Any, receiver, bytearray(10), 0, receiver.body.set_result)  # type: ignore[arg-type]
        filling.pause_writing()
        filling.resume_writing()
        return receiver.paused

    assert runner.run(told()) == ["paused", "resumed"]


@pytest.mark.parametrize("has_left", [False, True], ids=["idle", "left"])
def test_nothing_of_the_body_stays_with_its_connection(runner: asyncio.Runner, *, has_left: bool) -> None:
    """uvloop keeps the last protocol of this kind, and that kept 24 MB for each connection.

    And of who leaves with half of a body sent, the other half was kept until Python's collector came by: after 125 such
    of 20 MB each there were 40 of them.
    """
    size = 1024 * 1024

    class Body(bytearray):
        """One that can be watched."""

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        gone, begun, whole = asyncio.Event(), asyncio.Event(), asyncio.Event()
        transports: list[asyncio.Transport] = []

        class Once(asyncio.Protocol):
            def connection_made(self, transport: Any) -> None:  # noqa: ANN401 (any kind of transport)
                transports.append(transport)
                body = Body(size)
                weakref.finalize(body, gone.set)
                # As with a real connection, what is called in the end leads back to what calls it.
                self.filling = Filling(transport, self, body, 0, self.done)
                self.filling.begin()
                begun.set()

            def done(self, _: bytes) -> None:
                whole.set()

        server = await loop.create_server(Once, "127.0.0.1", 0)
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        try:
            async with asyncio.timeout(PATIENCE):
                await begun.wait()
                writer.write(os.urandom(size // 2 if has_left else size))
                await writer.drain()
                if has_left:
                    writer.transport.abort()
                else:
                    await whole.wait()
                await gone.wait()
            assert transports[0].is_closing() == has_left
        finally:
            # uvloop does not end with any of them open.
            server.close()
            transports[0].abort()
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    gc.disable()
    try:
        runner.run(scenario())
    finally:
        gc.enable()
