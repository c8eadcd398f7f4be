"""`POST /invocations`, and TensorFlow Serving's `POST /v1/models/...`: the whole data path in one screen.

    decode -> validate -> admit -> batch -> run -> split -> encode

The first two and the last are here and in `serving.codecs`; the others are the dispatcher's.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from time import monotonic
from typing import Any, TypeVar

import numpy as np
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from serving.codecs import Format, of_content_type
from serving.errors import (
    EmptyBodyError,
    PayloadTooLargeError,
    ServingError,
    UnsupportedMediaTypeError,
    quoted,
)
from serving.mediatypes import negotiate
from serving.rendering import render
from serving.selection import HEADER as ATTRIBUTES
from serving.selection import Selection, of_attributes
from serving.service import Service
from serving.signature import Outputs, Signature, row_count
from serving.validation import validate

log = logging.getLogger(__name__)
T = TypeVar("T")

# Bodies from here on are decoded and encoded in a thread, for parsing them takes longer than a thread's
# hand-over of some 50 us, and the loop must stay free for /ping.
OFFLOAD_BYTES = 128 * 1024
# Nobody receives this status (nginx's "client closed request"); it is for the metrics.
CLIENT_CLOSED = 499


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request's head asks for: the model, the format of the body and the formats of the answer."""

    selection: Selection
    content_type: str
    accept: str


async def invoke(request: Request, service: Service, asked: Asked) -> Response:
    """One request's way through the server. Raises ServingError."""
    entry = service.catalogue().find(asked.selection)
    signature = entry.signature(asked.selection.signature).signature
    reader = of_content_type(asked.content_type, service.formats)
    body = await _body(request, service.settings.max_payload_bytes)
    decoded = await _offload(len(body), lambda: reader.decode(body, signature))
    serving = entry.signature(decoded.signature or signature.name)
    writer = _writer(asked.accept, service, serving.signature)
    inputs = validate(decoded.inputs, serving.signature)
    rows = row_count(inputs)
    outputs = await unless_gone(request, serving.dispatcher.run(inputs))
    answer = await _offload(_size(outputs), lambda: writer.encode(outputs, decoded.form, rows))
    return Response(answer, media_type=writer.media_type)


def of_invocation(request: Request) -> Asked:
    """What SageMaker passes on: the custom attributes, Content-Type and Accept. Raises InvalidAttributeError."""
    headers = request.headers
    selection = of_attributes(headers.get(ATTRIBUTES, ""))
    return Asked(selection, headers.get("content-type", ""), ",".join(headers.getlist("accept")))


class Invocations:
    """A route as an ASGI application: calls `invoke`, renders its errors, counts its answers.

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
            return await invoke(request, self._service, self._read_head(request))
        except ServingError as error:
            return render(error)
        except ClientDisconnect:
            raise
        except Exception:
            log.exception("an invocation failed unexpectedly")
            return render(ServingError())


def _writer(accept: str, service: Service, signature: Signature) -> Format:
    """The format of the answer, settled before the model runs for nothing."""
    by_type = {entry.media_type: entry for entry in service.formats}
    chosen = negotiate(
        accept,
        list(by_type),
        service.settings.default_accept,
        lambda name: by_type[name].obstacle(signature),
    )
    return by_type[chosen]


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


async def _offload(size: int, work: Callable[[], T]) -> T:
    """Do the work here, or in a thread when it is on `size` bytes that would hold the loop up."""
    return await asyncio.to_thread(work) if size >= OFFLOAD_BYTES else work()


def _size(outputs: Outputs) -> int:
    return sum(value.nbytes for value in outputs.values() if isinstance(value, np.ndarray))
