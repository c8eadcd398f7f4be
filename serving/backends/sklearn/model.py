"""An estimator's methods, each as a model with a signature of its own."""

import logging
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import joblib
import numpy as np

from serving.backends.sklearn.layout import ROWS, Layout, Matrix, layouts_of
from serving.errors import ModelFailedError, ModelLoadError, ModelRejectedInputError
from serving.settings import SKLEARN_METHODS
from serving.signature import STRING, Array, Inputs, Outputs, Signature, TensorSpec

log = logging.getLogger(__name__)

# What an estimator is tried on: values that none, or hardly any, refuses (a logarithm wants no 0).
TRIED = (0.0, 1.0, 0.5)
# A number of rows that no estimator gives by chance.
TRIED_ROWS = 3
# Kinds of numpy's dtypes that formats can write.
PLAIN = "biuf"


class UnservableError(Exception):
    """What a method gives is nothing that an answer can carry; the text says what."""


class SklearnModel:
    """One method of an estimator; `alternatives` are all of them, this one included, by name."""

    def __init__(
        self,
        estimator: Any,  # noqa: ANN401 (scikit-learn is not typed)
        layout: Layout,
        signature: Signature,
        alternatives: Mapping[str, "SklearnModel"],
        notes: tuple[str, ...],
    ) -> None:
        self._estimator = estimator
        self._layout = layout
        self._signature = signature
        self._alternatives = alternatives
        self._notes = notes

    @property
    def signature(self) -> Signature:
        """Named as the method."""
        return self._signature

    @property
    def alternatives(self) -> Mapping[str, "SklearnModel"]:
        """All methods that are served."""
        return self._alternatives

    @property
    def is_steady(self) -> bool:
        """For a matrix of numbers; texts may be of any length."""
        return isinstance(self._layout, Matrix)

    @property
    def notes(self) -> tuple[str, ...]:
        """By which version it was made, where that is another."""
        return self._notes

    def run(self, inputs: Inputs) -> Outputs:
        """Call the method.

        Raises:
            ModelRejectedInputError: it refused these values (a ValueError: NaN, an unknown category).
            ModelFailedError: anything else that went wrong.
        """
        try:
            return dict(_call(self._estimator, self._signature.name, self._layout, inputs))
        except ValueError as error:
            raise ModelRejectedInputError from error
        except Exception as error:
            raise ModelFailedError from error


def models_of(
    estimator: Any,  # noqa: ANN401 (scikit-learn is not typed)
    path: Path,
    wanted: str,
    notes: tuple[str, ...],
) -> SklearnModel:
    """The models of an estimator's methods: the wanted one, else the first that it has, with its alternatives.

    Raises:
        ModelLoadError: it is no estimator that answers, does not have the wanted method, or takes no input of ours.
    """
    present = [name for name in SKLEARN_METHODS if callable(getattr(estimator, name, None))]
    if not present:
        raise ModelLoadError(
            f"{path} holds an object of type {_type(estimator)}, which has none of the methods "
            f"{', '.join(SKLEARN_METHODS)}. Expected: one fitted estimator or pipeline. Put preprocessing and model "
            "together in one sklearn.pipeline.Pipeline, or add a script with model_fn to the archive."
        )
    if wanted and wanted not in present:
        raise ModelLoadError(
            f"SERVING_SKLEARN_METHOD is {wanted!r}, which {path}, a {_type(estimator)}, does not have. Expected one of "
            f"{', '.join(present)}."
        )
    models: dict[str, SklearnModel] = {}
    first = wanted or present[0]
    for name in (first, *(name for name in present if name != first)):
        try:
            layout, outputs = _tried(estimator, name)
        except UnservableError as error:
            if name == first:
                raise ModelLoadError(
                    f"{path}, a {_type(estimator)}, cannot be served by its {name}: {error} Expected: a fitted "
                    "estimator that takes a matrix of numbers, a list of texts, or a data frame of both. "
                    "Add a script with model_fn to the archive for anything else."
                ) from error
            log.warning("the method %s is not served: %s", name, error)
            continue
        signature = Signature(layout.inputs, outputs, name)
        models[name] = SklearnModel(estimator, layout, signature, MappingProxyType(models), notes)
    return models[first]


def _tried(estimator: Any, name: str) -> tuple[Layout, tuple[TensorSpec, ...]]:  # noqa: ANN401 (any estimator)
    """The first layout that the method runs with, and what it gave. Raises UnservableError."""
    failures = []
    for layout in layouts_of(estimator):
        for value in TRIED:
            try:
                given = _call(estimator, name, layout, layout.sample(TRIED_ROWS, value))
            except UnservableError:
                raise
            except Exception as error:  # noqa: BLE001 (told if nothing else runs)
                failures.append(error)
            else:
                return layout, tuple(_spec(key, array) for key, array in given.items())
    raise UnservableError(f"it fails on every kind of input ({type(failures[0]).__name__}: {_line(failures[0])}).")


def _call(estimator: Any, name: str, layout: Layout, inputs: Inputs) -> dict[str, Array]:  # noqa: ANN401
    """Call a method: one array by its name, or several by numbered names where it gives several."""
    # n_jobs starts threads, whatever the estimator's own choice: processes would each hold the model.
    with joblib.parallel_config(backend="threading"):
        given = getattr(estimator, name)(layout.arrange(inputs))
    if isinstance(given, list | tuple) and given and all(hasattr(one, "shape") for one in given):
        return {f"{name}_{number}": _plain(one) for number, one in enumerate(given)}
    return {name: _plain(given)}


def _plain(given: Any) -> Array:  # noqa: ANN401 (an array, a sparse one, or a data frame)
    """An array of numbers, or of `str`. Raises UnservableError."""
    for dense in ("toarray", "to_numpy"):
        if hasattr(given, dense):
            given = getattr(given, dense)()
    array = np.asarray(given)
    if array.dtype.kind == "O" and not all(isinstance(value, str) for value in array.flat):
        array = np.array(array.tolist())
    if array.dtype.kind in "OU":
        return array.astype(object)
    if array.dtype.kind not in PLAIN:
        raise UnservableError(f"it gives values of type {array.dtype}.")
    return array


def _spec(name: str, array: Array) -> TensorSpec:
    dtype = STRING if array.dtype == object else array.dtype.name
    if array.ndim and array.shape[0] == TRIED_ROWS:
        return TensorSpec(name, dtype, (ROWS, *array.shape[1:]))
    return TensorSpec(name, dtype, tuple(f"{name}.{axis}" for axis in range(array.ndim)))


def _type(estimator: object) -> str:
    return f"{type(estimator).__module__.partition('.')[0]}'s {type(estimator).__name__}"


def _line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 200 else text[:199] + "…"  # noqa: PLR2004 (as much as people read)
