"""A body on the general way: its limit, its place and its time."""

import asyncio
from collections.abc import Sequence

import pytest
from starlette.requests import ClientDisconnect, Request

from harness.asgi import scope_of
from harness.loops import on_a_loop
from serving.body import Body
from serving.errors import BodyTimeoutError, OverloadedError, PayloadTooLargeError, ServingError
from serving.ping import Message
from serving.room import LARGE_BODY_BYTES, Extent, Room
from serving.settings import MEGABYTE, Settings

SMALL, LARGE = b"s" * (LARGE_BODY_BYTES - 1), b"l" * LARGE_BODY_BYTES
PATIENT = Settings(max_payload_mb=1)
HURRIED = Settings(max_payload_mb=1, timeout=0.1)


class Sender:
    """Sends a body in these chunks; then, unless it is whole, nothing more or that it has left."""

    def __init__(self, *chunks: bytes, whole: bool = True, leaves: bool = False) -> None:
        self.asked = 0
        self._left = list(chunks)
        self._whole = whole
        self._leaves = leaves

    async def receive(self) -> Message:
        self.asked += 1
        if self._left:
            chunk = self._left.pop(0)
            return {"type": "http.request", "body": chunk, "more_body": bool(self._left) or not self._whole}
        if not self._leaves:
            await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    def request(self, stated: int | None = None) -> Request:
        fields = [] if stated is None else [(b"content-length", b"%d" % stated)]
        return Request({**scope_of("/invocations", "POST"), "headers": fields}, self.receive)


def taken(room: Room) -> bool:
    """Whether anything of it is."""
    place = room.ask(room.extent.whole, lambda: None)
    room.leave(place)
    return not place.is_given


@pytest.mark.parametrize("chunks", [(SMALL,), (LARGE,), (LARGE, SMALL, b"x"), (b"",)])
@pytest.mark.parametrize("is_stated", [True, False])
def test_it_is_what_was_sent_and_its_place_is_left(chunks: Sequence[bytes], is_stated: bool) -> None:
    async def test() -> None:
        room, whole = Room(Extent(MEGABYTE), 1), b"".join(chunks)
        with Body(Sender(*chunks).request(len(whole) if is_stated else None), PATIENT, room) as body:
            assert await body.read() == whole
            assert body.has_place is taken(room) is (len(whole) >= LARGE_BODY_BYTES)
        assert not taken(room)

    on_a_loop(test)


@pytest.mark.parametrize("is_stated", [True, False])
def test_it_is_read_once_there_is_room(is_stated: bool) -> None:
    async def test() -> None:
        room = Room(Extent(MEGABYTE), 1)
        other = room.ask(MEGABYTE, lambda: None)
        sender = Sender(LARGE, SMALL)
        with Body(sender.request(len(LARGE + SMALL) if is_stated else None), PATIENT, room) as body:
            reading = asyncio.create_task(body.read())
            for _ in range(5):
                await asyncio.sleep(0)
            assert room.waiting
            assert sender.asked == (0 if is_stated else 1)
            room.leave(other)
            assert await reading == LARGE + SMALL

    on_a_loop(test)


def test_a_part_of_a_request_that_has_a_place_waits_for_none() -> None:
    async def test() -> None:
        with Body(Sender(LARGE).request(), PATIENT, None) as body:
            assert await body.read() == LARGE
            assert not body.has_place

    on_a_loop(test)


@pytest.mark.parametrize(
    ("is_free", "may_wait", "error"),
    [(True, 1, BodyTimeoutError), (False, 1, OverloadedError), (False, 0, OverloadedError)],
)
def test_what_is_late_or_too_much_is_refused_and_its_place_left(
    is_free: bool, may_wait: int, error: type[ServingError]
) -> None:
    async def test() -> None:
        room = Room(Extent(MEGABYTE), may_wait)
        other = None if is_free else room.ask(MEGABYTE, lambda: None)
        request = Sender(LARGE, whole=False).request(2 * len(LARGE))
        with pytest.raises(error), Body(request, HURRIED, room) as body:
            await body.read()
        assert not room.waiting
        if other:
            room.leave(other)
        assert not taken(room)

    on_a_loop(test)


def test_a_sender_that_leaves_leaves_its_place() -> None:
    async def test() -> None:
        room = Room(Extent(MEGABYTE), 1)
        with (
            pytest.raises(ClientDisconnect),
            Body(Sender(LARGE, whole=False, leaves=True).request(), PATIENT, room) as body,
        ):
            await body.read()
        assert not taken(room)

    on_a_loop(test)


@pytest.mark.parametrize(("stated", "asked"), [(MEGABYTE + 1, 0), (None, 9)])
def test_more_than_the_limit_is_refused_as_soon_as_it_is_known(stated: int | None, asked: int) -> None:
    async def test() -> None:
        sender = Sender(*[LARGE] * 20)
        with (
            pytest.raises(PayloadTooLargeError),
            Body(sender.request(stated), PATIENT, Room(Extent(MEGABYTE), 1)) as body,
        ):
            await body.read()
        assert sender.asked == asked

    on_a_loop(test)
