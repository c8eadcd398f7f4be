"""Which of an estimator's columns hold text, by what it has learnt of them when it was fitted.

scikit-learn keeps the number of columns and perhaps their names, never their types. But an encoder keeps the
categories that it saw, an imputer what it fills in, and what counts words works on nothing else.
"""

from collections.abc import Sequence
from typing import Any

# The parts of estimators that are built around another, which gets their columns as they are.
INNER = ("best_estimator_", "regressor_", "estimator_", "estimator", "transformer_", "_preprocessor")


def text_columns(estimator: Any, columns: Sequence[int]) -> dict[int, str]:  # noqa: ANN401 (any estimator)
    """The columns (by number, out of `columns`, which are the estimator's) that are text, each with a text it knows."""
    found: dict[int, str] = {}
    for part, own in _parts(estimator, columns):
        found |= text_columns(part, own) | found
    if hasattr(estimator, "build_analyzer"):  # what counts or hashes words
        return dict.fromkeys(columns, "a") | found
    for column, categories in zip(columns, _of_each(estimator, "categories_", columns), strict=False):
        texts = [value for value in categories if isinstance(value, str)]
        if texts:
            found.setdefault(column, str(texts[0]))
    for column, filled in zip(columns, _of_each(estimator, "statistics_", columns), strict=False):
        if isinstance(filled, str):
            found.setdefault(column, filled)
    return found


def _of_each(estimator: Any, name: str, columns: Sequence[int]) -> Sequence[Any]:  # noqa: ANN401 (any estimator)
    """What an estimator has learnt of each of its columns; empty where it has nothing of that name."""
    learnt = getattr(estimator, name, ())
    return learnt if hasattr(learnt, "__len__") and len(learnt) == len(columns) else ()


def _parts(estimator: Any, columns: Sequence[int]) -> list[tuple[Any, Sequence[int]]]:  # noqa: ANN401 (any estimator)
    """The parts that see the estimator's columns before anything has changed their number, with those that they see."""
    if hasattr(estimator, "transformers_"):
        selected = estimator._transformer_to_input_indices  # noqa: SLF001 (the only place that has them resolved)
        return [
            (part, [columns[index] for index in selected[name]])
            for name, part, _ in estimator.transformers_
            if not isinstance(part, str)
        ]
    if hasattr(estimator, "steps"):
        return [(step, columns) for step in _unchanged(estimator.steps, len(columns))]
    if hasattr(estimator, "transformer_list"):
        return [(part, columns) for _, part in estimator.transformer_list if not isinstance(part, str)]
    inner = (getattr(estimator, name, None) for name in INNER)
    return [(part, columns) for part in inner if hasattr(part, "get_params")]


def _unchanged(steps: Sequence[tuple[str, Any]], count: int) -> list[Any]:
    """The steps of a pipeline up to the first that gets another number of columns than the pipeline."""
    seen: list[Any] = []
    for _, step in steps:
        if step is None or isinstance(step, str):
            continue
        if seen and getattr(step, "n_features_in_", None) != count:
            break
        seen.append(step)
    return seen
