"""One worker as the server sees it: a child process, and the socket to it.

A worker is a new process of this program (never a fork: the runtime has threads by now) in a session of its
own, so that ending it ends what its script has started, too.
"""

import asyncio
import contextlib
import logging
import os
import platform
import signal
import socket
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving.scripts.found import Script
from serving.scripts.frames import PREFIX, Frame, FrameError, lengths, packed, unpacked
from serving.scripts.worker import COMMAND
from serving.settings import MODEL_DIR

log = logging.getLogger(__name__)

# Enough for an answer to arrive in few pieces.
BUFFER_BYTES = 2**20
# For what a script does at its end; a worker that takes longer is killed.
END_SECONDS = 2.0
# Libraries that a script imports would each start a thread for every core of the machine, in every worker, and
# take the cores from the model and from each other. A script that needs more sets its own.
ONE_THREAD = dict.fromkeys(
    (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "NUMEXPR_NUM_THREADS",
        "TF_NUM_INTRAOP_THREADS",
        "TF_NUM_INTEROP_THREADS",
    ),
    "1",
)
# What AWS's PyTorch image for Graviton sets; nothing but PyTorch reads them, and on x86 they would only cost memory.
ON_ARM = {"LRU_CACHE_CAPACITY": "1024", "THP_MEM_ALLOC_ENABLE": "1"} if platform.machine() == "aarch64" else {}
# A proxy that is meant for the world outside must not get what a script sends to its own server.
NO_PROXY = ("no_proxy", "NO_PROXY")
OWN_HOSTS = "localhost,127.0.0.1,::1"


class WorkerError(Exception):
    """A worker could not load its script, or ended; the text says how, for the log.

    `traceback` is the script's own, empty where there is none.
    """

    def __init__(self, message: str, traceback: str = "") -> None:
        super().__init__(message)
        self.traceback = traceback


@dataclass(frozen=True, slots=True)
class Launch:
    """How workers are started.

    `installed` is where the script's requirements are, `environment` the process's as the user has set it,
    `model_dir` what a script that loads the model by itself is told.
    """

    script: Script
    installed: Path | None
    environment: Mapping[str, str]
    model_dir: Path = MODEL_DIR

    def command(self, descriptor: int) -> list[str]:
        """The worker's command line."""
        path = self.script.module_path(self.installed)
        return [sys.executable, "-P", "-m", "serving", COMMAND, str(descriptor), str(self.script.file), *path]

    @property
    def variables(self) -> dict[str, str]:
        """The worker's environment: what the user has set, and what he has not thought of."""
        # Where this program is, for -P keeps the current folder off the module path.
        paths = [str(Path(__file__).resolve().parents[2]), self.environment.get("PYTHONPATH", "")]
        proxies = {name: ",".join(filter(None, (self.environment.get(name, ""), OWN_HOSTS))) for name in NO_PROXY}
        ours = {
            "SM_MODEL_DIR": str(self.model_dir),
            "PYTHONUNBUFFERED": "1",
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        }
        return {**ONE_THREAD, **ON_ARM, **self.environment, **proxies, **ours}


class Worker:
    """A worker that has loaded its script; made by `start`."""

    def __init__(self, process: Process, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._process = process
        self._reader = reader
        self._writer = writer
        self._killed = False
        self.told: Mapping[str, Any] = {}
        """What it said when it had loaded the script."""
        self.ended: asyncio.Task[int] = asyncio.create_task(self._wait())
        """Its exit status, once it has ended."""

    @classmethod
    async def start(cls, launch: Launch) -> "Worker":
        """Start a worker and wait until it has loaded the script. Raises WorkerError and OSError."""
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                process = await asyncio.create_subprocess_exec(
                    *launch.command(theirs.fileno()),
                    stdin=DEVNULL,
                    env=launch.variables,
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,
                )
            except BaseException:
                ours.close()
                raise
        reader, writer = await asyncio.open_unix_connection(sock=ours, limit=BUFFER_BYTES)
        worker = cls(process, reader, writer)
        try:
            await worker._greet()
        except BaseException:
            worker.kill()
            await worker.ended
            raise
        return worker

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended, and is not about to."""
        return not (self._killed or self.ended.done())

    async def ask(self, question: Frame) -> Frame:
        """Give it a request and wait for its answer, one at a time.

        Raises:
            WorkerError: it has ended instead.
            FrameError: the request is too large to be sent.
        """
        beginning = packed(question)
        with contextlib.suppress(ConnectionError):  # reading tells why
            self._writer.write(beginning)
            self._writer.write(question.body)
            await self._writer.drain()
        return await self._receive()

    def kill(self) -> None:
        """End it, and all that its script has started, at once."""
        self._writer.close()
        if self.is_alive:
            self._killed = True
            self._kill_session()

    async def close(self) -> None:
        """Let it end, but not for long."""
        self._writer.close()
        await asyncio.wait({self.ended}, timeout=END_SECONDS)
        self.kill()
        await self.ended

    async def _greet(self) -> None:
        hello = await self._receive()
        if "failed" in hello.head:
            raise WorkerError(hello.head["failed"], hello.head["traceback"])
        self.told = hello.head

    async def _receive(self) -> Frame:
        """The next frame from the worker, which may end instead, even while a child of its own holds the socket."""
        reading = asyncio.create_task(self._read())
        try:
            await asyncio.wait({reading, self.ended}, return_when=asyncio.FIRST_COMPLETED)
            if reading.done():
                return reading.result()
        except (asyncio.IncompleteReadError, ConnectionError, FrameError) as error:
            # It is about to end, or has lost its way.
            log.debug("a worker's socket ended: %s", error)
        finally:
            reading.cancel()
        self.kill()
        raise WorkerError(f"its process ended with {described(await self.ended)}")

    async def _read(self) -> Frame:
        head, body = lengths(await self._reader.readexactly(PREFIX.size))
        return unpacked(await self._reader.readexactly(head), await self._reader.readexactly(body))

    async def _wait(self) -> int:
        status = await self._process.wait()
        self._kill_session()  # of which others may be left
        self._writer.close()
        return status

    def _kill_session(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)


def described(code: int) -> str:
    """An exit status in words, as `Popen` has it: negative for a signal."""
    return f"status {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"
