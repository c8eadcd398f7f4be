"""`POST /invocations`, and TensorFlow Serving's `POST /v1/models/...`, as ASGI applications."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from time import monotonic
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from serving.body import Body
from serving.errors import EmptyBodyError, ServingError, UnsupportedMediaTypeError, quoted
from serving.invocations import Asked, Invocation
from serving.metrics import CLIENT_CLOSED
from serving.rendering import render
from serving.selection import HEADER as ATTRIBUTES
from serving.selection import of_attributes
from serving.service import Service

log = logging.getLogger(__name__)
T = TypeVar("T")


def of_invocation(request: Request) -> Asked:
    """What SageMaker passes on: the custom attributes, Content-Type and Accept. Raises InvalidAttributeError."""
    headers = request.headers
    selection = of_attributes(headers.get(ATTRIBUTES, ""))
    return Asked(selection, headers.get("content-type", ""), ",".join(headers.getlist("accept")))


class Endpoint:
    """A route as an ASGI application: reads the body, runs the invocation, renders its errors, counts its answers.

    `read_head` tells what a request asks for; `/invocations` and TensorFlow Serving's paths differ in that, and
    in that an archive's script answers for the former, `to_script`.
    """

    def __init__(
        self, service: Service, read_head: Callable[[Request], Asked] = of_invocation, *, to_script: bool = False
    ) -> None:
        self._service = service
        self._read_head = read_head
        self._to_script = to_script

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        started = monotonic()
        status = CLIENT_CLOSED
        # What a script asks the model is part of an invocation, which has its place and is counted.
        is_part = self._service.script is not None and not self._to_script
        try:
            with Body(Request(scope, receive), self._service.settings, None if is_part else self._service.room) as body:
                response = await self._answer(body)
                if self._service.lifecycle.is_stopping:
                    # The caller's next request belongs to another server.
                    response.headers["connection"] = "close"
                await response(scope, receive, self._until_taken(send) if body.has_place else send)
                status = response.status_code
        except ClientDisconnect:
            log.info("the client left before its answer")
        finally:
            if not is_part:
                self._service.metrics.request(status, monotonic() - started)

    def _until_taken(self, send: Send) -> Send:
        """Sends likewise, and returns when the system has taken all, for which uvicorn waits before a further message.

        Raises ClientDisconnect after the time limit.
        """

        async def in_two(message: Message) -> None:
            if message["type"] != "http.response.body":
                await send(message)
                return
            await send({**message, "more_body": True})
            try:
                async with asyncio.timeout(self._service.settings.timeout):
                    await send({"type": "http.response.body", "body": b""})
            except TimeoutError:
                raise ClientDisconnect from None

        return in_two

    async def _answer(self, body: Body) -> Response:
        try:
            if self._to_script and self._service.script is not None:
                return await self._service.script.answer(body)
            return await self._invoke(body)
        except ServingError as error:
            return render(error)
        except ClientDisconnect:
            raise
        except Exception:
            log.exception("an invocation failed unexpectedly")
            return render(ServingError())

    async def _invoke(self, body: Body) -> Response:
        invocation = Invocation(self._service, self._read_head(body.request))
        encoding = body.request.headers.get("content-encoding", "identity").strip().lower()
        if encoding != "identity":
            raise UnsupportedMediaTypeError(f"Content-Encoding: expected none, got {quoted(encoding)}")
        data = await body.read()
        if data:
            running = invocation.run(data)
            del data  # what runs it lets go of it in time
            answer = await unless_gone(body.request, running)
            return Response(answer.body, media_type=answer.media_type)
        if self._service.empty_is_nothing:
            return Response(status_code=HTTPStatus.NO_CONTENT)
        raise EmptyBodyError


async def unless_gone(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Await the work, but drop it when the caller disconnects. Raises ClientDisconnect then."""
    running = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait((running, leaving), return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            return running.result()
        raise ClientDisconnect
    finally:
        running.cancel()
        leaving.cancel()


async def _left(request: Request) -> None:
    """Return when the caller has disconnected; the body has been read, so nothing else can come."""
    message = await request.receive()
    while message["type"] != "http.disconnect":
        message = await request.receive()
