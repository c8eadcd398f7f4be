"""`POST /invocations`, and TensorFlow Serving's `POST /v1/models/...`, as ASGI applications."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from time import monotonic
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from serving.errors import EmptyBodyError, PayloadTooLargeError, ServingError, UnsupportedMediaTypeError, quoted
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
        try:
            response = await self._answer(Request(scope, receive))
            if self._service.lifecycle.is_stopping:
                # The caller's next request belongs to another server.
                response.headers["connection"] = "close"
            await response(scope, receive, send)
            status = response.status_code
        except ClientDisconnect:
            log.info("the client left before its answer")
        finally:
            # What a script asks the model is part of an invocation, which is counted already.
            if self._to_script or self._service.script is None:
                self._service.metrics.request(status, monotonic() - started)

    async def _answer(self, request: Request) -> Response:
        try:
            if self._to_script and self._service.script is not None:
                return await self._service.script.answer(request)
            return await self._invoke(request)
        except ServingError as error:
            return render(error)
        except ClientDisconnect:
            raise
        except Exception:
            log.exception("an invocation failed unexpectedly")
            return render(ServingError())

    async def _invoke(self, request: Request) -> Response:
        invocation = Invocation(self._service, self._read_head(request))
        try:
            body = await _body(request, self._service.settings.max_payload_bytes)
        except EmptyBodyError:
            if not self._service.empty_is_nothing:
                raise
            return Response(status_code=HTTPStatus.NO_CONTENT)
        answer = await unless_gone(request, invocation.run(body))
        return Response(answer.body, media_type=answer.media_type)


async def _body(request: Request, limit: int) -> bytes:
    """The body of a request to the model itself.

    Raises:
        PayloadTooLargeError, EmptyBodyError, UnsupportedMediaTypeError: the body is not one to read.
        ClientDisconnect: the caller left.
    """
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding != "identity":
        raise UnsupportedMediaTypeError(f"Content-Encoding: expected none, got {quoted(encoding)}")
    body = await body_of(request, limit)
    if not body:
        raise EmptyBodyError
    return body


async def body_of(request: Request, limit: int) -> bytes:
    """A request's body, refused by its stated length before it is read, by its real one while it is.

    Raises:
        PayloadTooLargeError: it has more bytes than the limit.
        ClientDisconnect: the caller left.
    """
    stated = request.headers.get("content-length", "")
    if stated.isdigit():
        _check_size(int(stated), limit)
    chunks = []
    received = 0
    async for chunk in request.stream():
        received += len(chunk)
        _check_size(received, limit)
        chunks.append(chunk)
    return b"".join(chunks)


def _check_size(size: int, limit: int) -> None:
    if size > limit:
        raise PayloadTooLargeError(
            f"expected a body of at most {limit} bytes (SERVING_MAX_PAYLOAD_MB), got {size} or more"
        )


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
