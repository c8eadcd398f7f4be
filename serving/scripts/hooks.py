"""The contract of AWS's PyTorch, scikit-learn, XGBoost and generic containers, as their users' scripts know it.

    model_fn(model_dir) -> model                       once in each worker, before its first request
    input_fn(body, content_type) -> data               else the body is read by its type
    predict_fn(data, model) -> prediction              else the model predicts as its framework has it
    output_fn(prediction, accept) -> body, or (body, content type)   else the prediction is written as asked for
    transform_fn(model, body, content_type, accept)    instead of the last three

Each may take one argument more, the context. `pre_model_fn(model_dir)` and `model_warmup_fn(model_dir, model)` are
called around model_fn. Bodies of JSON and CSV without parameters (`text/csv; charset=utf-8` has some) are `str`, all
others `bytes`.

What a script returns besides a body becomes one as it does there: by Multi Model Server, which writes everything else
as JSON, or in the scikit-learn container by Flask, which does so with dictionaries and gives text a charset.
"""

import inspect
import json
import os
from collections.abc import Callable
from types import ModuleType
from typing import Any

from serving.scripts import defaults
from serving.scripts.context import Context
from serving.scripts.contract import Answer, Call, Handler, ScriptError, answer_of
from serving.scripts.defaults import Defaults
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
    container = defaults.defaults_of(model)
    if "transform_fn" in functions:
        return _transforming(functions["transform_fn"], model, context, container)
    return _stepwise(functions, model, context, container)


def _transforming(
    transform: Callable[..., Any],
    model: Any,  # noqa: ANN401 (the script's)
    context: Context,
    container: Defaults,
) -> Handler:
    def handle(call: Call) -> Answer:
        context.begin(call)
        accept = _accept(call)
        given = _call(transform, context, model, _body(call), _content_type(call), accept)
        return _answer(given, accept, context, container, "transform_fn")

    return handle


def _stepwise(
    functions: dict[str, Callable[..., Any]],
    model: Any,  # noqa: ANN401 (the script's)
    context: Context,
    container: Defaults,
) -> Handler:
    def input_fn(body: str | bytes, content_type: str) -> Any:  # noqa: ANN401 (the container's)
        return container.read(body, content_type, model)

    read = functions.get("input_fn", input_fn)
    predict = functions.get("predict_fn", container.predict)
    write = functions.get("output_fn", container.output_fn)

    def handle(call: Call) -> Answer:
        context.begin(call)
        accept = _accept(call)
        data = _call(read, context, _body(call), _content_type(call))
        prediction = _call(predict, context, data, model)
        return _answer(_call(write, context, prediction, accept), accept, context, container, "output_fn")

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
    if _content_type(call) not in TEXTS:
        return call.body
    try:
        return call.body.decode()
    except UnicodeDecodeError:
        raise ScriptError("expected a body of UTF-8 text, got other bytes", status=400) from None


def _answer(given: Any, accept: str, context: Context, container: Defaults, name: str) -> Answer:  # noqa: ANN401
    """What a function returned as an answer. Raises ScriptError."""
    kind = context.content_type or named(accept.partition(",")[0])
    status, headers = context.status, dict(context.response_headers)
    if isinstance(given, tuple) and len(given) == 2:  # noqa: PLR2004 (a body and its type)
        given, kind = given
    elif hasattr(given, "get_data") and hasattr(given, "mimetype"):  # a Response of werkzeug's or of AWS's toolkit
        status, headers = getattr(given, "status_code", status), headers | dict(getattr(given, "headers", {}))
        given, kind = given.get_data(), given.mimetype or JSON
    elif not isinstance(given, str | bytes | bytearray | memoryview):
        given, kind = _document(given, name, kind, container)
    if isinstance(given, str):
        given = given.encode()
    if not isinstance(given, bytes | bytearray | memoryview):
        raise _no_body(given, name)
    if container.flask and isinstance(kind, str) and kind.startswith("text/") and "charset" not in kind:
        kind = f"{kind}; charset=utf-8"
    return answer_of(bytes(given), kind, status, headers, name)


def _document(given: Any, name: str, kind: str, container: Defaults) -> tuple[str, str]:  # noqa: ANN401 (the script's)
    """Something else than a body as JSON, in the container's own spelling, and its type. Raises ScriptError."""
    if given is None or (container.flask and not isinstance(given, dict)):
        raise _no_body(given, name)
    try:
        if container.flask:
            return json.dumps(given, sort_keys=True, separators=(",", ":")) + "\n", JSON
        return json.dumps(given, indent=2), kind
    except (TypeError, ValueError):
        raise _no_body(given, name) from None


def _no_body(given: object, name: str) -> ScriptError:
    return ScriptError(
        f"{name}: expected a body of type str or bytes, or (body, content type), to be returned, "
        f"got {type(given).__name__}"
    )
