"""What reading JSON's numbers straight into a buffer is worth, against lists of Python objects made into an array.

    .venv/bin/python benchmarks/decoding.py

Both ways of `serving.codecs.json` on the same bodies, in turns; the figure is the median of the turns' ratios.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter

# Run by its path, a script does not see the package beside its folder.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import orjson

from serving.codecs import json_text, numbers
from serving.codecs.layout import from_rows
from serving.signature import Signature, TensorSpec

SHAPES = ((1, 4), (1, 32), (1, 1024), (8, 1024), (1, 3, 224, 224))
TURNS = 31
# A turn of a small body repeats it, for the clock to see it.
NUMBERS_A_TURN = 100_000


def main() -> None:
    """Print a line for each shape."""
    print("shape                 bytes     lists       buffer   times")
    for shape in SHAPES:
        array = np.random.default_rng(0).random(shape, np.float32)
        body = orjson.dumps({"instances": array}, option=orjson.OPT_SERIALIZE_NUMPY)
        signature = Signature((TensorSpec("x", "float32", ("N", *shape[1:])),), ())
        repeats = max(1, NUMBERS_A_TURN // array.size)
        turns = [[_seconds(way, body, signature, repeats) for way in (_lists, _buffer)] for _ in range(TURNS)]
        lists, buffer = median(one for one, _ in turns), median(other for _, other in turns)
        times = median(one / other for one, other in turns)
        print(f"{shape!s:<18} {len(body):>8} {lists * 1e6:>7.1f} us {buffer * 1e6:>9.1f} us {times:>6.2f}")


def _lists(body: bytes, signature: Signature) -> object:
    return from_rows(json_text.parse(body)["instances"], signature)


def _buffer(body: bytes, _signature: Signature) -> object:
    return numbers.read(body)


def _seconds(read: Callable[[bytes, Signature], object], body: bytes, signature: Signature, repeats: int) -> float:
    started = perf_counter()
    for _ in range(repeats):
        read(body, signature)
    return (perf_counter() - started) / repeats


if __name__ == "__main__":
    main()
