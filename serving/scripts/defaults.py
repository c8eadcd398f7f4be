"""The functions that a script may leave out, as AWS's containers have them: by the framework of the model.

scikit-learn's take float32 out of JSON and CSV, as there; PyTorch's take tensors and give arrays; XGBoost's take a
DMatrix.
"""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from serving.scripts.contract import ScriptError
from serving.scripts.toolkit import CSV, TEXTS, decode, encode, named

LIBSVM = ("text/libsvm", "text/x-libsvm")
TORCH_ENDINGS = (".pt", ".pth")


def model_fn(model_dir: str) -> Any:  # noqa: ANN401 (a TorchScript module)
    """A script without model_fn: the one TorchScript file, as in AWS's PyTorch container. Raises ScriptError."""
    files = sorted(path for path in Path(model_dir).iterdir() if path.suffix in TORCH_ENDINGS)
    preferred = [path for path in files if path.name == "model.pt"] or files
    if len(preferred) != 1 or importlib.util.find_spec("torch") is None:
        raise ScriptError(
            "It defines no model_fn, and only a single TorchScript file (.pt, .pth) is loaded without one, where "
            f"PyTorch is installed; found {', '.join(path.name for path in files) or 'none'}. Expected: "
            "model_fn(model_dir), which loads the model and returns it."
        )
    import torch  # noqa: PLC0415 (an image's own)

    return torch.jit.load(str(preferred[0]), map_location="cpu")


def input_fn_of(model: Any) -> Callable[[Any, str], Any]:  # noqa: ANN401 (any model)
    """Reads bodies as this model's framework wants them."""
    kinds = {"torch": _torch_input, "xgboost.core": _xgboost_input}
    return next((kinds[kind] for kind in kinds if _is_of(model, kind)), _array_input)


def predict_fn_of(model: Any) -> Callable[[Any, Any], Any]:  # noqa: ANN401 (any model)
    """Has this model predict."""
    kinds = {"torch": _torch_predict, "xgboost.core": _xgboost_predict}
    return next((kinds[kind] for kind in kinds if _is_of(model, kind)), _array_predict)


def output_fn(prediction: Any, accept: str) -> tuple[bytes, str]:  # noqa: ANN401 (whatever predict_fn gives)
    """Writes a prediction, a tensor too."""
    if hasattr(prediction, "detach"):
        prediction = prediction.detach().cpu().numpy()
    return encode(prediction, accept)


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


def _torch_predict(data: Any, model: Any) -> Any:  # noqa: ANN401 (a module)
    import torch  # noqa: PLC0415 (the model's own)

    model.eval()
    with torch.inference_mode():
        return model(data)


def _xgboost_input(body: str | bytes, content_type: str) -> Any:  # noqa: ANN401 (a DMatrix)
    import xgboost as xgb  # noqa: PLC0415 (the model's own)

    kind = named(content_type)
    if kind in LIBSVM or kind == "application/x-recordio-protobuf":
        raise ScriptError(f"Content-Type: {kind} needs an input_fn; without one there is {CSV} and JSON", 415)
    return xgb.DMatrix(np.atleast_2d(decode(body, content_type)))


def _xgboost_predict(data: Any, model: Any) -> Any:  # noqa: ANN401 (a Booster)
    return model.predict(data, validate_features=False)
