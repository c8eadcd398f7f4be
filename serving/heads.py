"""Reading the head of an ordinary `POST /invocations`, and only that: the pure core of the fast way in.

A head is read here if every line of it is of the plainest kind; for any other, None says that the general
parser must judge it. Nothing is refused here, so nothing can be refused wrongly.
"""

import re
from typing import NamedTuple

from serving.errors import InvalidAttributeError
from serving.invocations import Asked
from serving.selection import HEADER as ATTRIBUTES
from serving.selection import of_attributes

REQUEST_LINE = b"POST /invocations HTTP/1.1"
# RFC 9110, 5.1 and 5.5: a token, a colon, visible ASCII. No folded lines, no stray CR, LF or NUL.
FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\x20-\x7e\t]*)")
LENGTH = re.compile("[0-9]{1,12}")
# Fields that change how the message is framed or answered; the general parser knows them.
UNUSUAL = frozenset({"transfer-encoding", "expect", "upgrade", "te", "trailer", "content-encoding"})
# Fields of which two would contradict each other.
SINGLE = frozenset({"content-length", "content-type", "connection", "host", ATTRIBUTES})


class Head(NamedTuple):
    """What a head says: the length of its body in bytes, and what it asks for."""

    length: int
    asked: Asked


def read(head: bytes) -> Head | None:
    """A head without its last empty line; None unless it is of the ordinary kind."""
    line, *lines = head.split(b"\r\n")
    if line != REQUEST_LINE:
        return None
    fields: dict[str, str] = {}
    for entry in lines:
        field = FIELD.fullmatch(entry)
        if field is None:
            return None
        name, value = field[1].decode().lower(), field[2].decode().rstrip(" \t")
        if name in UNUSUAL or (name in SINGLE and name in fields):
            return None
        fields[name] = f"{fields[name]},{value}" if name in fields else value
    return _of_fields(fields)


def _of_fields(fields: dict[str, str]) -> Head | None:
    length = LENGTH.fullmatch(fields.get("content-length", ""))
    if length is None or fields.get("connection", "keep-alive").lower() != "keep-alive":
        return None
    try:
        selection = of_attributes(fields.get(ATTRIBUTES, ""))
    except InvalidAttributeError:
        return None
    return Head(int(length[0]), Asked(selection, fields.get("content-type", ""), fields.get("accept", "")))
