"""Models that need no framework, for tests of what is built around `serving.backends.Model`."""

from collections.abc import Callable, Mapping
from threading import Lock

import numpy as np

from serving.backends import Model
from serving.errors import ModelRejectedInputError
from serving.signature import Inputs, Outputs, Signature
from signatures import one_input


class Recorder:
    """Answers by a function, and keeps what it was asked."""

    def __init__(
        self, answer: Callable[[Inputs], Outputs], signature: Signature | None = None, *, is_steady: bool = False
    ) -> None:
        self.is_steady = is_steady
        self.asked: list[Inputs] = []
        self._answer = answer
        self._signature = signature or one_input()
        self._lock = Lock()

    @property
    def signature(self) -> Signature:
        """Of one float32 input unless told otherwise."""
        return self._signature

    @property
    def alternatives(self) -> Mapping[str, Model]:
        """None, unless a test says otherwise."""
        return {}

    @property
    def rows(self) -> list[int]:
        """The rows of each run."""
        return [len(next(iter(inputs.values()))) for inputs in self.asked]

    def run(self, inputs: Inputs) -> Outputs:
        """Answer, from any thread."""
        with self._lock:
            self.asked.append(inputs)
        return self._answer(inputs)


def identity(inputs: Inputs) -> Outputs:
    """`y` is `x`."""
    return {"y": inputs["x"]}


def refusing(bad: float) -> Callable[[Inputs], Outputs]:
    """The identity, but a run with `bad` anywhere in it fails."""

    def answer(inputs: Inputs) -> Outputs:
        if (inputs["x"] == bad).any():
            raise ModelRejectedInputError
        return identity(inputs)

    return answer


def row(*values: float) -> Inputs:
    """A request of one row."""
    return {"x": np.array([values], dtype=np.float32)}
