"""What the head of an ordinary `POST /invocations` asks for."""

from typing import NamedTuple

from serving import plain
from serving.errors import InvalidAttributeError
from serving.invocations import Asked
from serving.selection import HEADER as ATTRIBUTES
from serving.selection import of_attributes


class Head(NamedTuple):
    """What a head says: the length of its body in bytes, what it asks for, whether the sender keeps its connection."""

    length: int
    asked: Asked
    keeps_alive: bool = True


def read(head: bytes) -> Head | None:
    """A head without its last empty line; None unless it is of the ordinary kind."""
    found = plain.read(head, plain.INVOCATION)
    if found is None or found.length is None:
        return None
    fields = found.fields
    try:
        selection = of_attributes(fields.get(ATTRIBUTES, ""))
    except InvalidAttributeError:
        return None
    asked = Asked(selection, fields.get("content-type", ""), fields.get("accept", ""))
    return Head(found.length, asked, found.keeps_alive)
