"""HTTP/1.1 as clients really send it: in pieces, pipelined, chunked, with `Expect`; and both ways in answer alike."""

from typing import Final

import numpy as np
import pytest

from harness.bodies import CSV, JSON, JSONLINES, NPY, as_json, as_npy
from harness.servers import Server
from harness.wire import BODY, Wire, request

pytestmark = pytest.mark.any_graviton

RIGHT: Final = b'{"predictions":[[1.5]]}'


def test_a_connection_is_kept_and_used_again(echo: Server) -> None:
    with Wire(echo) as wire:
        for number in range(3):
            wire.send(request(as_json([[float(number)]])))
            answer = wire.answer()
            assert (answer.status, answer.body) == (200, as_json({"predictions": [[float(number)]]}).replace(b" ", b""))
            assert answer.fields["content-type"] == JSON
            assert "date" in answer.fields


@pytest.mark.parametrize("size", [1, 7, 60])
def test_a_request_may_come_in_pieces_of_any_size(echo: Server, size: int) -> None:
    whole = request() + request(as_json([[2.5]]))
    with Wire(echo) as wire:
        for start in range(0, len(whole), size):
            wire.send(whole[start : start + size])
        assert [wire.answer().body, wire.answer().body] == [RIGHT, b'{"predictions":[[2.5]]}']


def test_the_body_may_come_after_its_head(echo: Server) -> None:
    whole = request()
    with Wire(echo) as wire:
        for end in (len(whole) - len(BODY), len(whole) - 3):
            wire.send(whole[:end])
            wire.send(whole[end:])
            assert wire.answer().body == RIGHT


def test_pipelined_requests_are_answered_in_order_whichever_way_they_take(echo: Server) -> None:
    numbers = [float(number) for number in range(40)]
    unusual = [(), ("Content-Encoding: identity",), ("X-Trace: é",)]
    pipelined = b"".join(request(as_json([[n]]), *unusual[int(n) % 3]) for n in numbers)
    with Wire(echo) as wire:
        wire.send(pipelined + b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n" + request(b"[") + request())
        answers = [wire.answer() for _ in numbers]
        assert [answer.body for answer in answers] == [b'{"predictions":[[%.1f]]}' % n for n in numbers]
        assert [wire.answer().status for _ in range(3)] == [200, 400, 200]


def test_a_chunked_body_is_taken(echo: Server) -> None:
    head = f"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: {JSON}\r\nTransfer-Encoding: chunked\r\n\r\n"
    with Wire(echo) as wire:
        wire.send(head.encode() + b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in (BODY[:5], BODY[5:])) + b"0\r\n\r\n")
        assert wire.answer().body == RIGHT
        wire.send(request())
        assert wire.answer().body == RIGHT


def test_expect_100_continue_is_told_to_go_on(echo: Server) -> None:
    head = request(BODY, "Expect: 100-continue").removesuffix(BODY)
    with Wire(echo) as wire:
        wire.send(head)
        assert wire.answer().status == 100
        wire.send(BODY)
        assert wire.answer().body == RIGHT


@pytest.mark.parametrize(
    ("line", "fields"), [("POST /invocations HTTP/1.1", ("Connection: close",)), ("POST /invocations HTTP/1.0", ())]
)
def test_a_client_that_wants_no_more_finds_the_connection_closed(
    echo: Server, line: str, fields: tuple[str, ...]
) -> None:
    with Wire(echo) as wire:
        wire.send(request(BODY, *fields, line=line))
        assert wire.answer().body == RIGHT
        assert wire.is_closed()


def test_what_is_no_http_is_400_after_an_ordinary_request(echo: Server) -> None:
    with Wire(echo) as wire:
        wire.send(request() + b"\x00\x01 nonsense\r\n\r\n")
        assert wire.answer().body == RIGHT
        assert wire.answer().status == 400
        assert wire.is_closed()


def test_a_client_that_leaves_in_the_middle_of_a_body_disturbs_nobody(echo: Server) -> None:
    for _ in range(5):
        with Wire(echo) as wire:
            wire.send(request()[:-4])
    assert echo.post(BODY).content == RIGHT


def test_a_client_that_reads_nothing_does_not_stop_the_others(echo: Server) -> None:
    row = as_json([[0.123456] * 20_000])
    with Wire(echo) as wire:
        for _ in range(10):
            wire.send(request(row))
        assert echo.post(BODY).content == RIGHT
        assert {wire.answer().status for _ in range(10)} == {200}


CASES: Final = {
    "json": (BODY, JSON, ()),
    "no content type": (BODY, "", ()),
    "csv": (b"1,2\n3,4\n", CSV, ()),
    "npy": (as_npy(np.ones((2, 3), np.float32)), NPY, ()),
    "jsonlines": (b"[1]\n[2]\n", JSONLINES, ()),
    "another answer": (BODY, JSON, ("Accept: text/csv",)),
    "two accepts": (BODY, JSON, ("Accept: text/html", "Accept: application/x-npy")),
    "not acceptable": (BODY, JSON, ("Accept: image/png",)),
    "unknown type": (BODY, "image/png", ()),
    "bad json": (b"{", JSON, ()),
    "wrong rank": (b"[[[1]]]", JSON, ()),
    "empty": (b"", JSON, ()),
    "large": (as_json([[0.5] * 60_000]), JSON, ()),
    "large answer": (as_npy(np.ones((1, 60_000), np.float32)), NPY, ("Accept: application/json",)),
    "unknown model": (BODY, JSON, ("X-Amzn-SageMaker-Custom-Attributes: tfs-model-name=nobody",)),
    "bad attribute": (BODY, JSON, ("X-Amzn-SageMaker-Custom-Attributes: tfs-model-version=x",)),
}


@pytest.mark.parametrize("name", CASES)
def test_both_ways_answer_alike(echo: Server, name: str) -> None:
    body, kind, fields = CASES[name]
    with Wire(echo) as wire:
        wire.send(request(body, *fields, kind=kind))
        ordinary = wire.answer()
        # A field that the ordinary way leaves to the general parser, and that changes nothing.
        wire.send(request(body, *fields, "TE: trailers", kind=kind))
        general = wire.answer()
    assert ordinary.status == general.status
    assert ordinary.body == general.body
    assert ordinary.fields.keys() == general.fields.keys()
    assert ordinary.fields["content-type"] == general.fields["content-type"]
