"""The functions that a script may leave out, as AWS's containers have them: by the framework of the model.

    scikit-learn   float32 out of JSON and CSV; model.predict
    XGBoost        a DMatrix out of CSV, libsvm or recordio-protobuf; model.predict(validate_features=False)
    PyTorch        a tensor; the module without gradients; lists of its answer's numbers, which are float64 in npy
    any other      what the newer toolkit reads, with the types that the numbers have; model.predict

Which container a script was made for nobody says. The class of its model does mostly, and where that is the script's
own, what it has imported; where that tells nothing, PyTorch if it is installed, for then this is the image for it.
"""

import importlib.util
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from serving.contents import TorchContent, torch_content
from serving.discovery import TORCH_PREFERRED
from serving.scripts.contract import ScriptError
from serving.scripts.toolkit import (
    CSV,
    JSON,
    NPY,
    TEXTS,
    Read,
    UnsupportedFormatError,
    Write,
    decode,
    encode,
    named,
    read_newer,
    read_older,
    write_newer,
    write_older,
)

TORCH_ENDINGS = (".pt", ".pth")
# TorchScript's errors hold whole stacks.
ERROR_LENGTH = 300


@dataclass(frozen=True, slots=True)
class Defaults:
    """What one of the containers does where a script does not say.

    `read(body, content_type, model)`, `predict(data, model)` and `write` are its functions. `flask` says that its
    server is Flask, which makes answers of what a script returns in a way of its own.
    """

    read: Callable[[Any, str, Any], Any]
    predict: Callable[[Any, Any], Any]
    write: Write
    flask: bool = False

    def output_fn(self, prediction: Any, accept: str) -> tuple[bytes, str]:  # noqa: ANN401 (whatever predict_fn gives)
        """Writes a prediction, a tensor too."""
        if hasattr(prediction, "detach"):
            prediction = prediction.detach().cpu().numpy().tolist()
        return encode(prediction, accept, self.write)


def model_fn(model_dir: str) -> Any:  # noqa: ANN401 (a TorchScript module)
    """A script without model_fn: the one TorchScript file, as in AWS's PyTorch container. Raises ScriptError."""
    files = sorted(path for path in Path(model_dir).iterdir() if path.is_file() and path.suffix in TORCH_ENDINGS)
    preferred = [path for path in files if path.name == TORCH_PREFERRED] or files
    if len(preferred) != 1 or not _has_torch():
        raise ScriptError(
            "It defines no model_fn, and only a single TorchScript file (.pt, .pth) is loaded without one, where "
            f"PyTorch is installed; found {', '.join(path.name for path in files) or 'none'}. Expected: "
            "model_fn(model_dir), which loads the model and returns it."
        )
    import torch  # noqa: PLC0415 (an image's own)

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # newer versions tell programmers to use torch.export
            return torch.jit.load(str(preferred[0]), map_location="cpu")
    except RuntimeError as error:
        content = torch_content(preferred[0])
        found = "" if content is TorchContent.TORCHSCRIPT else f": it holds {content.value}"
        raise ScriptError(
            f"It defines no model_fn, and {preferred[0].name} could not be loaded as TorchScript{found} "
            f"({' '.join(str(error).split())[:ERROR_LENGTH]}). Expected: what torch.jit.save has written, or "
            "model_fn(model_dir), which loads the model and returns it."
        ) from error


def defaults_of(model: Any) -> Defaults:  # noqa: ANN401 (any model)
    """Those of the container that the script was made for."""
    kinds = {"torch": TORCH, "xgboost.core": XGBOOST, "sklearn": SKLEARN}
    by_class = next((kinds[module] for module in kinds if _is_of(model, module)), None)
    by_import = next((kinds[module] for module in kinds if module in sys.modules), None)
    return by_class or by_import or (TORCH if _has_torch() else GENERIC)


def _has_torch() -> bool:
    return importlib.util.find_spec("torch") is not None


def _is_of(model: Any, module: str) -> bool:  # noqa: ANN401 (any model)
    """Whether the model's class, or one that it is made from, is defined in a module or below it."""
    return any(f"{kind.__module__}.".startswith(f"{module}.") for kind in type(model).__mro__)


def _as_it_is(body: str | bytes, content_type: str, _model: object) -> Any:  # noqa: ANN401 (an array)
    return decode(body, content_type, read_newer)


def _predict(data: Any, model: Any) -> Any:  # noqa: ANN401 (any model)
    """A flat array is one row, or one column for a model of one feature; scikit-learn itself takes neither."""
    if not callable(getattr(model, "predict", None)):
        raise ScriptError(
            f"It defines no predict_fn, and its model, a {type(model).__name__}, has no method predict. Expected: "
            "predict_fn(data, model), which returns what the model makes of the data."
        )
    features = getattr(model, "n_features_in_", 0)
    flat = getattr(data, "ndim", 0) == 1 and features and data.size % features == 0
    return model.predict(data.reshape(-1, features) if flat else data)


def _single_precision(body: str | bytes, content_type: str, read: Read) -> Any:  # noqa: ANN401 (an array)
    """An array, out of text always of float32."""
    array = decode(body, content_type, read)
    if named(content_type) not in TEXTS:
        return array
    try:
        return array.astype(np.float32)
    except (ValueError, TypeError) as error:
        raise ScriptError("expected numbers, got something else; input_fn can read what else there is", 400) from error


def _sklearn_input(body: str | bytes, content_type: str, _model: object) -> Any:  # noqa: ANN401 (an array)
    return _single_precision(body, content_type, read_older)


def _torch_input(body: str | bytes, content_type: str, _model: object) -> Any:  # noqa: ANN401 (a tensor)
    import torch  # noqa: PLC0415 (the model's own)

    return torch.from_numpy(_single_precision(body, content_type, read_newer))


def _torch_predict(data: Any, model: Any) -> Any:  # noqa: ANN401 (whatever the module gives)
    """As in AWS's container: without gradients, but not in inference mode, for output_fn may work in place."""
    import torch  # noqa: PLC0415 (the model's own)

    if not hasattr(model, "eval"):
        return model(data)
    model.eval()
    with torch.no_grad():
        return model(data)


def _xgboost_input(body: str | bytes, content_type: str, model: Any) -> Any:  # noqa: ANN401 (a DMatrix)
    """CSV with any delimiter, libsvm, recordio-protobuf; and JSON and npy, which the container does not read."""
    import xgboost as xgb  # noqa: PLC0415 (the model's own)

    from serving.scripts import dmatrix  # noqa: PLC0415

    try:
        if named(content_type) in (JSON, NPY):
            matrix = xgb.DMatrix(np.atleast_2d(decode(body, content_type, read_older)))
        else:
            matrix = dmatrix.decode(body, content_type)
    except UnsupportedFormatError:
        expected = ", ".join((CSV, *dmatrix.LIBSVM, dmatrix.RECORDIO, JSON, NPY))
        raise ScriptError(f"Content-Type: expected one of {expected}, got {content_type!r}", status=415) from None
    except (ValueError, TypeError) as error:
        raise ScriptError("expected numbers, got something else; input_fn can read what else there is", 400) from error
    if matrix.num_col() > model.num_features():
        raise ScriptError(f"expected at most {model.num_features()} features, got {matrix.num_col()}", status=400)
    return matrix


def _xgboost_predict(data: Any, model: Any) -> Any:  # noqa: ANN401 (a Booster)
    return model.predict(data, validate_features=False)


GENERIC = Defaults(_as_it_is, _predict, write_newer)
SKLEARN = Defaults(_sklearn_input, _predict, write_older, flask=True)
XGBOOST = Defaults(_xgboost_input, _xgboost_predict, write_older)
TORCH = Defaults(_torch_input, _torch_predict, write_newer)
