"""Bodies of one row of numbers each, as text, read at once into one array.

Python's code for one body has left the processor's caches when the next one comes, and takes almost three times as
long as when it is run again at once: 15 us instead of 6 for a small body. So the bodies that came together are put
into one text, which simdjson reads in one go; a body of four numbers takes 1 us then.

Whatever is not plainly of this kind is left to be read body by body, which gives the same arrays for the others
(tests/test_codecs_rows.py). Why it is as safe as that: no row has a bracket, so every bracket in the text is ours,
and if it is nothing but lists of numbers, all as long, between those of a row are its own numbers alone.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from serving.codecs.csv_numbers import NEGATIVE_ZERO
from serving.codecs.lines import with_plain_ends
from serving.codecs.numbers import Numbers, begin, table, within
from serving.signature import Array


def of_json(bodies: Sequence[bytes], *, lists_are_rows: bool) -> Numbers | None:
    """The rows of bodies that differ in their numbers alone, `{"instances":[[1,2]]}` and `{"instances":[[3,4]]}`.

    Their array is of shape [bodies, 1, ..., numbers], as many axes as each body has; of bare lists `[1,2]`, where
    these are rows, [bodies, numbers]. None where the bodies are not of this kind.
    """
    first = bodies[0]
    beginning = begin(first)
    inside = within(first, beginning[1], beginning[0]) if beginning else None
    if beginning is None or inside is None:
        return None
    (key, start), (opened, closed) = beginning, inside
    axes = opened - start
    if axes == 1 and (key or not lists_are_rows):
        return None
    head, tail = first[:opened], first[closed:]
    texts = [body[opened : -len(tail)] for body in bodies if body.startswith(head) and body.endswith(tail)]
    array = _of_texts(texts) if len(texts) == len(bodies) else None
    return None if array is None else Numbers(key, array.reshape(len(bodies), *(1,) * (axes - 2), -1))


def of_lines(bodies: Iterable[bytes]) -> Array | None:
    """The rows of bodies that are one line of plain numbers each, [bodies, numbers]; None where they are not."""
    lines: list[bytes] = []
    for body in bodies:
        line = with_plain_ends(body)
        if line is None or b"\n" in line:
            return None
        lines.append(line)
    array = _of_texts(lines)
    is_integral = array is not None and array.dtype == np.int64
    return None if is_integral and any(NEGATIVE_ZERO in line for line in lines) else array


def _of_texts(rows: Sequence[bytes]) -> Array | None:
    """Texts of numbers with commas between as an array, float64 or int64; None unless they are alike."""
    numbers = b",".join(rows)
    if b"[" in numbers or b"]" in numbers:
        return None
    text = b"[[%b]]" % b"],[".join(rows)
    # One without a fraction is read as integers when it is alone.
    if all(b"." in row for row in rows):
        return table(text, "d")
    return None if b"." in numbers or b"e" in numbers or b"E" in numbers else table(text, "i")
