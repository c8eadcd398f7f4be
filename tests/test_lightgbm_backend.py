"""LightGBM's text models on the real LightGBM."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris

from serving import backends
from serving.backends import Model
from serving.budget import Budget
from serving.discovery import FoundModel, find_model
from serving.errors import ModelFailedError, ModelLoadError
from serving.plans import make_plan
from serving.processor import Processor
from serving.settings import Settings
from serving.signature import Array, TensorSpec
from serving.warmup import warm_up

PLAN = make_plan("lightgbm", Processor("x86_64", "any"), Budget(2, frozenset({0, 1}), 2), Settings(), {})
QUIET = {"verbosity": -1, "num_leaves": 7, "min_data_in_leaf": 5}


def trained(objective: str, data: Callable[..., Any], **more: object) -> tuple[lgb.Booster, Array]:
    x, y = data(return_X_y=True)
    x[::7, 2] = np.nan
    return lgb.train({**QUIET, "objective": objective, **more}, lgb.Dataset(x, y), 10), x


def loaded(path: Path) -> Model:
    return backends.load("lightgbm", path, PLAN)


@pytest.mark.parametrize(
    ("objective", "data", "more"),
    [
        ("binary", load_breast_cancer, {}),
        ("regression", load_diabetes, {}),
        ("multiclass", load_iris, {"num_class": 3}),
    ],
)
def test_predictions_are_those_in_process(
    tmp_path: Path, objective: str, data: Callable[..., Any], more: dict[str, object]
) -> None:
    booster, x = trained(objective, data, **more)
    booster.save_model(tmp_path / "model.txt")
    assert find_model(tmp_path) == FoundModel("lightgbm", tmp_path / "model.txt")
    model = loaded(tmp_path / "model.txt")
    expected = booster.predict(x)
    answer = model.run({"X": x})["score"]
    assert isinstance(answer, np.ndarray)
    assert isinstance(expected, np.ndarray)
    np.testing.assert_array_equal(answer, expected)
    assert model.signature.inputs == (TensorSpec("X", "float64", ("rows", x.shape[1])),)
    assert model.signature.outputs == (TensorSpec("score", "float64", ("rows", *expected.shape[1:])),)
    assert warm_up(model, 4).joins
    assert model.is_steady
    assert model.alternatives == {}


@pytest.mark.parametrize("content", ["tree\nversion=v4\n", "tree\nversion=v4\nnum_class=1\n", "nonsense"])
def test_a_file_that_is_no_model_is_told_with_its_path(tmp_path: Path, content: str) -> None:
    (tmp_path / "model.txt").write_text(content)
    with pytest.raises(ModelLoadError, match=r"model\.txt could not be loaded by LightGBM .*Expected: "):
        loaded(tmp_path / "model.txt")


def test_what_goes_wrong_otherwise_is_not_the_callers_fault(tmp_path: Path) -> None:
    trained("binary", load_breast_cancer)[0].save_model(tmp_path / "model.txt")
    with pytest.raises(ModelFailedError):
        loaded(tmp_path / "model.txt").run({})  # which validation never lets happen
