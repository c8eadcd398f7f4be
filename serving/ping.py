"""`/ping`, and the door that answers it while the program is still being imported.

SageMaker must be able to connect within 250 ms of asking and `/ping` must answer within 2 s. Importing
FastAPI, numpy and a framework takes longer than that, so the port is bound first, the door answers
`/ping` by itself, and every other request waits for the application and then goes through it.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any, TypeAlias

from serving.lifecycle import Lifecycle

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

PATH = "/ping"
METHODS = ("GET", "HEAD", "POST")


class Ping:
    """The health check as an ASGI application: 200 when ready, else 503; the state in the body."""

    def __init__(self, lifecycle: Lifecycle) -> None:
        self._lifecycle = lifecycle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        del receive
        ready = self._lifecycle.is_ready
        body = json.dumps({"state": self._lifecycle.state.value}).encode()
        await send(
            {
                "type": "http.response.start",
                "status": HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE,
                "headers": [
                    (b"content-type", b"application/json"),
                    (b"content-length", str(len(body)).encode()),
                ],
            }
        )
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


class Door:
    """The ASGI application that the server starts with; `open` hands it the real one."""

    def __init__(self, lifecycle: Lifecycle) -> None:
        self._ping = Ping(lifecycle)
        self._opened = asyncio.Event()
        self._application: Application = self._wait

    def open(self, application: Application) -> None:
        """Send every request, waiting or to come, to the application."""
        self._application = application
        self._opened.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        await self._application(scope, receive, send)

    async def _wait(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == PATH and scope["method"] in METHODS:
            await self._ping(scope, receive, send)
            return
        await self._opened.wait()
        await self._application(scope, receive, send)
