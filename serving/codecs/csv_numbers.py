"""A CSV body that is a table of plain numbers, straight into an array, without a Python object for each.

Lines of numbers are JSON but for the brackets: with those in the place of line ends such a body is a nest that
`serving.codecs.numbers` reads, in a tenth of the time, and large ones in pieces, so that others have their turn.
Numbers that are written as JSON has none (`+1`, `.5`, `007`, `nan`), quotes, headers, empty lines and fields make it no
JSON; those bodies, and all errors, are left to the general way, which gives the same arrays for the others
(tests/test_codecs_csv_numbers.py).
"""

import numpy as np

from serving.codecs import numbers
from serving.codecs.lines import with_plain_ends
from serving.signature import Array

# Numpy reads the text "-0" as a negative zero, and JSON has no negative zero among integers.
NEGATIVE_ZERO = b"-0"


def read(body: bytes) -> Array | None:
    """int64 or float64, rows and columns; None for a body that is not of this kind."""
    lines = with_plain_ends(body)
    if lines is None or b"[" in lines or b"]" in lines:
        return None
    found = numbers.read(b"[[%b]]" % lines.replace(b"\n", b"],["))
    if found is None or (found.array.dtype == np.int64 and NEGATIVE_ZERO in lines):
        return None
    return found.array
