"""The life of the server: bind, load in the background, serve, stop.

    listen     the port is bound and /ping answers before anything slow is imported
    load       a thread finds the model, makes the plan, loads and warms up (`serving.starter`)
    serve      /ping answers 200 and requests are run
    stop       SIGTERM: what has been taken, or is on its way, is finished within 25 s; then exit status 0

A model that cannot be loaded ends the process with status 1: a container that stays up half-dead would
keep SageMaker waiting, and then keep its operator guessing.
"""

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from time import monotonic

import uvicorn
import uvloop

from serving.allocator import keep_freed_memory
from serving.connection import Connection, Gate
from serving.door import Door
from serving.lifecycle import Lifecycle, State
from serving.scratch import remove_all
from serving.settings import Settings
from serving.starter import Starter

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
    keep_freed_memory()
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
        door = Door(self._lifecycle)
        gate = Gate()
        self._starter = Starter(settings, self._lifecycle, door, gate, self._give_up)
        self._loop = asyncio.get_running_loop()
        super().__init__(
            uvicorn.Config(
                door,
                interface="asgi3",
                http=partial(Connection, gate),  # type: ignore[arg-type]  # it is called as the class would be
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
        self._starter.start()

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
        service = self._starter.service
        if service and service.script:
            await service.script.stop(DRAIN_SECONDS)
        left = DRAIN_SECONDS - (monotonic() - started)
        self.config.timeout_graceful_shutdown = max(1, int(left))

    def close(self) -> None:
        """Release what is left; a loader that is still inside a framework's own code is not waited for."""
        if self._starter.service:
            self._starter.service.close()
        log.info("stopped")
        if self._starter.is_at_work:
            logging.shutdown()
            remove_all()
            os._exit(self.status)

    def _give_up(self, reason: str) -> None:
        sys.stderr.write(f"\n{reason}\n\n")
        sys.stderr.flush()
        self._lifecycle.enter(State.FAILED)
        self.status = 1
        self.should_exit = True
