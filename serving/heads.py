"""What the head of an ordinary `POST /invocations` asks for."""

from typing import NamedTuple

from serving.errors import InvalidAttributeError
from serving.invocations import Asked
from serving.plain import INVOCATION, SINGLE, Fields, fields_of, keeps_alive, length_of
from serving.selection import HEADER as ATTRIBUTES
from serving.selection import of_attributes

# Of SageMaker's attributes two would contradict each other, too.
SINGLE_HERE = SINGLE | {ATTRIBUTES}


class Head(NamedTuple):
    """What a head says: the length of its body in bytes, what it asks for, whether the sender keeps its connection."""

    length: int
    asked: Asked
    keeps_alive: bool = True


def read(head: bytes) -> Head | None:
    """A head without its last empty line; None unless it is of the ordinary kind."""
    fields = fields_of(head, INVOCATION, SINGLE_HERE)
    return None if fields is None else _of_fields(fields)


def _of_fields(fields: Fields) -> Head | None:
    length, keeps = length_of(fields), keeps_alive(fields)
    if length is None or keeps is None:
        return None
    try:
        selection = of_attributes(fields.get(ATTRIBUTES, ""))
    except InvalidAttributeError:
        return None
    return Head(length, Asked(selection, fields.get("content-type", ""), fields.get("accept", "")), keeps)
