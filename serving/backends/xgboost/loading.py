"""Loading boosters from files of every format that XGBoost has had."""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from serving.backends import pickles
from serving.backends.alone import without_sklearn
from serving.backends.xgboost.binary import NoModelError, as_json
from serving.backends.xgboost.pickled import ForeignPickleError, booster_state
from serving.contents import is_pickle
from serving.discovery import boosters_in
from serving.errors import ModelLoadError
from serving.plans import Plan

with without_sklearn():
    import xgboost as xgb

from serving.backends.xgboost.answers import Answers
from serving.backends.xgboost.model import XgboostModel, model_of

log = logging.getLogger(__name__)

# How pickles of XGBoost up to 1.2 begin: a word, the model's length in 8 bytes, the model in the binary format.
CONFIG_OFFSET = b"CONFIG-offset:"
LENGTH_BYTES = 8
JSON_BEGINNING = (b'{"', b"{\n", b"{ ", b"{\r", b"{\t")
ERROR_LENGTH = 600
INSTEAD = "Save the model as .ubj or .json (Booster.save_model), which holds no code."


def load(path: Path, plan: Plan) -> XgboostModel:
    """Load a file, or all of a folder as one model. Raises ModelLoadError."""
    xgb.set_config(verbosity=0)
    files = boosters_in(path) if path.is_dir() else [path]
    if not plan.settings.xgboost_ensemble:
        files = files[:1]
    loaded = [_booster(file, plan) for file in files]
    notes = tuple(f"{file.name} is {note}" for file, (_, note) in zip(files, loaded, strict=True) if note)
    boosters = [booster for booster, _ in loaded]
    config = json.loads(boosters[0].save_config())["learner"]
    settings = plan.settings
    answers = Answers(
        config["objective"]["name"],
        int(config["learner_model_param"]["num_class"]),
        settings.xgboost_output,
        settings.batch_transform,
    )
    notes += answers.check(str(path))
    for note in notes:
        log.warning("%s", note)
    if len(boosters) > 1:
        log.info("%d boosters answer together: %s", len(boosters), ", ".join(file.name for file in files))
    return model_of(boosters, str(path), answers, notes, plan.threads)


def _booster(file: Path, plan: Plan) -> tuple[Any, str]:
    """A booster, and in which old format it is, if it is in one. Raises ModelLoadError."""
    content = file.read_bytes()
    try:
        if is_pickle(content):
            pickles.permit(file, plan.settings, INSTEAD)
            return _of_state(booster_state(content)), ""
        return _of_content(content)
    except ForeignPickleError as error:
        raise ModelLoadError(
            f"{file} is a pickle that is no xgboost.Booster: {error}. Expected: a Booster. Call its estimator's "
            "get_booster().save_model('model.ubj'), or name the file model.pkl to have scikit-learn serve the "
            "estimator itself."
        ) from error
    except (xgb.core.XGBoostError, NoModelError, ValueError) as error:
        raise ModelLoadError(
            f"{file} could not be loaded by XGBoost {xgb.__version__}: {_short(error)} Expected: what "
            "Booster.save_model has written (.ubj, .json, or the binary format of versions before 3.1), or a pickled "
            "Booster. Check that the archive is complete, and that the model's version is not newer."
        ) from error


def _of_state(state: Mapping[str, Any]) -> Any:  # noqa: ANN401 (a Booster)
    handle = bytes(state["handle"])
    if handle.startswith(CONFIG_OFFSET):
        start = len(CONFIG_OFFSET) + LENGTH_BYTES
        length = int.from_bytes(handle[len(CONFIG_OFFSET) : start], "little")
        handle = handle[start : start + length]
    if handle[:1] == b"{" and not handle.startswith(JSON_BEGINNING):
        booster = xgb.Booster()
        booster.__setstate__({"handle": bytearray(handle)})
        return booster
    return _of_content(handle)[0]


def _of_content(content: bytes) -> tuple[Any, str]:
    """A booster of a file's content, or a pickle's, which has its model in a document with its settings."""
    if content.startswith(JSON_BEGINNING):
        document = json.loads(content)
        return _of_document(document.get("Model", document)), ""
    if content[:1] == b"{":
        return xgb.Booster(model_file=bytearray(content)), ""
    return _of_document(
        as_json(content, _objective)
    ), "in the binary format, which XGBoost itself reads no more; its numbers are the same"


def _of_document(document: Mapping[str, Any]) -> Any:  # noqa: ANN401 (a Booster)
    return xgb.Booster(model_file=bytearray(json.dumps(document).encode()))


def _objective(name: str, classes: int) -> Mapping[str, Any]:
    """An objective's part of a model's document, as this XGBoost writes it."""
    parameters = {"objective": name} | ({"num_class": classes} if classes else {})
    known = xgb.DMatrix(np.zeros((1, 1)))  # of which the booster keeps no reference of its own
    configured = xgb.Booster(parameters, cache=[known])
    objective: Mapping[str, Any] = json.loads(configured.save_config())["learner"]["objective"]
    return objective


def _short(error: Exception) -> str:
    """What an error says, without the stack of C++'s that XGBoost adds."""
    text = " ".join(str(error).partition("Stack trace:")[0].split())
    said = f"{type(error).__name__}: {text}"
    return said if len(said) <= ERROR_LENGTH else said[: ERROR_LENGTH - 1] + "…"
