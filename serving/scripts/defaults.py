"""The functions that a script may leave out, as AWS's containers have them: by the framework of the model.

scikit-learn's take float32 out of JSON and CSV, as there; PyTorch's take tensors and give lists of numbers, which JSON,
CSV and NPY then have as float64; XGBoost's take a DMatrix. Whose they are is told by the model's class; a class of the
script's own is PyTorch's where that is installed, for then this is the image for it.
"""

import importlib.util
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from serving.contents import TorchContent, torch_content
from serving.discovery import TORCH_PREFERRED
from serving.scripts.contract import ScriptError
from serving.scripts.toolkit import CSV, TEXTS, decode, encode, named

LIBSVM = ("text/libsvm", "text/x-libsvm")
TORCH_ENDINGS = (".pt", ".pth")
# The packages that models' classes are looked for in.
FRAMEWORKS = ("torch", "xgboost.core", "sklearn", "xgboost", "lightgbm")
# TorchScript's errors hold whole stacks.
ERROR_LENGTH = 300


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


def input_fn_of(model: Any) -> Callable[[Any, str], Any]:  # noqa: ANN401 (any model)
    """Reads bodies as this model's framework wants them."""
    return {"torch": _torch_input, "xgboost.core": _xgboost_input}.get(_framework(model), _array_input)


def predict_fn_of(model: Any) -> Callable[[Any, Any], Any]:  # noqa: ANN401 (any model)
    """Has this model predict."""
    return {"torch": _torch_predict, "xgboost.core": _xgboost_predict}.get(_framework(model), _array_predict)


def output_fn(prediction: Any, accept: str) -> tuple[bytes, str]:  # noqa: ANN401 (whatever predict_fn gives)
    """Writes a prediction, a tensor too."""
    if hasattr(prediction, "detach"):
        prediction = prediction.detach().cpu().numpy().tolist()
    return encode(prediction, accept)


def _framework(model: Any) -> str:  # noqa: ANN401 (any model)
    known = next((name for name in FRAMEWORKS if _is_of(model, name)), "")
    return known or ("torch" if _has_torch() else "")


def _has_torch() -> bool:
    return importlib.util.find_spec("torch") is not None


def _is_of(model: Any, module: str) -> bool:  # noqa: ANN401 (any model)
    """Whether the model's class, or one that it is made from, is defined in a module or below it."""
    return any(f"{kind.__module__}.".startswith(f"{module}.") for kind in type(model).__mro__)


def _array_input(body: str | bytes, content_type: str) -> Any:  # noqa: ANN401 (an array)
    array = decode(body, content_type)
    if named(content_type) not in TEXTS:
        return array
    try:
        return array.astype(np.float32)
    except (ValueError, TypeError) as error:
        raise ScriptError("expected numbers, got something else; input_fn can read what else there is", 400) from error


def _array_predict(data: Any, model: Any) -> Any:  # noqa: ANN401 (any model)
    """A flat array is one row, or one column for a model of one feature; scikit-learn itself takes neither."""
    features = getattr(model, "n_features_in_", 0)
    flat = getattr(data, "ndim", 0) == 1 and features and data.size % features == 0
    return model.predict(data.reshape(-1, features) if flat else data)


def _torch_input(body: str | bytes, content_type: str) -> Any:  # noqa: ANN401 (a tensor)
    import torch  # noqa: PLC0415 (the model's own)

    return torch.from_numpy(_array_input(body, content_type))


def _torch_predict(data: Any, model: Any) -> Any:  # noqa: ANN401 (whatever the module gives)
    """As in AWS's container: without gradients, but not in inference mode, for output_fn may work in place."""
    import torch  # noqa: PLC0415 (the model's own)

    if not hasattr(model, "eval"):
        return model(data)
    model.eval()
    with torch.no_grad():
        return model(data)


def _xgboost_input(body: str | bytes, content_type: str) -> Any:  # noqa: ANN401 (a DMatrix)
    import xgboost as xgb  # noqa: PLC0415 (the model's own)

    kind = named(content_type)
    if kind in LIBSVM or kind == "application/x-recordio-protobuf":
        raise ScriptError(f"Content-Type: {kind} needs an input_fn; without one there is {CSV} and JSON", 415)
    return xgb.DMatrix(np.atleast_2d(decode(body, content_type)))


def _xgboost_predict(data: Any, model: Any) -> Any:  # noqa: ANN401 (a Booster)
    return model.predict(data, validate_features=False)
