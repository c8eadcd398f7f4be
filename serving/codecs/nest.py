"""The shape of a large nest of arrays in JSON text, by its brackets and by how many commas are between them.

It reads the text by vectors, a tenth of a nanosecond for a byte, which for a picture's 150,000 numbers is a third of
what it takes to delete all digits (`serving.codecs.numbers` does that with small bodies, where these steps' own cost
counts). It trusts the text to be JSON, which the parser then sees to.
"""

import numpy as np

from serving.signature import Array

# "[" is 0x5b and "]" 0x5d; without the two bits in which they differ both are 0x59. Of the other two bytes that are,
# "Y" and "_", neither is in any number.
DIFFERING, BRACKET = 0xF9, 0x59
COMMA = 0x2C
OPEN, CLOSE = ord("["), ord("]")
# A word of bits, which tell of as many bytes of text. To add up bytes of them takes 1.4 times as long in all.
WORD = np.dtype("<u8")
BITS, LOG_BITS = 64, 6
# So much of the text is looked at together: what is made of it takes twice as much memory, and in each thread.
PIECE_BYTES = 512 * 1024


def shape_of(text: Array) -> tuple[int, ...] | None:
    """The shape of a regular nest of arrays of numbers.

    Args:
        text: uint8, from the first bracket to the last.

    Returns:
        None where its arrays are not of equal length, or nothing but arrays at some depth and numbers at the next.
    """
    brackets, before = _brackets(text)
    commas = np.diff(before)
    opens, closes = brackets[:-1] == OPEN, brackets[1:] == CLOSE
    numbers = opens & closes
    if not numbers.any():
        return None
    between = commas[numbers.argmax()]
    # Elsewhere are no numbers: one comma between arrays, none between brackets of the same kind.
    if not np.array_equal(commas, np.where(numbers, between, ~opens & ~closes)):
        return None
    outer = _outer_shape(brackets.tobytes())
    return None if outer is None else (*outer, int(between) + 1)


def _brackets(text: Array) -> tuple[Array, Array]:
    """All brackets, and how many commas are before each."""
    found, before = [], []
    commas = 0
    for start in range(0, text.size, PIECE_BYTES):
        piece = text[start : start + PIECE_BYTES]
        places = np.flatnonzero((piece & DIFFERING) == BRACKET)
        counted, in_piece = _commas_before(piece, places)
        found.append(piece[places])
        before.append(counted + commas)
        commas += in_piece
    return np.concatenate(found), np.concatenate(before)


def _commas_before(text: Array, places: Array) -> tuple[Array, int]:
    """How many commas are before each place, counted by 64 bytes of text at a time; and how many in all."""
    words = _bits(text == COMMA)
    until = np.cumsum(np.bitwise_count(words), dtype=np.intp)
    word = places >> LOG_BITS
    # Less those of its word that come after it; a place is a bracket's, and so is none of them.
    after = np.bitwise_count(words[word] >> (places & (BITS - 1)).astype(WORD))
    before: Array = until[word] - after
    return before, int(until[-1])


def _bits(flags: Array) -> Array:
    """Flags as bits of words, the first of each the lowest; the last word filled up with none."""
    packed = np.packbits(flags, bitorder="little")
    words = np.zeros(-(-flags.size // BITS), WORD)
    words.view(np.uint8)[: packed.size] = packed
    return words


def _outer_shape(brackets: bytes) -> tuple[int, ...] | None:
    """The sizes of all axes but the last, by brackets that repeat exactly."""
    rank = len(brackets) - len(brackets.lstrip(b"["))
    sizes: list[int] = []
    block = b"[]"
    for level in range(2, rank + 1):
        # The first block of this level ends where as many brackets close; in it are blocks of the level below.
        end = brackets.find(b"]" * level)
        size, rest = divmod(end + level - (rank - level) - 2, len(block))
        if end < 0 or size < 1 or rest:
            return None
        sizes.append(size)
        block = b"[" + block * size + b"]"
    return tuple(reversed(sizes)) if block == brackets else None
