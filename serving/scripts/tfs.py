"""The contract of AWS's TensorFlow Serving container, as its users' scripts know it.

    handler(data, context) -> (body, content type)
    input_handler(data, context) -> body for the model; output_handler(response, context) -> (body, content type)

`data` is a stream, `response` a `requests.Response`, `context` a named tuple of the fields below (of that
container's version 2.20). `handler` wins. The model is reached as there: by POST to `context.rest_uri`.
"""

import io
from collections import namedtuple
from collections.abc import Callable
from types import ModuleType
from typing import Any, NoReturn

from serving.scripts.contract import OK, Answer, Call, Handler, ScriptError, answer_of

EXPECTED = "handler(data, context), or input_handler(data, context) and output_handler(response, context)"
# Of requests and of answers that state none, as there.
DEFAULT_TYPE = "application/json"
PARTS = 2
# typing.NamedTuple would do, but for scripts that look at the class, this is what it is there.
Context = namedtuple(  # noqa: PYI024
    "Context",
    "model_name, model_version, method, rest_uri, grpc_port, channel, custom_attributes, request_content_type, "
    "accept_header, content_length, timeout",
)


class NoGrpc:
    """What a script finds in `context.grpc_port` and `context.channel`: using it fails with a reason."""

    def __repr__(self) -> str:
        # Printing the whole context is no use of it.
        return "<no gRPC server>"

    def __str__(self) -> str:
        return self._refuse()

    def __format__(self, _spec: str) -> str:
        return self._refuse()

    def __int__(self) -> int:
        return self._refuse()

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            # Protocols of Python's own ask for these to learn what an object can do.
            raise AttributeError(name)
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise NotImplementedError(
            "context.grpc_port and context.channel lead to no gRPC server here: POST to context.rest_uri instead"
        )


def handler(module: ModuleType) -> Handler | None:
    """The script's handlers as one function; None where it has none of this contract."""
    functions = [getattr(module, name, None) for name in ("handler", "input_handler", "output_handler")]
    whole, before, after = (function if callable(function) else None for function in functions)
    if whole is not None:
        return _checked(whole)
    if before is not None and after is not None:
        return _around_the_model(before, after)
    return None


def context_of(call: Call) -> Context:
    """The context that a script gets."""
    return Context(
        call.model_name,
        call.model_version,
        call.method,
        call.rest_uri,
        NoGrpc(),
        NoGrpc(),
        call.custom_attributes,
        call.content_type or DEFAULT_TYPE,
        call.accept or DEFAULT_TYPE,
        len(call.body),
        call.timeout,
    )


def _checked(function: Callable[[Any, Context], object]) -> Handler:
    def handle(call: Call) -> Answer:
        return _answer(function(io.BytesIO(call.body), context_of(call)), "handler")

    return handle


def _around_the_model(before: Callable[[Any, Context], object], after: Callable[[Any, Context], object]) -> Handler:
    # Brought by the script's own need of it, not by every worker's.
    import requests  # noqa: PLC0415

    def handle(call: Call) -> Answer:
        context = context_of(call)
        data: Any = before(io.BytesIO(call.body), context)
        response = requests.post(context.rest_uri, data=data, timeout=call.timeout)
        return _answer(after(response, context), "output_handler")

    return handle


def _answer(returned: object, name: str) -> Answer:
    """What the function returned as an answer. Raises ScriptError."""
    if not (isinstance(returned, tuple | list) and len(returned) == PARTS):
        got = f"{len(returned)} values" if isinstance(returned, tuple | list) else type(returned).__name__
        raise ScriptError(f"{name}: expected (body, content type) to be returned, got {got}")
    body, content_type = returned
    if isinstance(body, str):
        body = body.encode()
    if not isinstance(body, bytes | bytearray | memoryview):
        raise ScriptError(f"{name}: expected a body of type str or bytes to be returned, got {type(body).__name__}")
    if content_type is None:
        content_type = DEFAULT_TYPE
    return answer_of(bytes(body), content_type, OK, {}, name)
