"""The wire format between the server and a worker: a small JSON object and raw bytes.

4 bytes   length of the head, big-endian
8 bytes   length of the body, big-endian
head      a JSON object, UTF-8
body      bytes as they came, or as they go: never encoded, never unpickled
"""

import json
from collections.abc import Mapping
from struct import Struct
from typing import Any, BinaryIO, NamedTuple

PREFIX = Struct(">IQ")
# Headers of an HTTP request, or a traceback: larger ones mean that the two sides are out of step.
MAX_HEAD_BYTES = 2**20
# As much as SERVING_MAX_PAYLOAD_MB can allow.
MAX_BODY_BYTES = 2**31


class FrameError(Exception):
    """What was read is no frame, or what was to be written is too large for one."""


class Frame(NamedTuple):
    """One message."""

    head: Mapping[str, Any]
    body: bytes = b""


def packed(frame: Frame) -> bytes:
    """The frame's beginning, which the body follows as it is. Raises FrameError for what is too large."""
    head = json.dumps(frame.head).encode()
    _check(len(head), len(frame.body))
    return PREFIX.pack(len(head), len(frame.body)) + head


def lengths(prefix: bytes) -> tuple[int, int]:
    """The lengths of the head and of the body. Raises FrameError."""
    head, body = PREFIX.unpack(prefix)
    _check(head, body)
    return head, body


def unpacked(head: bytes, body: bytes) -> Frame:
    """The frame of these parts. Raises FrameError."""
    try:
        document = json.loads(head)
    except ValueError as error:
        raise FrameError(f"expected a JSON object as head: {error}") from error
    if not isinstance(document, dict):
        raise FrameError(f"expected a JSON object as head, got {type(document).__name__}")
    return Frame(document, body)


def write(stream: BinaryIO, frame: Frame) -> None:
    """Write a frame to a blocking stream. Raises FrameError and OSError."""
    stream.write(packed(frame))
    stream.write(frame.body)
    stream.flush()


def read(stream: BinaryIO) -> Frame | None:
    """The next frame of a blocking stream; None where it ends. Raises FrameError and OSError."""
    prefix = stream.read(PREFIX.size)
    if not prefix:
        return None
    head_length, body_length = lengths(_whole(prefix, PREFIX.size))
    head = _whole(stream.read(head_length), head_length)
    return unpacked(head, _whole(stream.read(body_length), body_length))


def _whole(part: bytes, length: int) -> bytes:
    if len(part) != length:
        raise FrameError(f"expected {length} bytes, got {len(part)} and the end")
    return part


def _check(head: int, body: int) -> None:
    if head > MAX_HEAD_BYTES:
        raise FrameError(f"expected a head of at most {MAX_HEAD_BYTES} bytes, got {head}")
    if body > MAX_BODY_BYTES:
        raise FrameError(f"expected a body of at most {MAX_BODY_BYTES} bytes, got {body}")
