"""The life of the server: bind, load in the background, serve, stop.

    listen     the port is bound and /ping answers before anything slow is imported
    load       a thread finds the model, makes the plan, imports what it needs, loads and warms up
    serve      /ping answers 200 and requests are run
    stop       SIGTERM: what has been taken, or is on its way, is finished within 25 s; then exit status 0

A model that cannot be loaded ends the process with status 1: a container that stays up half-dead would
keep SageMaker waiting, and then keep its operator guessing.
"""

import asyncio
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager
from functools import partial
from threading import Thread
from time import monotonic
from typing import TYPE_CHECKING

import uvicorn
import uvloop

from serving.connection import Connection, Gate
from serving.errors import ModelLoadError
from serving.lifecycle import Lifecycle, State
from serving.ping import Door
from serving.preparation import apply_environment, look_around, prepare
from serving.scripts.source import locate
from serving.settings import Settings
from serving.trial import settle

if TYPE_CHECKING:
    from serving.budget import Budget
    from serving.loader import Loaded
    from serving.scripts.found import Script
    from serving.service import Service

log = logging.getLogger(__name__)

# SageMaker kills 30 s after SIGTERM; the rest is left for the process to end.
DRAIN_SECONDS = 25
# After SIGTERM, requests that are on the wire already are still taken for this long, and answered with
# "Connection: close"; only then is the port closed. Closing it at once would reset them.
GRACE_SECONDS = 0.5
# Load balancers, SageMaker's among them, keep connections for 60 s; the side that reuses one must be the
# first to give it up, or requests are lost in the race.
KEEP_ALIVE_SECONDS = 75
# Connections that wait for the loop to accept them; the kernel caps it at net.core.somaxconn.
BACKLOG = 2048
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def serve(settings: Settings) -> int:
    """Serve until told to stop. Returns the process's exit status."""
    try:
        listener = listen(settings.host, settings.port)
    except OSError as error:
        sys.stderr.write(
            f"Cannot listen on {settings.host}:{settings.port}: {error.strerror}. Is another server running "
            "there? SERVING_PORT chooses another port.\n"
        )
        return 1
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serve(settings, listener))


def listen(host: str, port: int) -> socket.socket:
    """A bound, listening socket: from here on connections are accepted, if not yet answered."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=BACKLOG)


async def _serve(settings: Settings, listener: socket.socket) -> int:
    server = Server(settings)
    await server.serve(sockets=[listener])
    server.close()
    return server.status


class Server(uvicorn.Server):
    """uvicorn's server with our start, our signals and our stop."""

    def __init__(self, settings: Settings) -> None:
        self.status = 0
        self._settings = settings
        self._lifecycle = Lifecycle()
        self._door = Door(self._lifecycle)
        self._gate = Gate()
        self._service: Service | None = None
        self._loop = asyncio.get_running_loop()
        self._loader = Thread(target=self._load, name="loader", daemon=True)
        super().__init__(
            uvicorn.Config(
                self._door,
                interface="asgi3",
                http=partial(Connection, self._gate),  # type: ignore[arg-type]  # it is called as the class would be
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                backlog=BACKLOG,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=DRAIN_SECONDS,
            )
        )

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on SIGTERM and SIGINT; unlike uvicorn's own, the process then ends with its own status."""
        for number in STOP_SIGNALS:
            self._loop.add_signal_handler(number, self.handle_exit, number, None)
        yield
        for number in STOP_SIGNALS:
            self._loop.remove_signal_handler(number)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer connections, then begin to load."""
        await super().startup(sockets)
        log.info("listening on %s:%d", self._settings.host, self._settings.port)
        self._loader.start()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Finish what was taken."""
        self._lifecycle.enter(State.STOPPING)
        log.info("stopping: finishing what was taken")
        if self.status == 0:
            await asyncio.sleep(GRACE_SECONDS)
        await self._stop_script()
        await super().shutdown(sockets)

    async def _stop_script(self) -> None:
        """While the port is open, for scripts reach the model through it; what is left is for uvicorn."""
        started = monotonic()
        if self._service and self._service.script:
            await self._service.script.stop(DRAIN_SECONDS)
        left = DRAIN_SECONDS - (monotonic() - started)
        self.config.timeout_graceful_shutdown = max(1, int(left))

    def close(self) -> None:
        """Release what is left; a loader that is still inside a framework's own code is not waited for."""
        if self._service:
            self._service.close()
        log.info("stopped")
        if self._loader.is_alive():
            logging.shutdown()
            os._exit(self.status)

    def _load(self) -> None:
        """In the loader's thread: prepared -> imported -> loaded -> in service."""
        try:
            environment = dict(os.environ)
            script = locate(self._settings)
            if script and script.loads_model:
                self._load_script(script, environment)
                return
            prepared = prepare(self._settings, os.environ)
            log.info("processor: %s", prepared.machine.processor.description)
            apply_environment(prepared.plan)
            service = self._build()
            opening = self._open_script(service, script, prepared.machine.budget, environment) if script else None
            prepared = settle(prepared, self._settings, environment)
            log.info("plan: %s", prepared.plan.line)
            apply_environment(prepared.plan)
            from serving.loader import load  # noqa: PLC0415 (numpy may be imported only now)

            loaded = load(prepared, self._settings, self._report)
            if opening:
                opening.result()
            self._call(self._serve_model, service, loaded)
        except CancelledError:
            log.info("loading was given up: the server is stopping")
        except ModelLoadError as error:
            self._call(self._give_up, str(error))
        except Exception as error:
            log.exception("loading failed unexpectedly")
            self._call(self._give_up, f"The model could not be loaded: {error!r}. The log above says where.")

    def _build(self) -> "Service":
        """Import and make the application, and open the door to it."""
        from serving.app import build  # noqa: PLC0415 (FastAPI and numpy may be imported only now)
        from serving.service import Service  # noqa: PLC0415

        service = Service(self._settings, self._lifecycle)
        self._service = service
        self._call(self._door.open, build(service))
        return service

    def _load_script(self, script: "Script", environment: Mapping[str, str]) -> None:
        """A script that loads the model by itself: there is none for the server to load. Raises ModelLoadError."""
        machine = look_around()
        log.info("processor: %s", machine.processor.description)
        service = self._build()
        self._report(State.LOADING)
        self._open_script(service, script, machine.budget, environment).result()
        self._report(State.READY)
        log.info("ready")

    def _open_script(
        self, service: "Service", script: "Script", budget: "Budget", environment: Mapping[str, str]
    ) -> "Future[None]":
        """Begin to load a script, beside the model where it loads none by itself."""
        from serving.scripts.process import Launch  # noqa: PLC0415 (light, but of no use without a script)
        from serving.scripts.runner import Runner  # noqa: PLC0415 (starlette may be imported only now)

        async def opened() -> None:
            service.script = Runner(service, Launch(script, None, environment, self._settings.model_dir), budget)
            await service.script.open()

        return asyncio.run_coroutine_threadsafe(opened(), self._loop)

    def _report(self, state: State) -> None:
        self._call(self._lifecycle.enter, state)

    def _serve_model(self, service: "Service", loaded: "Loaded") -> None:
        from serving.express import Express  # noqa: PLC0415 (what it needs is imported by now)

        service.put_in_service(loaded)
        self._gate.express = Express(service)
        # What lives by now lives as long as the process: the collector need not walk it again and again, which
        # stops everything for some 15 ms each time (FastAPI, numpy and their modules are 300,000 objects).
        gc.collect()
        gc.freeze()
        self._lifecycle.enter(State.READY)
        log.info("ready")

    def _give_up(self, reason: str) -> None:
        sys.stderr.write(f"\n{reason}\n\n")
        sys.stderr.flush()
        self._lifecycle.enter(State.FAILED)
        self.status = 1
        self.should_exit = True

    def _call(self, function: Callable[..., object], *arguments: object) -> None:
        """Call a function on the event loop, which owns all state."""
        self._loop.call_soon_threadsafe(function, *arguments)
