"""Heads of the ordinary kind are read as the general parser reads them; all others are left to it."""

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.heads import Head, read
from serving.invocations import Asked
from serving.selection import Selection

LINE = b"POST /invocations HTTP/1.1"
ORDINARY = (LINE, b"host: x", b"Content-Type: text/csv", b"Content-Length: 12")


def head(*lines: bytes) -> bytes:
    return b"\r\n".join(lines)


def test_an_ordinary_head_is_read() -> None:
    assert read(head(*ORDINARY)) == Head(12, Asked(Selection(), "text/csv", ""))


def test_names_and_values_are_read_as_http_has_them() -> None:
    found = read(head(LINE, b"CONTENT-LENGTH:3 \t", b"aCCept: a/b", b"Accept:\tc/d", b"connection: Keep-Alive"))
    assert found == Head(3, Asked(Selection(), "", "a/b,c/d"))


@pytest.mark.parametrize(("field", "kept"), [(b"Connection: close", False), (b"connection: KEEP-ALIVE", True)])
def test_whether_the_connection_is_kept_is_read(field: bytes, kept: bool) -> None:
    found = read(head(*ORDINARY, field))
    assert found is not None
    assert found.keeps_alive is kept


def test_the_custom_attributes_are_read() -> None:
    attributes = b"X-Amzn-SageMaker-Custom-Attributes: tfs-model-name=half,tfs-model-version=2"
    found = read(head(*ORDINARY, attributes))
    assert found is not None
    assert found.asked.selection == Selection("half", 2)


@pytest.mark.parametrize(
    "unusual",
    [
        b"Transfer-Encoding: chunked",
        b"Expect: 100-continue",
        b"Connection: upgrade",
        b"Upgrade: websocket",
        b"Content-Encoding: gzip",
        b"Content-Length: 12",
        b"Content-Type: application/json",
        b"X-Amzn-SageMaker-Custom-Attributes: tfs-model-version=x",
        b" folded",
        b"no colon",
        b"name : value",
        b"x: a\nb",
        b"x: a\rb",
        b"x: \x00",
        "x: é".encode(),
        b": empty",
    ],
)
def test_anything_unusual_is_left_to_the_general_parser(unusual: bytes) -> None:
    assert read(head(*ORDINARY, unusual)) is None


@pytest.mark.parametrize(
    "line",
    [
        b"GET /invocations HTTP/1.1",
        b"POST /invocations HTTP/1.0",
        b"POST /invocations?a=b HTTP/1.1",
        b"POST  /invocations HTTP/1.1",
        b"POST /ping HTTP/1.1",
        b"POST http://x/invocations HTTP/1.1",
        b"",
    ],
)
def test_another_request_line_is_left_to_the_general_parser(line: bytes) -> None:
    assert read(head(line, *ORDINARY[1:])) is None


@pytest.mark.parametrize("length", [b"", b"-1", b"+1", b"1 2", b"0x1", b"1,1", b"9" * 13, "٣".encode()])
def test_an_odd_length_is_left_to_the_general_parser(length: bytes) -> None:
    assert read(head(LINE, b"Content-Length: " + length)) is None


def test_no_length_is_left_to_the_general_parser() -> None:
    assert read(head(*ORDINARY[:3])) is None


class Parsed:
    """What the general parser makes of a message."""

    def __init__(self, message: bytes) -> None:
        self.fields: list[tuple[bytes, bytes]] = []
        self.body = b""
        self.whole = False
        httptools.HttpRequestParser(self).feed_data(message)

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name.lower(), value))

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.whole = True


names = st.sampled_from([b"Accept", b"content-type", b"Content-Length", b"X-Id", b"connection", b"te", b"host"])
values = st.one_of(st.sampled_from([b"3", b"keep-alive", b"close", b"a/b"]), st.binary(max_size=6))
lines = st.lists(st.one_of(st.builds(lambda n, v: n + b": " + v, names, values), st.binary(max_size=8)), max_size=5)


@given(lines)
def test_what_is_read_here_the_general_parser_reads_alike(some: list[bytes]) -> None:
    found = read(head(LINE, *some, b"Content-Length: 3"))
    if found is not None:
        parsed = Parsed(head(LINE, *some, b"Content-Length: 3") + b"\r\n\r\nabc")
        assert parsed.whole
        assert len(parsed.body) == found.length == 3
        accept = b",".join(value.rstrip(b" \t") for name, value in parsed.fields if name == b"accept")
        assert found.asked.accept.encode() == accept
        kinds = [value.rstrip(b" \t") for name, value in parsed.fields if name == b"content-type"]
        assert [found.asked.content_type.encode()] == (kinds or [b""])
