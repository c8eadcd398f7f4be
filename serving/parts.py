"""A request of more rows than a run gains by, run in parts: as if each of them were a request.

Several lanes work on it at once then, others' requests come between, and the intermediate results of a run need no more
memory than those of others: 25 MB are 40 pictures, or 166 of bytes, and what one run took is kept for the next.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import ceil
from typing import NamedTuple, TypeAlias

import numpy as np

from serving.answer import Answer
from serving.batch import check_rows, split
from serving.errors import ModelFailedError, ServingError
from serving.signature import Inputs, Outputs, Value

# A request's part of the outputs, or its answer where a batch's were written at once; or the error it came to.
Outcome: TypeAlias = Outputs | Answer | ServingError
Tell: TypeAlias = Callable[[Outcome], None]


class Part(NamedTuple):
    """Some of a request's rows, or all: their arrays, how many there are, and who is told their answer."""

    inputs: Inputs
    rows: int
    tell: Tell


def cut(whole: Part, most: int) -> list[Part]:
    """As few parts as have `most` rows at most, of sizes as equal as can be; their arrays are views, not copies."""
    number = ceil(whole.rows / most)
    rows = [end - start for start, end in pairwise(whole.rows * part // number for part in range(number + 1))]
    told = Gathering(rows, whole.tell).part
    return [
        Part(inputs, count, told(index))
        for index, (inputs, count) in enumerate(zip(split(whole.inputs, rows), rows, strict=True))
    ]


class Gathering:
    """Puts the parts' answers together again.

    Args:
        rows: of each part, in order.
        tell: called once, with the whole answer, or with the first error that a part came to.
    """

    def __init__(self, rows: Sequence[int], tell: Tell) -> None:
        self._rows = rows
        self._tell = tell
        self._answers: dict[int, Outputs] = {}
        self._has_failed = False

    def part(self, index: int) -> Tell:
        """What is to be told the outcome of this part."""
        return lambda outcome: self._take(index, outcome)

    def _take(self, index: int, outcome: Outcome) -> None:
        if self._has_failed:
            return
        if isinstance(outcome, ServingError):
            self._has_failed = True
            self._answers.clear()
            self._tell(outcome)
            return
        assert not isinstance(outcome, Answer)  # parts are not written by themselves  # noqa: S101
        self._answers[index] = outcome
        if len(self._answers) == len(self._rows):
            self._tell(self._whole())

    def _whole(self) -> Outcome:
        answers = [self._answers[index] for index in range(len(self._rows))]
        try:
            for answer, rows in zip(answers, self._rows, strict=True):
                check_rows(answer, rows, "run")
            return {name: _joined(name, [answer[name] for answer in answers]) for name in answers[0]}
        except ModelFailedError as error:
            return error


def _joined(name: str, values: Sequence[Value]) -> Value:
    """One output's rows: of arrays, or of lists of one dict a row. Raises ModelFailedError."""
    if isinstance(values[0], np.ndarray):
        try:
            return np.concatenate(values)  # type: ignore[arg-type]  # all are, by check_rows
        except ValueError:
            raise ModelFailedError(f"output {name!r} has rows of several shapes: {_shapes(values)}") from None
    return [row for value in values for row in value or ()]


def _shapes(values: Sequence[Value]) -> str:
    return " and ".join(dict.fromkeys(str(list(np.shape(value)[1:])) for value in values))  # type: ignore[arg-type]
