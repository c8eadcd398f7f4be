"""`/ping` as an ASGI application of the standard library alone: it answers before anything slow is imported."""

import json
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any, TypeAlias

from serving.errors import NotReadyError
from serving.lifecycle import Lifecycle

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

PATH = "/ping"
METHODS = ("GET", "HEAD", "POST")
INVOCATIONS = "/invocations"
METRICS = "/metrics"
# Prometheus's text format.
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Ping:
    """The health check as an ASGI application: 200 when ready, else 503; the state in the body."""

    def __init__(self, lifecycle: Lifecycle) -> None:
        self._lifecycle = lifecycle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        del receive
        status = HTTPStatus.OK if self._lifecycle.is_ready else HTTPStatus.SERVICE_UNAVAILABLE
        body = json.dumps({"state": self._lifecycle.state.value}).encode()
        await answer(scope, send, status, "application/json", body)


def not_ready(lifecycle: Lifecycle) -> NotReadyError:
    """What an invocation is told as long as there is no model."""
    return NotReadyError(f"expected a loaded model; the server is {lifecycle.state.value}")


async def answer(scope: Scope, send: Send, status: int, content_type: str, body: bytes) -> None:
    """Send a whole answer."""
    fields = [(b"content-type", content_type.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
