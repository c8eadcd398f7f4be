"""One or several boosters as a model."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xgboost as xgb

from serving.backends.xgboost.answers import ACCEPT, Answers
from serving.codecs import Format
from serving.errors import ModelFailedError, ModelLoadError, ModelRejectedInputError
from serving.signature import Array, Inputs, Outputs, Signature, TensorSpec

NAME, SCORE, ROWS = "X", "score", "rows"
# Objectives whose answers are labels: an ensemble's is what most of its boosters say. AWS's container's rule.
VOTED = frozenset({"multi:softmax", "binary:hinge"})
# A number of rows that no model gives by chance.
TRIED_ROWS = 3


class XgboostModel:
    """Takes a float32 matrix in which NaN stands for an absent value; gives what `Booster.predict` gives."""

    # A tree's depth bounds a row's way through it.
    is_steady = True
    default_accept = ACCEPT
    # AWS's container's rule.
    empty_is_nothing = True

    def __init__(self, boosters: Sequence[Any], signature: Signature, answers: Answers, notes: tuple[str, ...]) -> None:
        self._boosters = boosters
        self._in_place = [_in_place(booster) for booster in boosters]
        self._signature = signature
        self._answers = answers
        self._notes = notes

    @property
    def signature(self) -> Signature:
        """One matrix in, one array of scores out."""
        return self._signature

    @property
    def alternatives(self) -> Mapping[str, "XgboostModel"]:
        """None."""
        return {}

    @property
    def notes(self) -> tuple[str, ...]:
        """In which old format it is, where it is in one."""
        return self._notes

    def formats(self, limit: int) -> tuple[Format, ...]:
        """Requests and answers as AWS's container has them."""
        return self._answers.formats(limit)

    def run(self, inputs: Inputs) -> Outputs:
        """Predict.

        Raises:
            ModelRejectedInputError: XGBoost refused these values (an infinity).
            ModelFailedError: anything else that went wrong.
        """
        try:
            return {SCORE: self._predict(inputs[NAME])}
        except (xgb.core.XGBoostError, ValueError) as error:
            raise ModelRejectedInputError from error
        except Exception as error:
            raise ModelFailedError from error

    def _predict(self, matrix: Array) -> Array:
        pairs = zip(self._boosters, self._in_place, strict=True)
        each = [predicted(booster, matrix, in_place=in_place) for booster, in_place in pairs]
        if len(each) == 1:
            return each[0]
        return _majority(np.stack(each)) if self._answers.objective in VOTED else np.mean(each, axis=0)


def predicted(booster: Any, matrix: Array, *, in_place: bool) -> Array:  # noqa: ANN401 (a Booster)
    """What `Booster.predict` gives; in place spares a copy of the matrix, and half the time of a small one."""
    if in_place:
        return np.asarray(booster.inplace_predict(matrix, validate_features=False))
    return np.asarray(booster.predict(xgb.DMatrix(matrix), validate_features=False))


def model_of(
    boosters: Sequence[Any], where: str, answers: Answers, notes: tuple[str, ...], threads: int
) -> XgboostModel:
    """Try the boosters, and learn from that what they give. Raises ModelLoadError."""
    features = [int(booster.num_features()) for booster in boosters]
    shapes = []
    for booster, count in zip(boosters, features, strict=True):
        booster.set_param({"nthread": threads})
        given = predicted(booster, np.zeros((TRIED_ROWS, count), np.float32), in_place=_in_place(booster))
        shapes.append(given.shape)
    if len(set(features)) > 1 or len(set(shapes)) > 1:
        raise ModelLoadError(
            f"{where} holds models that do not go together: they take {features} features and give {shapes} for "
            f"{TRIED_ROWS} rows. Expected: models of one kind, whose answers are joined. Keep the one to serve, or set "
            "SAGEMAKER_INFERENCE_ENSEMBLE=false for the first by name."
        )
    output = TensorSpec(SCORE, "float32", (ROWS, *shapes[0][1:]))
    signature = Signature((TensorSpec(NAME, "float32", (ROWS, features[0])),), (output,))
    return XgboostModel(boosters, signature, answers, notes)


def _majority(labels: Array) -> Array:
    """For each row the label that most boosters give, the lowest of those."""
    candidates = np.unique(labels)
    votes = (labels == candidates.reshape(-1, *(1,) * labels.ndim)).sum(axis=1)
    return np.asarray(candidates[votes.argmax(axis=0)])


def _in_place(booster: Any) -> bool:  # noqa: ANN401 (a Booster)
    """Whether predicting in place gives the same bits: linear boosters cannot, dart's sums are in another order."""
    return bool(json.loads(booster.save_config())["learner"]["gradient_booster"]["name"] == "gbtree")
