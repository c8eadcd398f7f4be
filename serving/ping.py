"""`/ping`, and the door that answers it while the program is still being imported.

SageMaker must be able to connect within 250 ms of asking and `/ping` must answer within 2 s. Importing
FastAPI, numpy and a framework takes longer than that, so the port is bound first, and the door answers by itself
what must not wait: `/ping`, `/metrics` from the moment on in which there are some, and invocations for which there
is no model yet. Every other request waits for the application and then goes through it.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeAlias

from serving.errors import ERROR_TYPE, NotReadyError
from serving.lifecycle import Lifecycle

if TYPE_CHECKING:
    from serving.metrics import Metrics

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
        await _answer(scope, send, status, "application/json", body)


class Door:
    """The ASGI application that the server starts with; `open` hands it the real one."""

    def __init__(self, lifecycle: Lifecycle) -> None:
        self._lifecycle = lifecycle
        self._ping = Ping(lifecycle)
        self._metrics: Metrics | None = None
        self._counting = asyncio.Event()
        self._opened = asyncio.Event()
        self._application: Application = self._wait

    def show(self, metrics: "Metrics") -> None:
        """Answer `/metrics` from now on."""
        self._metrics = metrics
        self._counting.set()

    def open(self, application: Application) -> None:
        """Send every request, waiting or to come, to the application."""
        self._application = application
        self._opened.set()
        self._counting.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        await self._application(scope, receive, send)

    async def _wait(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, method = scope["path"], scope["method"]
        if path == PATH and method in METHODS:
            await self._ping(scope, receive, send)
        elif path == INVOCATIONS and method == "POST" and not self._lifecycle.is_ready:
            error = not_ready(self._lifecycle)
            await _answer(scope, send, error.status, ERROR_TYPE, error.document)
        elif path == METRICS and method == "GET" and (metrics := await self._shown()):
            await _answer(scope, send, HTTPStatus.OK, METRICS_TYPE, metrics.text())
        else:
            await self._opened.wait()
            await self._application(scope, receive, send)

    async def _shown(self) -> "Metrics | None":
        """The metrics as soon as there are some; None if the door is opened before."""
        await self._counting.wait()
        return self._metrics


def not_ready(lifecycle: Lifecycle) -> NotReadyError:
    """What an invocation is told as long as there is no model."""
    return NotReadyError(f"expected a loaded model; the server is {lifecycle.state.value}")


async def _answer(scope: Scope, send: Send, status: int, content_type: str, body: bytes) -> None:
    fields = [(b"content-type", content_type.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
