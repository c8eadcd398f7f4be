"""The door: the ASGI application that the server starts with, and mostly stays with.

SageMaker must be able to connect within 250 ms of asking and `/ping` must answer within 2 s. Importing FastAPI, numpy
and a framework takes longer than that, so the port is bound first, and the door answers by itself what needs none of
them: `/ping`, `/metrics` from the moment on in which there are some, and invocations, for which there is no model at
first. The first request of another kind has the whole application built, which is FastAPI's; from then on everything
goes through that. Most servers are never asked for more than SageMaker asks, and are smaller by FastAPI.
"""

import asyncio
import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING

from serving.errors import ERROR_TYPE, ServingError
from serving.lifecycle import Lifecycle
from serving.ping import (
    INVOCATIONS,
    METHODS,
    METRICS,
    METRICS_TYPE,
    PATH,
    Application,
    Ping,
    Receive,
    Scope,
    Send,
    answer,
    not_ready,
)

if TYPE_CHECKING:
    from serving.metrics import Metrics

log = logging.getLogger(__name__)

Build = Callable[[], Application]


class Door:
    """Answers what it can, and has the application built for what it cannot."""

    def __init__(self, lifecycle: Lifecycle) -> None:
        self._lifecycle = lifecycle
        self._ping = Ping(lifecycle)
        self._metrics: Metrics | None = None
        self._page: Callable[[Metrics], bytes] | None = None
        self._invocations: Application | None = None
        self._build: Build | None = None
        self._building: asyncio.Future[Application] | None = None
        self._application: Application | None = None
        self._shown = asyncio.Event()
        self._taken = asyncio.Event()

    def show(self, metrics: "Metrics", build: Build) -> None:
        """Answer `/metrics` from now on; `build` makes the application, in a thread, if there is need for it."""
        self._metrics, self._build = metrics, build
        self._shown.set()

    def take(self, invocations: Application) -> None:
        """Have invocations answered by this from now on."""
        self._invocations = invocations
        self._taken.set()

    def open(self, application: Application) -> None:
        """Send every request, waiting or to come, to the application."""
        self._application = application
        self._shown.set()
        self._taken.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        application = self._application or self._own(scope["path"], scope["method"])
        await application(scope, receive, send)

    def _own(self, path: str, method: str) -> Application:
        """What answers this kind of request as long as there is no whole application."""
        if path == PATH and method in METHODS:
            return self._ping
        if path == INVOCATIONS and method == "POST":
            return self._invocations or (self._wait_for_taker if self._lifecycle.is_ready else self._refuse)
        if path == METRICS and method == "GET":
            return self._tell
        return self._wait

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        """There is no model yet."""
        del receive
        await _fail(scope, send, not_ready(self._lifecycle))

    async def _wait_for_taker(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The model is there, and what takes invocations to it will be in a moment."""
        await self._taken.wait()
        await self(scope, receive, send)

    async def _tell(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The metrics, as soon as there are some."""
        await self._shown.wait()
        if self._metrics is None:
            await self._wait(scope, receive, send)
        else:
            if self._page is None:
                self._page = await asyncio.to_thread(_page)
            await answer(scope, send, HTTPStatus.OK, METRICS_TYPE, self._page(self._metrics))

    async def _wait(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Have the application built, by the first who comes, and pass the request on."""
        await self._shown.wait()
        try:
            application = await self._whole()
        except Exception:
            log.exception("the application could not be built")
            await _fail(scope, send, ServingError())
            return
        self.open(application)
        await application(scope, receive, send)

    async def _whole(self) -> Application:
        """The application, made once; whoever leaves while it is made does not stop that."""
        if self._application is not None:
            return self._application
        if self._building is None:
            assert self._build is not None  # shown  # noqa: S101
            self._building = asyncio.ensure_future(asyncio.to_thread(self._build))
        return await asyncio.shield(self._building)


def _page() -> "Callable[[Metrics], bytes]":
    """Import what writes the page of metrics."""
    from serving.exposition import page  # noqa: PLC0415 (prometheus_client, of which /ping has no need)

    return page


async def _fail(scope: Scope, send: Send, error: ServingError) -> None:
    await answer(scope, send, error.status, ERROR_TYPE, error.document)
