"""What connections share: the heads of their answers, and who is there."""

import asyncio
from email.utils import parsedate_to_datetime
from time import time
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.loops import on_a_loop
from serving import gate as module
from serving.gate import Gate, date_of

LAST = 253_402_300_799  # the end of the year 9999


def made() -> Gate:
    nothing: Any = None
    return Gate(nothing, nothing, nothing)


@given(st.integers(0, LAST))
def test_dates_are_as_http_has_them(second: int) -> None:
    assert parsedate_to_datetime(date_of(second).decode()).timestamp() == second
    assert len(date_of(second)) == len("Sun, 06 Nov 1994 08:49:37 GMT")


def test_a_date_has_the_form_of_the_standard() -> None:
    assert date_of(784_111_777) == b"Sun, 06 Nov 1994 08:49:37 GMT"


def test_heads_tell_the_status_the_type_and_the_second(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        gate = made()
        now = time()
        for later in (0, 0, 1, 60):
            monkeypatch.setattr(module, "time", lambda later=later: now + later)
            for status, phrase in ((200, b"OK"), (503, b"Service Unavailable")):
                assert gate.head(status, "text/csv; charset=utf-8") == (
                    b"HTTP/1.1 %d %b\r\ndate: %b\r\ncontent-type: text/csv; charset=utf-8\r\ncontent-length: "
                    % (status, phrase, date_of(int(now + later)))
                )

    on_a_loop(test)


def test_it_is_empty_when_the_last_one_has_left() -> None:
    async def test() -> None:
        gate = made()
        await gate.empty()
        first, second = cast("Any", "first"), cast("Any", "second")
        gate.enter(first)
        gate.enter(second)
        waiting = asyncio.create_task(gate.empty())
        gate.leave(first)
        await asyncio.sleep(0)
        assert gate.connections == {second}
        assert not waiting.done()
        gate.leave(second)
        await waiting

    on_a_loop(test)
