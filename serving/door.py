"""The door: the ASGI application that the server starts with, and mostly stays with.

SageMaker must be able to connect within 250 ms of asking and `/ping` must answer within 2 s. Importing FastAPI, numpy
and a framework takes longer than that, so the port is bound first, and the door answers by itself what needs none of
them: `/ping`, `/metrics` from the moment on in which there are some, and invocations, for which there is no model at
first. What takes invocations of other than the ordinary kind is made with the first of them. The first request of yet
another kind has the whole application built, which is FastAPI's; from then on everything goes through that. Most
servers are never asked for more than SageMaker asks, and are smaller by all that.
"""

import asyncio
import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING

from serving.errors import ERROR_TYPE, ServingError
from serving.later import Later
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

Make = Callable[[], Application]


class Door:
    """Answers what it can, and has made what answers the rest."""

    def __init__(self, lifecycle: Lifecycle) -> None:
        self._lifecycle = lifecycle
        self._ping = Ping(lifecycle)
        self._metrics: Metrics | None = None
        self._page = Later(_page)
        self._invocations: Later[Application] | None = None
        self._whole: Later[Application] | None = None
        self._application: Application | None = None
        self._shown = asyncio.Event()

    def show(self, metrics: "Metrics", make_invocations: Make, make_application: Make) -> None:
        """Answer `/metrics` from now on; what takes invocations, and everything, is made when there is need for it."""
        self._metrics = metrics
        self._invocations = Later(make_invocations)
        self._whole = Later(make_application)
        self._shown.set()

    def open(self, application: Application) -> None:
        """Send every request, waiting or to come, to the application."""
        self._application = application
        self._shown.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        application = self._application or self._own(scope["path"], scope["method"])
        await application(scope, receive, send)

    def _own(self, path: str, method: str) -> Application:
        """What answers this kind of request as long as there is no whole application."""
        if path == PATH and method in METHODS:
            return self._ping
        if path == INVOCATIONS and method == "POST":
            return self._invoke if self._lifecycle.is_serving else self._refuse
        if path == METRICS and method == "GET":
            return self._tell
        return self._wait

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        """There is no model yet."""
        del receive
        await _fail(scope, send, not_ready(self._lifecycle))

    async def _invoke(self, scope: Scope, receive: Receive, send: Send) -> None:
        """There is a model, or was going to be one."""
        if self._invocations is None:
            await self._refuse(scope, receive, send)
        else:
            application = await _made(self._invocations)
            await application(scope, receive, send)

    async def _tell(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The metrics, as soon as there are some."""
        await self._shown.wait()
        if self._metrics is None:
            await self._wait(scope, receive, send)
        else:
            page = await self._page.get()
            await answer(scope, send, HTTPStatus.OK, METRICS_TYPE, page(self._metrics))

    async def _wait(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Have the application built, by the first who comes, and pass the request on."""
        await self._shown.wait()
        application = self._application
        if application is None:
            assert self._whole is not None  # shown  # noqa: S101
            application = await _made(self._whole)
            if self._whole.made:
                self.open(application)
        await application(scope, receive, send)


def _page() -> "Callable[[Metrics], bytes]":
    """Import what writes the page of metrics."""
    from serving.exposition import page  # noqa: PLC0415 (prometheus_client, of which /ping has no need)

    return page


async def _made(application: Later[Application]) -> Application:
    """It, or what answers in its place if it cannot be made."""
    try:
        return await application.get()
    except Exception:
        log.exception("what answers this request could not be made")
        return _broken


async def _broken(scope: Scope, receive: Receive, send: Send) -> None:
    del receive
    await _fail(scope, send, ServingError())


async def _fail(scope: Scope, send: Send, error: ServingError) -> None:
    await answer(scope, send, error.status, ERROR_TYPE, error.document)
