"""`/ping`, of the standard library alone: it answers before anything slow is imported.

What SageMaker sends is answered by the connection itself (`serving.connection`), all else by an ASGI application.
"""

import json
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any, TypeAlias

from serving import plain
from serving.answer import Answer
from serving.errors import NotReadyError
from serving.lifecycle import Lifecycle

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

PATH = "/ping"
METHODS = ("GET", "HEAD", "POST")
REQUEST_LINE = b"GET /ping HTTP/1.1"
INVOCATIONS = "/invocations"
METRICS = "/metrics"
# Prometheus's text format.
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Ping:
    """The health check: 200 when ready, else 503; the state in the body."""

    def __init__(self, lifecycle: Lifecycle) -> None:
        self._lifecycle = lifecycle

    def answer(self) -> Answer:
        """The answer at this moment."""
        status = HTTPStatus.OK if self._lifecycle.is_ready else HTTPStatus.SERVICE_UNAVAILABLE
        return Answer(json.dumps({"state": self._lifecycle.state.value}).encode(), "application/json", status)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, as an ASGI application."""
        del receive
        body, content_type, status = self.answer()
        await answer(scope, send, status, content_type, body)


def is_to_be_kept(head: bytes) -> bool | None:
    """Whether the sender of a health check wants to keep its connection; None unless it is one of the plainest kind."""
    found = plain.read(head, REQUEST_LINE)
    return found.keeps_alive if found and found.fields.get("content-length", "0") == "0" else None


def not_ready(lifecycle: Lifecycle) -> NotReadyError:
    """What an invocation is told as long as there is no model."""
    return NotReadyError(f"expected a loaded model; the server is {lifecycle.state.value}")


async def answer(scope: Scope, send: Send, status: int, content_type: str, body: bytes) -> None:
    """Send a whole answer."""
    fields = [(b"content-type", content_type.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
