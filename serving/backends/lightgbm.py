"""LightGBM's text models."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from serving.backends.alone import without_sklearn
from serving.errors import ModelFailedError, ModelLoadError, ModelRejectedInputError
from serving.plans import Plan
from serving.signature import Array, Inputs, Outputs, Signature, TensorSpec

with without_sklearn():
    import lightgbm as lgb

log = logging.getLogger(__name__)

NAME, SCORE, ROWS = "X", "score", "rows"
# A number of rows that no model gives by chance.
TRIED_ROWS = 3


class LightgbmModel:
    """Takes a float64 matrix in which NaN stands for an absent value; gives what `Booster.predict` gives."""

    # A tree's depth bounds a row's way through it.
    is_steady = True

    def __init__(self, booster: Any, signature: Signature, threads: int) -> None:  # noqa: ANN401 (a Booster)
        self._booster = booster
        self._signature = signature
        self._threads = threads

    @property
    def signature(self) -> Signature:
        """One matrix in, one array of scores out."""
        return self._signature

    @property
    def alternatives(self) -> Mapping[str, "LightgbmModel"]:
        """None."""
        return {}

    def run(self, inputs: Inputs) -> Outputs:
        """Predict.

        Raises:
            ModelRejectedInputError: LightGBM refused these values.
            ModelFailedError: anything else that went wrong.
        """
        try:
            return {SCORE: _predicted(self._booster, inputs[NAME], self._threads)}
        except (lgb.basic.LightGBMError, ValueError) as error:
            raise ModelRejectedInputError from error
        except Exception as error:
            raise ModelFailedError from error


def load(path: Path, plan: Plan) -> LightgbmModel:
    """Load the model, and learn from a trial what it gives. Raises ModelLoadError."""
    lgb.register_logger(log)  # it would print instead
    try:
        booster = lgb.Booster(model_file=path)
        given = _predicted(booster, np.zeros((TRIED_ROWS, booster.num_feature())), plan.threads)
    except lgb.basic.LightGBMError as error:
        raise ModelLoadError(
            f"{path} could not be loaded by LightGBM {lgb.__version__}: {error}. Expected: what Booster.save_model has "
            "written, complete, and by a version that is not newer."
        ) from error
    signature = Signature(
        (TensorSpec(NAME, "float64", (ROWS, booster.num_feature())),),
        (TensorSpec(SCORE, given.dtype.name, (ROWS, *given.shape[1:])),),
    )
    return LightgbmModel(booster, signature, plan.threads)


def _predicted(booster: Any, matrix: Array, threads: int) -> Array:  # noqa: ANN401 (a Booster)
    return np.asarray(booster.predict(matrix, num_threads=threads))
