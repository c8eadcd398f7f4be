"""A request's way through a script: body -> worker -> answer, all three as they are.

With a script in the archive, `POST /invocations` is the script's: what it reads and what it answers is its
own affair. Size limit, queue, deadline, errors and metrics are those of a request without a script.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote

from starlette.responses import Response

from serving.body import Body
from serving.budget import Budget
from serving.discovery import DEFAULT_NAME
from serving.endpoint import unless_gone
from serving.errors import (
    NotAcceptableError,
    NotReadyError,
    ScriptFailedError,
    ScriptRejectedInputError,
    ServingError,
    UnsupportedMediaTypeError,
)
from serving.lifecycle import State
from serving.rendering import render
from serving.scratch import folder_for, remove
from serving.scripts.contract import PARAMETERS
from serving.scripts.frames import Frame
from serving.scripts.pool import Pool
from serving.scripts.process import Launch, Worker
from serving.scripts.requirements import install
from serving.selection import HEADER, METHOD, of_attributes
from serving.service import Service
from serving.settings import Settings
from serving.tensorflow_serving import path_of

log = logging.getLogger(__name__)

# What needs a folder for temporary files, and what to do where there can be none.
WHAT, INSTEAD = "The script's requirements.txt", ", or put the packages into code/lib of the archive."
# Two at least, so that the model has work while a script prepares some; and no more than 8 unless told, for each
# holds whatever the script imports (17 MB of its own with requests, 180 MB with TensorFlow).
LEAST_WORKERS, MOST_WORKERS = 2, 8
# Where a server that listens on every address is reached from within.
WITHIN: Mapping[str, str] = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 (what is looked up, not bound)

# Answers of these statuses have no body.
BODILESS = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.RESET_CONTENT, HTTPStatus.NOT_MODIFIED})
# Statuses that a script, or the defaults in its place, may ask for, and the errors that they are; of others the code is
# that of a refusal or of a failure.
REFUSALS: Mapping[int, type[ServingError]] = {
    HTTPStatus.NOT_ACCEPTABLE: NotAcceptableError,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: UnsupportedMediaTypeError,
}


class Runner:
    """Answers invocations by a script; belongs to the event loop."""

    def __init__(self, service: Service, launch: Launch, budget: Budget) -> None:
        self._service = service
        settings = service.settings
        self._workers = settings.script_workers or min(max(budget.cores, LEAST_WORKERS), MOST_WORKERS)
        self._launch = launch
        self.execution_parameters: Mapping[str, Any] | None = None
        """What the script's execution_parameters_fn tells; None where it has none."""
        self._installed: Path | None = None
        self._opening: asyncio.Task[None] | None = None
        self._pool = Pool(
            self._start,
            workers=self._workers,
            max_waiting=settings.max_queue,
            timeout=settings.timeout,
            waiting=service.metrics.script_queue,
            report=self._report,
        )

    async def open(self) -> None:
        """Install the requirements and start the workers. Raises ModelLoadError when one of both fails."""
        self._opening = asyncio.current_task()
        if self._launch.script.requirements:
            self._installed = await asyncio.to_thread(folder_for, WHAT, INSTEAD)
            await install(self._launch.script.requirements, self._installed, self._launch.environment)
            self._launch = replace(self._launch, installed=self._installed)
        log.info("the script %s is being loaded by %d processes", self._launch.script.file, self._workers)
        await self._pool.open()
        log.info("the script is loaded")

    async def answer(self, body: Body) -> Response:
        """Have the script answer a request. Raises ServingError and ClientDisconnect."""
        settings, request = self._service.settings, body.request
        default = self._model_name()
        attributes = request.headers.get(HEADER)
        selection = of_attributes(attributes or "")
        data = await body.read()
        version = selection.version
        path = path_of(quote(selection.model or default, safe=""), version, selection.method)
        # `ContentType` is what some of AWS's services send, and AWS's containers read.
        content_type = request.headers.get("contenttype") or request.headers.get("content-type", "")
        head = {
            "content_type": content_type,
            "accept": ",".join(request.headers.getlist("accept")),
            "custom_attributes": attributes,
            "model_name": selection.model,
            "model_version": None if version is None else str(version),
            "method": selection.method if METHOD in (attributes or "").lower() else None,
            "rest_uri": base_of(settings) + path,
            "timeout": settings.timeout,
            "headers": dict(request.headers),
        }
        answered = await unless_gone(request, self._pool.run(Frame(head, data)))
        if "error" in answered.head:
            return _refusal(answered.head["status"], answered.head["error"])
        # Given as a header, for as a media type it would get a charset that the script has not stated.
        headers = {**answered.head.get("headers", {}), "content-type": answered.head["content_type"]}
        status = answered.head.get("status", HTTPStatus.OK)
        return Response(b"" if status in BODILESS else answered.body, status, headers)

    def _model_name(self) -> str:
        """The name of the default model. Raises NotReadyError until it, or the script that loads one, is loaded."""
        if not self._launch.script.loads_model:
            return self._service.catalogue().default.name
        state = self._service.lifecycle.state
        if state in (State.STARTING, State.LOADING):
            raise NotReadyError(f"expected a loaded script; the server is {state.value}")
        return DEFAULT_NAME

    async def stop(self, seconds: float) -> None:
        """Let the script finish what it holds within this time, and end its processes."""
        if self._opening and not self._opening.done():
            self._opening.cancel()
            await asyncio.wait({self._opening})
        await self._pool.stop(seconds)
        if self._installed:
            await asyncio.to_thread(remove, self._installed)

    async def _start(self) -> Worker:
        worker = await Worker.start(self._launch)
        self.execution_parameters = worker.told.get(PARAMETERS)
        return worker

    def _report(self, runs: bool) -> None:  # noqa: FBT001 (the pool's callback)
        """Let /ping tell whether the script runs."""
        lifecycle = self._service.lifecycle
        if not runs and lifecycle.is_ready:
            lifecycle.enter(State.BROKEN)
        elif runs and lifecycle.state is State.BROKEN:
            lifecycle.enter(State.READY)


def _refusal(status: int, text: str) -> Response:
    """The answer to a request on which the script raised an error: in the usual form, with the status it asks for."""
    usual = ScriptRejectedInputError if status < HTTPStatus.INTERNAL_SERVER_ERROR else ScriptFailedError
    response = render(REFUSALS.get(status, usual)(text))
    response.status_code = status
    return response


def base_of(settings: Settings) -> str:
    """Where this server is reached from within."""
    host = WITHIN.get(settings.host) or (f"[{settings.host}]" if ":" in settings.host else settings.host)
    return f"http://{host}:{settings.port}"
