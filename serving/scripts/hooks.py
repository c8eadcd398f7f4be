"""The contract of AWS's PyTorch, scikit-learn, XGBoost and generic containers, as their users' scripts know it.

    model_fn(model_dir) -> model                       once in each worker, before its first request
    input_fn(body, content_type) -> data               else the body is read by its type
    predict_fn(data, model) -> prediction              else the model predicts as its framework has it
    output_fn(prediction, accept) -> body, or (body, content type)   else the prediction is written as asked for
    transform_fn(model, body, content_type, accept)    instead of the last three

Each may take one argument more, the context. `pre_model_fn(model_dir)` and `model_warmup_fn(model_dir, model)` are
called around model_fn. Bodies of JSON and CSV are `str`, all others `bytes`.
"""

import inspect
import os
from collections.abc import Callable
from types import ModuleType
from typing import Any

from serving.scripts import defaults
from serving.scripts.contract import Answer, Call, Handler, ScriptError
from serving.scripts.toolkit import ANY, JSON, TEXTS, named

EXPECTED = (
    "model_fn(model_dir), and where the defaults will not do input_fn(body, content_type), predict_fn(data, model) "
    "and output_fn(prediction, accept), or transform_fn(model, body, content_type, accept) for these three"
)
STEPS = ("input_fn", "predict_fn", "output_fn")
NAMES = frozenset({"model_fn", "transform_fn", *STEPS})
# Where the model is, as the containers tell their scripts.
MODEL_DIR = "SM_MODEL_DIR"
DEFAULT_ACCEPT = "SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT"
OK = 200


class Context:
    """What a script may ask about its request, as Multi Model Server's and TorchServe's context tells it."""

    def __init__(self, model_dir: str) -> None:
        self.system_properties = {"model_dir": model_dir, "gpu_id": None, "batch_size": 1}
        self.manifest: dict[str, Any] = {}
        self.model_name = "model"
        self.headers: dict[str, str] = {}
        self.content_type: str | None = None

    def begin(self, call: Call) -> None:
        """Another request has come."""
        self.content_type = None
        self.headers = {
            "content-type": call.content_type,
            "accept": call.accept,
            "x-amzn-sagemaker-custom-attributes": call.custom_attributes or "",
        }

    @property
    def request_processor(self) -> list["Context"]:
        """Where older scripts look for headers."""
        return [self]

    def get_request_properties(self) -> dict[str, str]:
        """The request's headers."""
        return dict(self.headers)

    def get_request_header(self, _index: int, name: str) -> str | None:
        """One of the request's headers, None where it was not sent."""
        return self.headers.get(name.lower()) or None

    def get_all_request_header(self, _index: int) -> dict[str, str]:
        """The request's headers."""
        return dict(self.headers)

    def set_response_content_type(self, _index: int, value: str) -> None:
        """Say what the body is, where output_fn returns a body alone."""
        self.content_type = value


def handler(module: ModuleType) -> Handler | None:
    """Load the model, and give what answers requests with it; None for a script of another contract.

    Raises ScriptError for functions that do not go together, and whatever the script raises.
    """
    functions = {name: value for name in NAMES if callable(value := getattr(module, name, None))}
    if not functions:
        return None
    steps = [name for name in STEPS if name in functions]
    if "transform_fn" in functions and steps:
        raise ScriptError(f"It defines transform_fn and {', '.join(steps)}. Expected: {EXPECTED}.")
    model_dir = os.environ.get(MODEL_DIR, "")
    context = Context(model_dir)
    _call(getattr(module, "pre_model_fn", None), context, model_dir)
    model = _call(functions.get("model_fn", defaults.model_fn), context, model_dir)
    _call(getattr(module, "model_warmup_fn", None), context, model_dir, model)
    if "transform_fn" in functions:
        return _transforming(functions["transform_fn"], model, context)
    return _stepwise(functions, model, context)


def _transforming(transform: Callable[..., Any], model: Any, context: Context) -> Handler:  # noqa: ANN401 (the script's)
    def handle(call: Call) -> Answer:
        context.begin(call)
        accept = _accept(call)
        given = _call(transform, context, model, _body(call), _content_type(call), accept)
        return _answer(given, accept, context, "transform_fn")

    return handle


def _stepwise(functions: dict[str, Callable[..., Any]], model: Any, context: Context) -> Handler:  # noqa: ANN401
    read = functions.get("input_fn", defaults.input_fn_of(model))
    predict = functions.get("predict_fn", defaults.predict_fn_of(model))
    write = functions.get("output_fn", defaults.output_fn)

    def handle(call: Call) -> Answer:
        context.begin(call)
        accept = _accept(call)
        data = _call(read, context, _body(call), _content_type(call))
        prediction = _call(predict, context, data, model)
        return _answer(_call(write, context, prediction, accept), accept, context, "output_fn")

    return handle


def _call(function: Callable[..., Any] | None, context: Context, *arguments: Any) -> Any:  # noqa: ANN401
    """Call a function of the script's, with the context if it takes exactly one argument more; None for none."""
    if function is None:
        return None
    taken = len(inspect.signature(function).parameters)
    return function(*arguments, context) if taken == len(arguments) + 1 else function(*arguments)


def _content_type(call: Call) -> str:
    return call.content_type or JSON


def _accept(call: Call) -> str:
    return call.accept if call.accept not in ("", ANY) else os.environ.get(DEFAULT_ACCEPT) or JSON


def _body(call: Call) -> str | bytes:
    """Raises ScriptError for what should be text and is none."""
    if named(_content_type(call)) not in TEXTS:
        return call.body
    try:
        return call.body.decode()
    except UnicodeDecodeError:
        raise ScriptError("expected a body of UTF-8 text, got other bytes", status=400) from None


def _answer(given: Any, accept: str, context: Context, name: str) -> Answer:  # noqa: ANN401 (the script's)
    """What a function returned as an answer. Raises ScriptError."""
    kind = context.content_type or named(accept.partition(",")[0])
    if isinstance(given, tuple | list) and len(given) == 2:  # noqa: PLR2004 (a body and its type)
        given, kind = given
    elif hasattr(given, "get_data") and hasattr(given, "mimetype"):  # a Response of werkzeug's or of AWS's toolkit
        given, kind = given.get_data(), given.mimetype
    if isinstance(given, str):
        given = given.encode()
    if not isinstance(given, bytes | bytearray | memoryview):
        raise ScriptError(
            f"{name}: expected a body of type str or bytes, or (body, content type), to be returned, "
            f"got {type(given).__name__}"
        )
    if not (isinstance(kind, str) and kind.isprintable() and kind.isascii()):
        raise ScriptError(f"{name}: expected a content type like {JSON!r} to be returned, got {kind!r}")
    return Answer(bytes(given), kind)
