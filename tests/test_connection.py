"""A connection's own life: kept while it is used, closed when it is idle, finished when the server stops."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from threading import Event
from typing import Any

import pytest
import uvloop

from harness.asgi import in_state
from serving.answer import Answer
from serving.connection import Connection
from serving.gate import Gate
from serving.general import General
from serving.later import Later
from serving.lifecycle import State
from serving.ping import Application, Ping

PATIENCE = 30.0
IDLE_SECONDS = 0.3
REQUEST = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi"


class Rides:
    """The fast way with answers that come when a test says so; unless it `waits`, at once and as the body was."""

    def __init__(self) -> None:
        self.waits = False
        self.is_last = False
        self.bodies: list[bytes] = []
        self.left = asyncio.Event()
        self.started = asyncio.Event()
        self.asked = asyncio.Event()
        self.has_room = False
        self.held = asyncio.Event()
        self.gone = asyncio.Event()

    def take(self, head: bytes, respond: Callable[[Answer], None]) -> "tuple[Rides, int, bool] | None":
        if not head.startswith(b"POST") or b"TE: " in head:
            return None
        self.respond = respond
        return self, int(head.rpartition(b":")[2]), b"close" not in head

    def reserve(self, size: int, begin: Callable[[], None]) -> None:
        self.size, self.begin = size, begin
        self.asked.set()
        if self.has_room:
            begin()

    def hold(self, abort: Callable[[], None]) -> None:
        self.abort = abort
        self.held.set()

    def let_go(self) -> None:
        self.gone.set()

    def start(self, body: bytes) -> None:
        self.bodies.append(body)
        self.started.set()
        if not self.waits:
            self.respond(Answer(body, "text/plain"))

    def leave(self) -> None:
        self.left.set()


Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def connected(
    rides: Rides, make: Callable[[Application], General] = General
) -> AsyncIterator[tuple[Gate, Streams]]:
    """A client's connection to a server with those rides; `make` is called where the general way is needed."""

    async def general(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 (ASGI's own)
        """What heads that come in pieces get: the same answer."""
        del scope
        body = (await receive())["body"]
        fields = [(b"content-length", b"2"), (b"content-type", b"text/plain")]
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        await send({"type": "http.response.body", "body": body})

    gate = Gate(Ping(in_state(State.READY)), rides, Later(lambda: make(general)))  # type: ignore[arg-type]  # what a connection needs of it
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(gate, loop, IDLE_SECONDS), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    async with asyncio.timeout(PATIENCE):
        yield gate, (reader, writer)
    writer.close()
    server.close()


async def answer(reader: asyncio.StreamReader) -> bytes:
    """The head and the two bytes of the body."""
    head = await reader.readuntil(b"\r\n\r\n")
    return head + await reader.readexactly(2)


def test_a_connection_that_is_used_is_kept_and_an_idle_one_closed() -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        async with connected(Rides()) as (_, (reader, writer)):
            began = loop.time()
            while loop.time() < began + 2 * IDLE_SECONDS:
                writer.write(REQUEST)
                assert (await answer(reader)).endswith(b"hi")
            idle = loop.time()
            assert await reader.read() == b""
            assert loop.time() - idle > IDLE_SECONDS / 2

    asyncio.run(scenario())


def test_a_connection_with_an_answer_owed_is_not_idle() -> None:
    async def scenario() -> None:
        rides = Rides()
        async with connected(rides) as (_, (reader, writer)):
            writer.write(REQUEST)
            await answer(reader)
            rides.waits = True
            rides.started.clear()
            writer.write(REQUEST)
            await rides.started.wait()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(reader.readexactly(1), 2 * IDLE_SECONDS)
            rides.respond(Answer(b"ok", "text/plain"))
            assert (await answer(reader)).endswith(b"ok")

    asyncio.run(scenario())


@pytest.mark.parametrize("by", ["the server", "the ride"])
def test_a_stop_waits_for_the_answer_that_is_owed(by: str) -> None:
    async def scenario() -> None:
        rides = Rides()
        rides.waits = True
        async with connected(rides) as (gate, (reader, writer)):
            writer.write(REQUEST)
            await rides.started.wait()
            if by == "the server":
                for connection in gate.connections:
                    connection.shutdown()
            else:
                rides.is_last = True
            rides.respond(Answer(b"ok", "text/plain"))
            last = await answer(reader)
            assert b"\r\nconnection: close\r\n" in last
            assert last.endswith(b"ok")
            assert await reader.read() == b""

    asyncio.run(scenario())


def test_an_idle_connection_is_closed_at_a_stop() -> None:
    async def scenario() -> None:
        async with connected(Rides()) as (gate, (reader, writer)):
            writer.write(REQUEST)
            await answer(reader)
            for connection in list(gate.connections):
                connection.shutdown()
            assert await reader.read() == b""

    asyncio.run(scenario())


def test_the_ride_of_a_client_that_leaves_is_told() -> None:
    async def scenario() -> None:
        rides = Rides()
        rides.waits = True
        async with connected(rides) as (gate, (_, writer)):
            writer.write(REQUEST)
            await rides.started.wait()
            writer.close()
            await rides.left.wait()
            assert not gate.connections

    asyncio.run(scenario())


def test_many_bytes_ahead_stop_the_reading_until_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        rides = Rides()
        rides.waits = True
        many = 3000
        async with connected(rides) as (gate, (reader, writer)):
            writer.write(REQUEST)
            await rides.started.wait()
            paused = asyncio.Event()
            (connection,) = gate.connections
            monkeypatch.setattr(connection.transport, "pause_reading", paused.set)
            monkeypatch.setattr(connection.transport, "resume_reading", lambda: None)
            writer.write(REQUEST * (many - 1))
            await paused.wait()
            rides.waits = False
            rides.respond(Answer(b"hi", "text/plain"))
            for _ in range(many):
                await answer(reader)
            assert set(rides.bodies) == {b"hi"}

    asyncio.run(scenario())


BODY = b"".join(b"%8d" % number for number in range(100_000))
LARGE = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(BODY)
REFUSED = Answer(b"no", "text/plain", 503)


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def runner(request: pytest.FixtureRequest) -> Any:  # noqa: ANN401 (asyncio.Runner, closed at the end)
    with asyncio.Runner(loop_factory=request.param) as made:
        yield made


@pytest.mark.parametrize("first", [0, 1000, 300_000])
def test_a_large_body_is_read_once_there_is_room_for_it(runner: asyncio.Runner, first: int) -> None:
    async def scenario() -> None:
        rides = Rides()
        rides.waits = True
        async with connected(rides) as (_, (reader, writer)):
            writer.write(LARGE + BODY[:first])
            await rides.asked.wait()
            assert rides.size == len(BODY)
            writer.write(BODY[first:] + REQUEST)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(rides.started.wait(), IDLE_SECONDS)
            rides.begin()
            await rides.started.wait()
            assert rides.bodies == [BODY]
            rides.waits = False
            rides.respond(Answer(b"ok", "text/plain"))
            assert (await answer(reader)).endswith(b"ok")
            assert (await answer(reader)).endswith(b"hi")

    runner.run(scenario())


@pytest.mark.parametrize("has_room", [True, False])
def test_what_comes_of_a_body_that_has_its_answer_is_dropped(runner: asyncio.Runner, has_room: bool) -> None:
    async def scenario() -> None:
        rides = Rides()
        rides.has_room = has_room
        async with connected(rides) as (_, (reader, writer)):
            for end in (1000, len(BODY) - 1000):
                rides.asked.clear()
                writer.write(LARGE + BODY[:end])
                await rides.asked.wait()
                rides.respond(REFUSED)
                assert (await answer(reader)).startswith(b"HTTP/1.1 503 ")
                # The rest of it looks like a request, and is none.
                writer.write(REQUEST[: len(BODY) - end] + BODY[end + len(REQUEST) :])
                writer.write(REQUEST)
                assert (await answer(reader)).endswith(b"hi")
            assert rides.bodies == [b"hi", b"hi"]

    runner.run(scenario())


def test_a_client_that_leaves_while_it_waits_is_noticed_in_its_turn(runner: asyncio.Runner) -> None:
    async def scenario() -> None:
        rides = Rides()
        async with connected(rides) as (gate, (_, writer)):
            writer.write(LARGE)
            await rides.asked.wait()
            writer.close()
            await writer.wait_closed()
            rides.begin()
            await rides.left.wait()
            assert not gate.connections

    runner.run(scenario())


def test_an_answer_is_out_of_hand_when_it_is_taken(runner: asyncio.Runner) -> None:
    async def scenario() -> None:
        rides = Rides()
        async with connected(rides) as (_, (reader, writer)):
            writer.write(REQUEST)
            await answer(reader)
            await rides.gone.wait()
            assert not rides.held.is_set()
            rides.gone.clear()
            rides.started.clear()
            rides.waits = True
            writer.write(REQUEST)
            await rides.started.wait()
            large = b"a" * 20_000_000
            rides.respond(Answer(large, "text/plain"))
            await rides.held.wait()
            assert not rides.gone.is_set()
            await reader.readuntil(b"\r\n\r\n")
            assert await reader.readexactly(len(large)) == large
            await rides.gone.wait()

    runner.run(scenario())


def test_an_answer_that_is_never_taken_is_out_of_hand_when_it_is_given_up(runner: asyncio.Runner) -> None:
    async def scenario() -> None:
        rides = Rides()
        rides.waits = True
        async with connected(rides) as (gate, (_, writer)):
            writer.write(REQUEST)
            await rides.started.wait()
            rides.respond(Answer(b"a" * 20_000_000, "text/plain"))
            await rides.held.wait()
            rides.abort()
            await rides.gone.wait()
            assert not gate.connections

    runner.run(scenario())


# A field that only the general way knows.
UNUSUAL = REQUEST.replace(b"Host: x", b"TE: trailers")
PING = b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n"
IN_PIECES = (REQUEST[:20], REQUEST[20:])


def never(_: Application) -> General:
    raise AssertionError("nobody has asked for what needs it")


class Slowly:
    """Makes the general way when it may."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.may = Event()
        self._loop = asyncio.get_running_loop()

    def __call__(self, application: Application) -> General:
        self._loop.call_soon_threadsafe(self.begun.set)
        self.may.wait(PATIENCE)
        return General(application)


async def ping_answer(reader: asyncio.StreamReader) -> bytes:
    """The head and the body of a health check's answer."""
    head = await reader.readuntil(b"\r\n\r\n")
    return head + await reader.readexactly(len(b'{"state": "ready"}'))


def test_health_checks_and_requests_of_the_ordinary_kind_need_no_general_way(runner: asyncio.Runner) -> None:
    async def scenario() -> None:
        async with connected(Rides(), never) as (gate, (reader, writer)):
            writer.write(PING + REQUEST + PING + PING)
            first = await ping_answer(reader)
            assert first.startswith(b"HTTP/1.1 200 OK\r\ndate: ")
            assert first.endswith(b'{"state": "ready"}')
            assert (await answer(reader)).endswith(b"hi")
            for _ in range(2):
                assert (await ping_answer(reader)).endswith(b'{"state": "ready"}')
            writer.write(PING[:-2] + b"Connection: close\r\n\r\n" + REQUEST)
            assert b"\r\nconnection: close\r\n" in await ping_answer(reader)
            assert await reader.read() == b""
            assert gate.general.made is None

    runner.run(scenario())


def test_a_request_that_is_to_be_the_last_is_the_last(runner: asyncio.Runner) -> None:
    async def scenario() -> None:
        rides = Rides()
        async with connected(rides, never) as (_, (reader, writer)):
            head, body = REQUEST.split(b"\r\n\r\n")
            head = head.replace(b"Host: x", b"Connection: close\r\nHost: x")
            writer.write(head + b"\r\n\r\n" + body + REQUEST)
            assert b"\r\nconnection: close\r\n" in await answer(reader)
            assert await reader.read() == b""
            assert rides.bodies == [b"hi"]

    runner.run(scenario())


def test_requests_of_either_kind_are_answered_in_order_while_the_general_way_is_made(runner: asyncio.Runner) -> None:
    async def scenario() -> None:
        slowly, rides = Slowly(), Rides()
        async with connected(rides, slowly) as (gate, (reader, writer)):
            writer.write(IN_PIECES[0])
            await slowly.begun.wait()
            writer.write(IN_PIECES[1] + REQUEST)
            other_reader, other = await asyncio.open_connection(*writer.get_extra_info("peername"))
            other.write(PING)
            assert (await ping_answer(other_reader)).startswith(b"HTTP/1.1 200 ")  # not held up
            other.close()
            assert rides.bodies == []
            slowly.may.set()
            for _ in range(2):
                assert (await answer(reader)).endswith(b"hi")
            assert gate.general.made is not None
            writer.write(REQUEST)
            assert (await answer(reader)).endswith(b"hi")
            assert rides.bodies[-1] == b"hi"  # the fast way again

    runner.run(scenario())


def test_a_stop_while_the_general_way_is_made_waits_for_the_answer(runner: asyncio.Runner) -> None:
    async def scenario() -> None:
        slowly = Slowly()
        async with connected(Rides(), slowly) as (gate, (reader, writer)):
            writer.write(UNUSUAL)
            await slowly.begun.wait()
            for connection in gate.connections:
                connection.shutdown()
            slowly.may.set()
            last = await answer(reader)
            assert b"\r\nconnection: close\r\n" in last
            assert last.endswith(b"hi")
            assert await reader.read() == b""

    runner.run(scenario())


def test_a_client_that_leaves_while_the_general_way_is_made_does_not_stop_that(runner: asyncio.Runner) -> None:
    async def scenario() -> None:
        slowly = Slowly()
        async with connected(Rides(), slowly) as (gate, (_, writer)):
            writer.write(UNUSUAL)
            await slowly.begun.wait()
            writer.close()
            await writer.wait_closed()
            await gate.empty()
            slowly.may.set()
            assert await gate.general.get()

    runner.run(scenario())


def test_where_there_can_be_no_general_way_its_requests_are_refused(
    runner: asyncio.Runner, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(_: Application) -> General:
        raise ImportError("no module of that name")

    async def scenario() -> None:
        async with connected(Rides(), fails) as (_, (reader, writer)):
            writer.write(UNUSUAL)
            found = await reader.read()
            assert found.startswith(b"HTTP/1.1 500 ")
            assert b"internal_error" in found
            assert b"module" not in found

    runner.run(scenario())
    assert "no module of that name" in caplog.text


def test_a_connection_that_has_taken_the_general_way_is_closed_when_it_is_idle(runner: asyncio.Runner) -> None:
    async def scenario() -> None:
        async with connected(Rides()) as (gate, (reader, writer)):
            loop = asyncio.get_running_loop()
            began = loop.time()
            while loop.time() < began + 2 * IDLE_SECONDS:
                writer.write(REQUEST)
                assert (await answer(reader)).endswith(b"hi")
                writer.write(UNUSUAL)
                assert (await answer(reader)).endswith(b"hi")
            assert await reader.read() == b""
            assert not gate.connections

    runner.run(scenario())
