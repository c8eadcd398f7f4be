"""From the arrays of a request to what an estimator takes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from serving.backends.sklearn.evidence import text_columns
from serving.signature import STRING, Inputs, TensorSpec

# The one input of estimators that take a matrix or a list of texts: scikit-learn's own name for it.
NAME = "X"
ROWS = "rows"
NUMBERS = "float64"


class Layout(Protocol):
    """One way to hand an estimator its data."""

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """The inputs that requests fill."""
        ...

    def arrange(self, inputs: Inputs) -> Any:  # noqa: ANN401 (an array, a list or a data frame)
        """What the estimator takes, out of validated inputs. Raises ValueError for bytes that are no text."""
        ...

    def sample(self, rows: int, value: float) -> Inputs:
        """Inputs of so many rows, whose numbers are all the same."""
        ...


@dataclass(frozen=True, slots=True)
class Matrix:
    """Numbers alone: one array of float64, as it came; a data frame where the estimator asks for names."""

    columns: int
    names: tuple[str, ...] = ()

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """One matrix."""
        return (TensorSpec(NAME, NUMBERS, (ROWS, self.columns)),)

    def arrange(self, inputs: Inputs) -> Any:  # noqa: ANN401 (an array or a data frame)
        """The matrix."""
        return _frame({name: inputs[NAME][:, i] for i, name in enumerate(self.names)}) if self.names else inputs[NAME]

    def sample(self, rows: int, value: float) -> Inputs:
        """A matrix of one value."""
        return {NAME: np.full((rows, self.columns), value)}


@dataclass(frozen=True, slots=True)
class Texts:
    """One text a row, for what counts words."""

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """One list of texts."""
        return (TensorSpec(NAME, STRING, (ROWS,)),)

    def arrange(self, inputs: Inputs) -> Any:  # noqa: ANN401 (a list)
        """The list."""
        return [_text(value) for value in inputs[NAME]]

    def sample(self, rows: int, value: float) -> Inputs:
        """Texts that hold the value."""
        return {NAME: np.full(rows, f"a {value}", dtype=object)}


@dataclass(frozen=True, slots=True)
class Columns:
    """Text and numbers side by side: an input for each column, by its name.

    `texts` are those columns that are text, each with one that the estimator knows. They are put together to a data
    frame, or where the estimator knows no names, to an array of objects.
    """

    names: tuple[str, ...]
    texts: Mapping[str, str]
    framed: bool

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """One array a column."""
        return tuple(TensorSpec(name, STRING if name in self.texts else NUMBERS, (ROWS,)) for name in self.names)

    def arrange(self, inputs: Inputs) -> Any:  # noqa: ANN401 (a data frame or an array)
        """The columns put together."""
        columns = {
            name: np.array([_text(value) for value in inputs[name]], dtype=object)
            if name in self.texts
            else inputs[name]
            for name in self.names
        }
        if self.framed:
            return _frame(columns)
        together = np.empty((len(inputs[self.names[0]]), len(self.names)), dtype=object)
        for number, column in enumerate(columns.values()):
            together[:, number] = column
        return together

    def sample(self, rows: int, value: float) -> Inputs:
        """Columns of one value, and of a text that the estimator knows."""
        return {
            name: np.full(rows, self.texts[name], dtype=object) if name in self.texts else np.full(rows, value)
            for name in self.names
        }


def layouts_of(estimator: Any) -> Iterator[Layout]:  # noqa: ANN401 (any estimator)
    """The ways that may fit, the likeliest first."""
    count = getattr(estimator, "n_features_in_", None)
    if count is None:
        yield Texts()
        return
    names = _names(estimator)
    texts = text_columns(estimator, range(count))
    if not texts:
        yield Matrix(count)
        if names:
            yield Matrix(count, names)
        texts = dict.fromkeys(range(count), "a")
    called = names or tuple(f"x{number}" for number in range(count))
    yield Columns(called, {called[number]: text for number, text in texts.items()}, framed=bool(names))


def _names(estimator: Any) -> tuple[str, ...]:  # noqa: ANN401 (any estimator)
    """The columns' names where it was fitted on a data frame, empty where not."""
    names: Sequence[Any] = getattr(estimator, "feature_names_in_", ())
    return tuple(map(str, names))


def _frame(columns: Mapping[str, Any]) -> Any:  # noqa: ANN401 (a data frame)
    import pandas as pd  # noqa: PLC0415 (for estimators that were fitted on data frames)

    return pd.DataFrame(columns, copy=False)


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
