"""A JSON body that is one regular nest of numbers, straight into an array, without a Python object for each.

That takes half the time, whatever the body's size (benchmarks/decoding.py).

Most large bodies are of this kind: `{"instances": [[0.1, ...], ...]}`, the same under `"inputs"`, or the bare
array. Two things are looked at. The structure: without its digits and blanks such a body is nothing but
brackets and commas, and those of a regular nest repeat exactly, so one comparison of bytes tells whether all
rows are of equal length, and that no text, no boolean, no null and no further key is anywhere. If there is only
one list in it, as in most requests of one row, all brackets stand at the ends, and nothing has to be deleted to
see it. And the numbers, which simdjson reads into a buffer, as 64-bit integers where there is no point and no
exponent and as doubles else, which is what numpy makes of such lists; it takes nothing but numbers.
Anything else is left to the general decoder, and so are errors, which it explains; both give the same arrays
(tests/test_codecs_numbers.py).
"""

import re
import threading
from functools import lru_cache
from math import prod
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
import simdjson

from serving.codecs.nest import shape_of
from serving.codecs.pieces import BLANKS, pieces
from serving.signature import Array

# What a number and the blanks around it are made of; deleted, they leave the structure.
NUMBERS = b"0123456789+-.eE" + BLANKS
BEGINNING = re.compile(rb'\s*(?:\{\s*"(instances|inputs)"\s*:\s*)?(?=\[)')
# From so many bytes on the text is searched by vectors, whose steps take some 20 us of their own.
LARGE = 32 * 1024
# From so many on, far beyond LARGE, the numbers are read piece by piece (`serving.codecs.pieces` says why).
IN_PIECES = 256 * 1024
# Clients send the same structure again and again. Each that is kept is shorter than LARGE.
MOST_STRUCTURES = 32
# As many as numpy's arrays have.
MOST_AXES = 64
# As many as the numbers make: numpy's word for it.
ANY = -1


# Of simdjson's buffers: float64 and int64.
Kind: TypeAlias = Literal["d", "i"]
DTYPES: dict[Kind, type[np.generic]] = {"d": np.float64, "i": np.int64}


class Numbers(NamedTuple):
    """The array, int64 or float64, and the key that it stood under, empty for a bare one."""

    key: str
    array: Array


class _Local(threading.local):
    """A parser for each thread, for it keeps its buffers and cannot be shared."""

    def __init__(self) -> None:
        self.parser = simdjson.Parser()


_local = _Local()


def read(body: bytes) -> Numbers | None:
    """The body's numbers, None for a body that is not of this kind."""
    beginning = begin(body)
    if beginning is None:
        return None
    key, start = beginning
    inside = within(body, start, key)
    shape = (1,) * (inside[0] - start - 1) + (ANY,) if inside else _shape_of_many(body, start, key)
    if shape is None:
        return None
    kind: Kind = "d" if _has_fractions(body, start) else "i"
    values = _values(body, key, kind) if len(body) < IN_PIECES else _values_of_pieces(body, start, shape, kind)
    # An empty list and one of a single number have the same structure.
    if values is None or not values.size or (shape[-1] != ANY and values.size != prod(shape)):
        return None
    return Numbers(key, values.reshape(shape))


def begin(body: bytes) -> tuple[str, int] | None:
    """The key, empty for a bare array, and where its first bracket is; None for another beginning."""
    found = BEGINNING.match(body)
    return (found[1].decode() if found[1] else "", found.end()) if found else None


def _has_fractions(body: bytes, start: int) -> bool:
    return body.find(b".", start) >= 0 or body.find(b"e", start) >= 0 or body.find(b"E", start) >= 0


def within(body: bytes, start: int, key: str) -> tuple[int, int] | None:
    """Where the only list's numbers begin and end, within any number of brackets, `[[[1, 2]]]`; None if there are more.

    Blanks between the brackets are none either. Told by two searches of one byte, a twentieth of what it takes to
    delete the numbers.
    """
    opened, closed = body.rfind(b"[") + 1, body.find(b"]", start)
    axes = opened - start
    if axes > MOST_AXES or body[start:opened] != b"[" * axes or body[closed : closed + axes] != b"]" * axes:
        return None
    return (opened, closed) if _ends(body, closed + axes, key) else None


def _ends(body: bytes, place: int, key: str) -> bool:
    """Whether nothing comes from there on but what closes the object, if there is one."""
    return body[place:].strip(BLANKS) == (b"}" if key else b"")


def _shape_of_many(body: bytes, start: int, key: str) -> tuple[int, ...] | None:
    return _shape_of_large(body, start, key) if len(body) >= LARGE else _shape_of_small(body, start, key)


def _shape_of_large(body: bytes, start: int, key: str) -> tuple[int, ...] | None:
    end = body.rfind(b"]") + 1
    if end <= start or not _ends(body, end, key) or body.startswith(b"[" * (MOST_AXES + 1), start):
        return None
    shape = shape_of(np.frombuffer(body, np.uint8, end - start, start))
    return shape if shape is None or len(shape) <= MOST_AXES else None


def _shape_of_small(body: bytes, start: int, key: str) -> tuple[int, ...] | None:
    structure = body[start:].translate(None, NUMBERS)
    return _shape(structure.removesuffix(b"}") if key else structure)


@lru_cache(MOST_STRUCTURES)
def _shape(structure: bytes) -> tuple[int, ...] | None:
    """The shape of the regular nest whose brackets and commas these are; None if they are of none."""
    rank = len(structure) - len(structure.lstrip(b"["))
    if rank > MOST_AXES:
        return None
    sizes: list[int] = []
    block = b""
    for level in range(1, rank + 1):
        # The first block of this level ends where as many brackets close; in it are blocks of the level below.
        end = structure.find(b"]" * level)
        size, rest = divmod(end + level - (rank - level) - 1, len(block) + 1)
        if end < 0 or size < 1 or rest:
            return None
        sizes.append(size)
        block = b"[" + (block + b",") * (size - 1) + block + b"]"
    return tuple(reversed(sizes)) if block == structure and sizes else None


def _values_of_pieces(body: bytes, start: int, shape: tuple[int, ...], kind: Kind) -> Array | None:
    """The same, piece by piece."""
    end = body.rfind(b"]") + 1
    # Kept apart until the last has come they would be there twice. Of one list it is not known how many they are, but
    # each has a comma; memory that is not written to is not taken.
    most = prod(shape) if shape[-1] != ANY else (end - start) // 2
    whole = np.empty(most, DTYPES[kind])
    filled = 0
    for piece in pieces(body, start, end, len(shape)):
        values = _values(piece, "", kind)
        if values is None or filled + values.size > whole.size:
            return None
        whole[filled : filled + values.size] = values
        filled += values.size
    return whole[:filled]


def _values(body: bytes, key: str, kind: Kind) -> Array | None:
    """All numbers of the body in order, float64 for the kind "d", int64 for "i"; None where one does not fit."""
    try:
        document = _local.parser.parse(body)
        nest = document[key] if key else document  # type: ignore[index]  # an object, where there is a key
        buffer = nest.as_buffer(of_type=kind)  # type: ignore[union-attr]  # an array, by its first bracket
    except (ValueError, TypeError, RuntimeError, OverflowError):
        return None
    return np.frombuffer(buffer, DTYPES[kind])


def table(text: bytes, kind: Kind) -> Array | None:
    """A list of lists of numbers as [lists, numbers]; None where one does not fit, or they are not all as long.

    Of lists in lists, which `kind` flattens, none may be in it.
    """
    try:
        document = _local.parser.parse(text)
        sizes = {len(row) for row in document}  # type: ignore[union-attr, arg-type]  # a list of lists, or a TypeError
        buffer = document.as_buffer(of_type=kind)  # type: ignore[union-attr]
    except (ValueError, TypeError, RuntimeError, OverflowError):
        return None
    return np.frombuffer(buffer, DTYPES[kind]).reshape(-1, sizes.pop()) if len(sizes) == 1 and 0 not in sizes else None
