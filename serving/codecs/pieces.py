"""Cutting the text of a large nest of numbers into pieces, each of which is a nest of its own.

A parser holds Python's lock from a text's first byte to its last, 1.4 ms for each megabyte, while the event loop and
everything else wait. Between two pieces they have their turn: /ping, asked while bodies of 24 MB arrive on eight
connections, had a p99 of 82 ms before and 36 since, with pieces of a megabyte (benchmarks/ping.py). And a parser keeps
buffers of 14 times the largest text that it has read. Smaller pieces are as fast, down to a quarter of that.

Any comma may be the cut: both sides lack some of the brackets that are around it, as many on either side as the nest
has axes, less those that close before the comma or open behind it. With these put in place, all pieces are JSON if,
and only if, the whole is, and have the same numbers in the same order.
"""

from collections.abc import Iterator

# JSON's.
BLANKS = b" \t\r\n"
# A parse of so much takes a tenth of the time after which Python hands its lock on.
PIECE_BYTES = 256 * 1024
# Where the brackets beside a comma are looked for: room for those of numpy's 64 axes, and for some blanks. If there are
# more of these, pieces are no JSON, and the body is read in the general way.
NEAR_BYTES = 256


def pieces(body: bytes, start: int, end: int, axes: int) -> Iterator[bytes]:
    """The text from `start` to `end`, a nest with so many axes, in smaller ones."""
    view = memoryview(body)
    before = b""  # the brackets that were opened in earlier pieces
    while (comma := body.find(b",", start + PIECE_BYTES, end)) >= 0:
        closed = _at_end(body[max(start, comma - NEAR_BYTES) : comma])
        yield b"".join((before, view[start:comma], b"]" * (axes - closed)))
        start = comma + 1
        before = b"[" * (axes - _at_beginning(body[start : start + NEAR_BYTES]))
    yield b"".join((before, view[start:end]))


def _at_end(text: bytes) -> int:
    """How many brackets close there, with nothing but blanks between."""
    text = text.translate(None, BLANKS)
    return len(text) - len(text.rstrip(b"]"))


def _at_beginning(text: bytes) -> int:
    """How many brackets open there, with nothing but blanks between."""
    text = text.translate(None, BLANKS)
    return len(text) - len(text.lstrip(b"["))
