"""Reading JSON text: one document, with the bare words for NaN and infinity, or several side by side."""

import json
import re
from math import isinf
from typing import Any

import orjson

from serving.errors import InvalidJsonError, quoted

NON_FINITE_WORDS = (b"NaN", b"Infinity")
# The end of one array or object and the beginning of the next; in a JSON document there is a comma between.
ADJACENT = re.compile(rb"[}\]]\s*[{\[]")
BLANKS = re.compile(r"\s*")


def parse(body: bytes) -> Any:  # noqa: ANN401 (any JSON value may come)
    """The JSON document in `body`, NaN and infinities admitted. Raises InvalidJsonError."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if not any(word in body for word in NON_FINITE_WORDS):
            raise InvalidJsonError(f"the body is not JSON: {error}") from None
    try:
        return json.loads(body, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise InvalidJsonError(f"the body is not JSON: {error}") from None


def adjacent(body: bytes) -> list[Any]:
    """The arrays and objects that a body holds one after the other, whatever blanks are between; none if it does not.

    AWS's TensorFlow container takes those for rows, and calls them application/jsons.
    """
    if not ADJACENT.search(body):
        return []
    found: list[Any] = []
    try:
        text = body.decode().strip()
        place = 0
        while place < len(text):
            value, place = DECODER.raw_decode(text, place)
            if not isinstance(value, list | dict):
                return []
            found.append(value)
            place = _after_blanks(text, place)
    except (ValueError, RecursionError):
        return []
    return found


def _after_blanks(text: str, place: int) -> int:
    found = BLANKS.match(text, place)
    return found.end() if found else place


def _finite(text: str) -> float:
    """The number as orjson reads it: too large for a double is an error, not infinity."""
    value = float(text)
    if isinf(value):
        raise ValueError(f"number is infinity when parsed as double: {quoted(text)}")
    return value


DECODER = json.JSONDecoder(parse_float=_finite)
