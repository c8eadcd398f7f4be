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
from time import monotonic
from typing import TYPE_CHECKING

import uvloop

from serving.connection import Connection
from serving.door import Door
from serving.early import Early
from serving.gate import Gate
from serving.later import Later
from serving.launch import BACKLOG
from serving.lifecycle import State
from serving.ping import Ping
from serving.scratch import remove_all
from serving.settings import Settings
from serving.starter import Front, Starter

if TYPE_CHECKING:
    from serving.general import General

log = logging.getLogger(__name__)

# SageMaker kills 30 s after SIGTERM; the rest is left for the process to end.
DRAIN_SECONDS = 25
# After SIGTERM, requests that are on the wire already are still taken for this long, and answered with
# "Connection: close"; only then is the port closed. Closing it at once would reset them.
GRACE_SECONDS = 0.5
# What is left for connections whose script has taken all the time.
MOMENT = 1.0
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def run(settings: Settings, listener: socket.socket, starter: Starter) -> int:
    """Answer on this socket until told to stop, and serve what is being loaded. Returns the process's exit status."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_run(settings, listener, starter))


async def _run(settings: Settings, listener: socket.socket, starter: Starter) -> int:
    server = Server(settings, starter)
    await server.serve(listener)
    server.close()
    return server.status


class Server:
    """Everything that belongs to the event loop, which is the running one."""

    def __init__(self, settings: Settings, starter: Starter) -> None:
        self.status = 0
        self._settings = settings
        self._starter = starter
        self._lifecycle = starter.lifecycle
        self._loop = asyncio.get_running_loop()
        self._told_to_stop = asyncio.Event()
        self._patience: asyncio.Timeout | None = None
        door = Door(self._lifecycle)
        self._gate = Gate(Ping(self._lifecycle), Early(self._lifecycle), Later(lambda: _general(door)))
        self._front = Front(door, self._gate, self._give_up)

    async def serve(self, listener: socket.socket) -> None:
        """Answer, serve what is loaded, and stop when told to."""
        for number in STOP_SIGNALS:
            self._loop.add_signal_handler(number, self._stop, number)
        port = await self._loop.create_server(
            lambda: Connection(self._gate, self._loop), sock=listener, backlog=BACKLOG
        )
        log.info("listening on %s:%d", self._settings.host, self._settings.port)
        self._starter.attach(self._loop, self._front)
        await self._told_to_stop.wait()
        await self._finish(port, listener)

    def close(self) -> None:
        """Release what is left; a loader that is still inside a framework's own code is not waited for."""
        if self._starter.service:
            self._starter.service.close()
        log.info("stopped")
        if self._starter.is_at_work:
            logging.shutdown()
            remove_all()
            os._exit(self.status)

    def _stop(self, number: int) -> None:
        """Called for a signal; a second interrupt ends the patience with what is not finished."""
        if number == signal.SIGINT and self._patience is not None:
            self._patience.reschedule(self._loop.time())
        self._told_to_stop.set()

    def _give_up(self, reason: str) -> None:
        sys.stderr.write(f"\n{reason}\n\n")
        sys.stderr.flush()
        self._lifecycle.enter(State.FAILED)
        self.status = 1
        self._told_to_stop.set()

    async def _finish(self, port: asyncio.Server, listener: socket.socket) -> None:
        """Finish what was taken."""
        self._lifecycle.enter(State.STOPPING)
        log.info("stopping: finishing what was taken")
        if self.status == 0:
            await asyncio.sleep(GRACE_SECONDS)
        started = monotonic()
        service = self._starter.service
        if service and service.script:
            # While the port is open, for scripts reach the model through it.
            await service.script.stop(DRAIN_SECONDS)
        port.close()
        listener.close()
        await self._part(DRAIN_SECONDS - (monotonic() - started))

    async def _part(self, seconds: float) -> None:
        """Have every connection closed when it has its answer, and the rest when the time is up."""
        try:
            async with asyncio.timeout(max(seconds, MOMENT)) as self._patience:
                for connection in self._gate.connections:
                    connection.shutdown()
                await self._gate.empty()
                if general := self._gate.general.made:
                    await general.finish()
        except TimeoutError:
            log.warning("%d connections are cut off: their answers are not ready", len(self._gate.connections))
            for connection in self._gate.connections:
                connection.abort()
        finally:
            self._patience = None


def _general(door: Door) -> "General":
    """Import and make the general way."""
    from serving.general import General  # noqa: PLC0415 (uvicorn, which SageMaker's requests do without)

    return General(door)
