"""The life of the server: answer, load in the background, serve, stop.

    answer     the port is bound (`serving.launch`) and /ping answers 503
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

import uvloop
from uvicorn.config import Config
from uvicorn.server import Server as UvicornServer

from serving.connection import Connection, Gate
from serving.door import Door
from serving.launch import BACKLOG
from serving.lifecycle import State
from serving.scratch import remove_all
from serving.settings import Settings
from serving.starter import Front, Starter

log = logging.getLogger(__name__)

# SageMaker kills 30 s after SIGTERM; the rest is left for the process to end.
DRAIN_SECONDS = 25
# After SIGTERM, requests that are on the wire already are still taken for this long, and answered with
# "Connection: close"; only then is the port closed. Closing it at once would reset them.
GRACE_SECONDS = 0.5
# Load balancers, SageMaker's among them, keep connections for 60 s; the side that reuses one must be the
# first to give it up, or requests are lost in the race.
KEEP_ALIVE_SECONDS = 75
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def run(settings: Settings, listener: socket.socket, starter: Starter) -> int:
    """Answer on this socket until told to stop, and serve what is being loaded. Returns the process's exit status."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_run(settings, listener, starter))


async def _run(settings: Settings, listener: socket.socket, starter: Starter) -> int:
    server = Server(settings, starter)
    await server.serve(sockets=[listener])
    server.close()
    return server.status


class Server(UvicornServer):
    """uvicorn's server with our start, our signals and our stop."""

    def __init__(self, settings: Settings, starter: Starter) -> None:
        self.status = 0
        self._settings = settings
        self._starter = starter
        self._lifecycle = starter.lifecycle
        door, gate = Door(self._lifecycle), Gate()
        self._front = Front(door, gate, self._give_up)
        self._loop = asyncio.get_running_loop()
        super().__init__(
            Config(
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
        """Answer connections, then serve what is loaded."""
        await super().startup(sockets)
        log.info("listening on %s:%d", self._settings.host, self._settings.port)
        self._starter.attach(self._loop, self._front)

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
