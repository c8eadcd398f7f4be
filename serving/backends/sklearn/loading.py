"""Loading an estimator from a .skops file, which runs no code, or from a pickle, which does."""

import logging
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import joblib
import sklearn
from sklearn.exceptions import InconsistentVersionWarning

from serving.backends import pickles
from serving.backends.sklearn.model import SklearnModel, models_of
from serving.errors import ModelLoadError
from serving.plans import Plan

log = logging.getLogger(__name__)

SKOPS = ".skops"
# Errors of unpickling may quote much of what was found.
ERROR_LENGTH = 600
# As many names as people read in one line.
LISTED = 10


def load(path: Path, plan: Plan) -> SklearnModel:
    """Load the estimator and try which inputs it takes. Raises ModelLoadError."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        estimator = _of_skops(path, plan) if path.suffix == SKOPS else _of_pickle(path, plan)
    notes = tuple(_notes(caught))
    for note in notes:
        log.warning("%s", note)
    # What it was fitted on had names and a request's numbers have none; their order is in the signature.
    warnings.filterwarnings("ignore", message="X does not have valid feature names", category=UserWarning)
    return models_of(estimator, path, plan.settings.sklearn_method, notes)


def _of_skops(path: Path, plan: Plan) -> Any:  # noqa: ANN401 (any estimator)
    """Raises ModelLoadError."""
    from skops import io  # noqa: PLC0415 (for these files alone)

    trusted = plan.settings.skops_trusted
    try:
        unknown = [name for name in io.get_untrusted_types(file=path) if name not in trusted]
        if not unknown:
            return io.load(path, trusted=list(trusted))
    except Exception as error:
        raise _unloadable(path, error, "a file that skops.io.dump has written") from error
    raise ModelLoadError(
        f"{path} has types that neither skops nor you trust: {', '.join(unknown)}. Loading them could run code of "
        f"theirs. If you trust them, set SERVING_SKOPS_TRUSTED={','.join((*trusted, *unknown))}; else make the model "
        "without them."
    )


def _of_pickle(path: Path, plan: Plan) -> Any:  # noqa: ANN401 (any estimator)
    """Raises ModelLoadError."""
    pickles.permit(path, plan.settings, "Save the model as .skops (skops.io.dump), which runs none, or as .onnx.")
    try:
        return joblib.load(path)
    except (AttributeError, ImportError) as error:
        raise ModelLoadError(
            f"{path} could not be unpickled by scikit-learn {sklearn.__version__}: {_short(error)} It needs a class or "
            "function that is not here: one of your own, of another package, or of another version. Expected: a model "
            "made of scikit-learn's parts, by this version or one near it. For classes of your own add a script with "
            "model_fn to the archive (code/inference.py, and code/requirements.txt for packages)."
        ) from error
    # A pickle is code: it can raise anything.
    except Exception as error:
        raise _unloadable(path, error, "a pickle of joblib.dump or pickle.dump") from error


def _notes(caught: Iterable[warnings.WarningMessage]) -> Iterable[str]:
    """What loading warned of: versions that differ in one sentence; everything else goes to the log."""
    made: dict[str, dict[str, None]] = {}
    for warning in caught:
        message = warning.message
        if isinstance(message, InconsistentVersionWarning):
            made.setdefault(message.original_sklearn_version, {})[message.estimator_name] = None
        else:
            log.info("while the model was loaded: %s", _short(message))
    for version, names in made.items():
        listed = ", ".join(list(names)[:LISTED])
        rest = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
        yield (
            f"made by scikit-learn {version} ({listed}{rest}) and run by {sklearn.__version__}: its answers may differ "
            "from those where it was trained, so compare some, or save it anew with this version"
        )


def _unloadable(path: Path, error: Exception, expected: str) -> ModelLoadError:
    return ModelLoadError(
        f"{path} could not be loaded by scikit-learn {sklearn.__version__}: {_short(error)} Expected: {expected}, "
        "complete, and made by this version of scikit-learn or one near it. One that was made by a version too far "
        "away must be saved anew, or exported to .onnx (skl2onnx) by the version that made it."
    )


def _short(error: Exception | Warning | str) -> str:
    """What an error says, on one line, with its type."""
    said = f"{type(error).__name__}: {' '.join(str(error).split())}"
    return said if len(said) <= ERROR_LENGTH else said[: ERROR_LENGTH - 1] + "…"
