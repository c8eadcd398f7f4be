"""The frameworks that run models, one module each, imported only for a model that needs it."""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from serving.errors import ModelLoadError
from serving.signature import Inputs, Outputs, Signature

if TYPE_CHECKING:
    from serving.plans import Plan

# Framework -> the module whose `load(path, plan)` gives a Model.
MODULES: Mapping[str, str] = {
    "lightgbm": "serving.backends.lightgbm",
    "onnx": "serving.backends.onnx",
    "pytorch": "serving.backends.torch",
    "scikit-learn": "serving.backends.sklearn",
    "tensorflow": "serving.backends.tensorflow",
    "xgboost": "serving.backends.xgboost",
}


class NotDivisibleError(Exception):
    """Why a model is run on all cores alone; for the log, never for a caller."""


class Model(Protocol):
    """A loaded model."""

    @property
    def signature(self) -> Signature:
        """Its inputs and outputs."""
        ...

    @property
    def alternatives(self) -> Mapping[str, "Model"]:
        """All of its signatures by name, this one included; empty for a format that knows but one."""
        ...

    @property
    def is_steady(self) -> bool:
        """Whether the time of a run follows from the inputs' shapes, so that a short one will be short again."""
        ...

    def run(self, inputs: Inputs) -> Outputs:
        """Run it on validated arrays; called from several threads at once.

        Raises:
            ModelRejectedInputError: these values are at fault.
            ModelFailedError: anything else.
        """
        ...


class Shrinkable(Model, Protocol):
    """A model that keeps the memory of its largest run for the next one; several may have it together."""

    def shrink(self, inputs: Inputs) -> None:
        """Run these once more, and keep no more than what is in use then. Raises what `run` raises."""
        ...


@runtime_checkable
class Divisible(Protocol):
    """A model that can be run on all cores, and on single ones, with one copy of its weights for both."""

    def divide(self) -> tuple[Shrinkable, Model]:
        """The same model for one run at a time on all cores, and for several at once on one core each.

        The two share their weights, but not with this one. Takes about as long as loading it.

        Raises:
            NotDivisibleError: it cannot be done, and why.
        """
        ...


@runtime_checkable
class Noted(Protocol):
    """A model of which there is something to know, such as that another version of its framework made it."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for the operator, each on one line."""
        ...


@runtime_checkable
class Stateful(Protocol):
    """A model that may keep something from one call to the next, so that whose answers depend on whose calls."""

    @property
    def state(self) -> str:
        """What it keeps, in words; empty for nothing."""
        ...


def state_of(model: Model) -> str:
    """What a model keeps between calls; mostly nothing, which is empty."""
    return model.state if isinstance(model, Stateful) else ""


def notes_of(model: Model) -> tuple[str, ...]:
    """What the operator should know of a model; mostly nothing."""
    return model.notes if isinstance(model, Noted) else ()


def module_of(framework: str, path: Path) -> ModuleType:
    """Import the framework that the model file at `path` needs, and its backend. Raises ModelLoadError."""
    try:
        return import_module(MODULES[framework])
    except ImportError as error:
        raise ModelLoadError(
            f"{path} needs {framework}, which this installation lacks ({error}). Use an image variant that has it."
        ) from error


def load(framework: str, path: Path, plan: "Plan") -> Model:
    """Import the framework and load the model file at `path` as the plan says. Raises ModelLoadError."""
    model: Model = module_of(framework, path).load(path, plan)
    return model
