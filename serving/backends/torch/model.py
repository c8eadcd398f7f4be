"""A loaded module or program: its signature, and running it."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from threading import Lock
from typing import Any

import torch

from serving.backends.torch.tensors import array, named, tensor
from serving.errors import ModelFailedError, ModelRejectedInputError
from serving.signature import Inputs, Outputs, Signature

# What PyTorch's operators raise for values that they cannot run on (an index outside its table, sizes that do not go
# together); AssertionError is what the program of torch.export raises for a size outside of its range.
REJECTIONS = (RuntimeError, torch.jit.Error, IndexError, ValueError, AssertionError)
# But for a RuntimeError with one of these in it, which is about memory.
OUT_OF_MEMORY = ("can't allocate memory", "not enough memory")


@dataclass(frozen=True, slots=True)
class Program:
    """A module as it was loaded.

    `call` takes the inputs' tensors by name. `dtypes` are those that it wants them in. `state` says what it keeps
    between calls, empty for nothing; `is_straight` whether it has no loop, so that its time follows from the shapes.
    """

    call: Callable[[Mapping[str, torch.Tensor]], Any]
    dtypes: Mapping[str, torch.dtype]
    signature: Signature
    state: str
    is_straight: bool


class TorchModel:
    """Runs a program; one that keeps something between calls runs one call at a time."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._one_at_a_time: AbstractContextManager[object] = Lock() if program.state else nullcontext()

    @property
    def signature(self) -> Signature:
        """The names of `forward`'s arguments, and of what it gives (see `named`)."""
        return self._program.signature

    @property
    def alternatives(self) -> Mapping[str, "TorchModel"]:
        """None: `forward` is what is served."""
        return {}

    @property
    def is_steady(self) -> bool:
        """For a module without loops."""
        return self._program.is_straight and not self._program.state

    @property
    def state(self) -> str:
        """What it keeps between calls."""
        return self._program.state

    @property
    def notes(self) -> tuple[str, ...]:
        """That its answers depend on the calls before, where they may."""
        return (state_note(self.state),) if self.state else ()

    def run(self, inputs: Inputs) -> Outputs:
        """Run `forward` in inference mode.

        Raises:
            ModelRejectedInputError: an operator refused these values or sizes.
            ModelFailedError: anything else that went wrong.
        """
        try:
            tensors = {name: tensor(given, self._program.dtypes.get(name)) for name, given in inputs.items()}
            with self._one_at_a_time, torch.inference_mode():
                given = self._program.call(tensors)
            return {name: array(value) for name, value in named(given).items()}
        except REJECTIONS as error:
            if any(words in str(error) for words in OUT_OF_MEMORY):
                raise ModelFailedError from error
            raise ModelRejectedInputError from error
        except Exception as error:
            raise ModelFailedError from error


def state_note(state: str) -> str:
    """What the operator should know of such a model."""
    return (
        f"the model keeps something between calls ({state}): requests run one at a time and never together, and an "
        "answer may depend on those before it, of whichever caller"
    )
