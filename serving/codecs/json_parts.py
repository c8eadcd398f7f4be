"""A JSON body with inputs by name: nests of numbers without a Python object for each, and large bodies part by part.

    {"inputs": {"a": [...], "b": [...]}}               each nest as a body of its own (`serving.codecs.numbers`)
    {"instances": [{"a": ..., "b": ...}, ...]}         rows by themselves if they are large, a megabyte of them if not

A nest takes a fifth of the time then. And what makes Python objects of a text, and arrays of those, holds Python's
lock all the while: of 25 MB for half a second, in which the event loop would answer nobody. Between two parts it does.

Where a string has what looks like a boundary, the part before it ends within the string and is no JSON. So whatever is
not of these forms shows, and is left to the general decoder, as are all errors, which it explains; where both read a
body they give the same arrays (tests/test_codecs_json_parts.py).
"""

import re
from collections.abc import Iterator

import numpy as np

from serving.batch import join
from serving.codecs import numbers
from serving.codecs.json_text import parse
from serving.codecs.layout import from_rows, with_unit_axes
from serving.codecs.pieces import BLANKS
from serving.codecs.request import Decoded, Form
from serving.errors import BadRequestError
from serving.signature import Array, Inputs, Signature


def _spaced(pattern: bytes) -> re.Pattern[bytes]:
    """A pattern with JSON's blanks, any number of them, in the place of each space."""
    return re.compile(pattern.replace(b" ", b"[" + BLANKS + b"]*"))


COLUMNS = _spaced(rb' \{ "inputs" : (?=\{)')
ROWS = _spaced(rb' \{ "instances" : \[ (?=\{)')
MEMBER = _spaced(rb' "([^"\\]*)" : (?=\[)')
BETWEEN_ROWS = _spaced(rb"\} , (?=\{)")
# So many bytes of rows are a part; making arrays of them takes some 20 ms.
PART_BYTES = 1024 * 1024
# Rows from here on are parts of their own, and no part is smaller: Python would take longer for each than it saves.
ROW_BYTES = 4096
# Dtypes that may differ from part to part: numpy makes float64 of both together.
NUMBERS = {np.dtype(np.int64), np.dtype(np.float64)}


def decode(body: bytes, signature: Signature) -> Decoded | None:
    """The request, None for a body that is not of these forms or has an error."""
    try:
        if start := COLUMNS.match(body):
            return _of_columns(body, start.end(), signature)
        if start := ROWS.match(body):
            return _of_rows(body, start.end(), signature)
    except (BadRequestError, UnicodeDecodeError):
        pass
    return None


def _of_columns(body: bytes, start: int, signature: Signature) -> Decoded | None:
    end = _before_closing(body, b"}", b"}")
    found = _members(body, start, end + 1, signature) if end > start else None
    return Decoded(found, Form.COLUMN) if found else None


def _of_rows(body: bytes, start: int, signature: Signature) -> Decoded | None:
    closing = _before_closing(body, b"]", b"}")
    end = body.rfind(b"}", start, max(closing, start)) + 1
    if not end or body[end:closing].strip(BLANKS):
        return None
    parts: list[Inputs] = []
    for first, last in _parts(body, start, end):
        part = _of_one_row(body, first, last, signature)
        if part is None and (first, last) == (start, end):
            return None  # nothing is gained by a single part
        parts.append(part or from_rows(parse(b"[%b]" % body[first:last]), signature).inputs)
    fit = all(_fit([part[name] for part in parts]) for name in signature.input_names)
    return Decoded(join(parts), Form.ROW) if fit else None


def _parts(body: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Where one row or more begin and end, and the next, and so on."""
    is_small = BETWEEN_ROWS.search(body, start, min(start + ROW_BYTES, end))
    least = PART_BYTES if is_small else ROW_BYTES
    while start < end:
        cut = BETWEEN_ROWS.search(body, start + least, end)
        yield start, cut.start() + 1 if cut else end
        start = cut.end() if cut else end


def _of_one_row(body: bytes, start: int, end: int, signature: Signature) -> Inputs | None:
    """The arrays of a single row of nests of numbers, None for others."""
    row = _members(body, start, end, signature) if body.find(b"}", start, end) == end - 1 else None
    if row is None:
        return None
    return {spec.name: with_unit_axes(row[spec.name][np.newaxis], spec) for spec in signature.inputs}


def _fit(arrays: list[Array]) -> bool:
    """Whether joined they are what numpy would have made of all their rows at once."""
    dtypes = {array.dtype for array in arrays}
    return len({array.shape[1:] for array in arrays}) == 1 and (len(dtypes) == 1 or dtypes <= NUMBERS)


def _members(text: bytes, start: int, end: int, signature: Signature) -> Inputs | None:
    """All inputs, from an object whose values are nests of numbers; its braces are the first byte and the last."""
    found: Inputs = {}
    place = start + 1
    while member := MEMBER.match(text, place, end):
        # There is no quote in a number: the next one begins the next name.
        quote = text.find(b'"', member.end(), end)
        until = quote if quote >= 0 else end
        closing = text.rfind(b"]", member.end(), until) + 1
        name = member[1].decode()
        if name in found or name not in signature.input_names:
            return None
        if text[closing:until].strip(BLANKS) != (b"," if quote >= 0 else b"}"):
            return None
        value = numbers.read(bytes(text[member.end() : closing]))  # it may be a bytearray
        if value is None:
            return None
        found[name] = value.array
        if quote < 0:
            return found if len(found) == len(signature.inputs) else None
        place = quote
    return None


def _before_closing(body: bytes, inner: bytes, outer: bytes) -> int:
    """Where `inner` stands, of the two that end the body; -1 if they do not."""
    last = body.rfind(outer)
    place = body.rfind(inner, 0, max(last, 0))
    return place if not body[last + 1 :].strip(BLANKS) and not body[place + 1 : last].strip(BLANKS) else -1
