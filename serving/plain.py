"""The head of a request in its plainest form, and only that: the pure core of the fast way in.

A head is read here if every line of it is of the plainest kind; for any other, None says that the general
parser must judge it. Nothing is refused here, so nothing can be refused wrongly.
"""

import re
from typing import NamedTuple

from serving.selection import HEADER as ATTRIBUTES

INVOCATION = b"POST /invocations HTTP/1.1"
# RFC 9110, 5.1 and 5.5: a token, a colon, visible ASCII. No folded lines, no stray CR, LF or NUL.
FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\x20-\x7e\t]*)")
LENGTH = re.compile("[0-9]{1,12}")
# Fields that change how the message is framed or answered; the general parser knows them.
UNUSUAL = frozenset({"transfer-encoding", "expect", "upgrade", "te", "trailer", "content-encoding"})
# Fields of which two would contradict each other.
SINGLE = frozenset({"content-length", "content-type", "connection", "host", ATTRIBUTES})
# What the field `Connection` may hold, and whether it is to be used again (RFC 9112, 9.3).
KEEPS_ALIVE = {"keep-alive": True, "close": False}


class Plain(NamedTuple):
    """A plain head: its fields, and whether the sender wants to keep its connection.

    Names are in lower case; the values of one that may come several times are joined with commas.
    """

    fields: dict[str, str]
    keeps_alive: bool

    @property
    def length(self) -> int | None:
        """The bytes of the body; None where that is not said, or oddly."""
        length = LENGTH.fullmatch(self.fields.get("content-length", ""))
        return int(length[0]) if length else None


def read(head: bytes, request_line: bytes) -> Plain | None:
    """A head without its last empty line; None unless it begins so and all of it is plain."""
    line, *lines = head.split(b"\r\n")
    if line != request_line:
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
    keeps_alive = KEEPS_ALIVE.get(fields.get("connection", "keep-alive").lower())
    return None if keeps_alive is None else Plain(fields, keeps_alive)
