"""A running server, as a process or as a container, and the client that talks to it."""

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import monotonic
from typing import Final, Self

import httpx

from harness.engine import docker, tried

READY_SECONDS: Final = 480
"""SageMaker's 8 minutes. An emulated Graviton3 takes 190 s with a Keras model, which it loads three times to try bf16,
on a machine that does nothing else; a native server needs less than one."""
STOP_SECONDS: Final = 30
"""SageMaker's from SIGTERM to SIGKILL."""
CLIENT_SECONDS: Final = 120
RETRY_SECONDS: Final = 0.02


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


class Server(ABC):
    """A server that has been started; `client` talks to it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=CLIENT_SECONDS)

    @abstractmethod
    def logs(self) -> str:
        """Everything it has written so far."""

    @abstractmethod
    def terminate(self) -> None:
        """Send SIGTERM, and do not wait."""

    @abstractmethod
    def ended(self, seconds: float) -> int | None:
        """Wait up to `seconds` for it to end; its exit status, None while it runs."""

    @abstractmethod
    def remove(self) -> None:
        """End it at once and clean up."""

    def until_ready(self, seconds: float = READY_SECONDS) -> Self:
        """Wait until /ping answers 200; an AssertionError shows the log if it ends or never does."""
        deadline = monotonic() + seconds
        while self.ping() != 200:
            assert self.ended(RETRY_SECONDS) is None, f"the server ended while starting:\n{self.logs()}"
            assert monotonic() < deadline, f"not ready after {seconds} s:\n{self.logs()}"
        return self

    def until_it_answers(self) -> httpx.Response:
        """Wait until /ping answers anything; its answer."""
        deadline = monotonic() + READY_SECONDS
        while True:
            with contextlib.suppress(httpx.TransportError):
                return self.client.get("/ping")
            assert self.ended(RETRY_SECONDS) is None, f"the server ended while starting:\n{self.logs()}"
            assert monotonic() < deadline, f"no answer after {READY_SECONDS} s:\n{self.logs()}"

    def ping(self) -> int:
        """The status of /ping; 0 while nobody answers."""
        try:
            return self.client.get("/ping").status_code
        except httpx.TransportError:
            return 0

    def listens(self) -> bool:
        """Whether connections are taken, be there anything that answers on them or not."""
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
            return True
        return False

    def until_ended(self, seconds: float = STOP_SECONDS) -> int:
        """Wait for it to end by itself; its exit status."""
        status = self.ended(seconds)
        assert status is not None, f"still running after {seconds} s:\n{self.logs()}"
        return status

    def post(
        self, body: bytes, content_type: str = "application/json", accept: str = "", **headers: str
    ) -> httpx.Response:
        """POST /invocations; an empty content type or accept is not sent."""
        given = {"content-type": content_type, "accept": accept} | headers
        return self.client.post(
            "/invocations", content=body, headers={name: value for name, value in given.items() if value}
        )


class LocalServer(Server):
    """A process of this machine; its output goes to a file, so that it never blocks on a full pipe."""

    def __init__(self, command: Sequence[str], port: int, folder: Path, environment: Mapping[str, str]) -> None:
        super().__init__(port)
        self._output = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed by remove)
        self._process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=self._output, stderr=subprocess.STDOUT
        )

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    def logs(self) -> str:
        # The place in the file is the server's, too: to seek would have it write over what it has written.
        file = self._output.fileno()
        return os.pread(file, os.fstat(file).st_size, 0).decode()

    def terminate(self) -> None:
        self._process.terminate()

    def interrupt(self) -> None:
        """Send SIGINT, as Ctrl-C does."""
        self._process.send_signal(signal.SIGINT)

    def ended(self, seconds: float) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        return self._process.returncode

    def remove(self) -> None:
        self.client.close()
        # Gracefully, so that coverage is written; a server that does not stop is killed and the test told.
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        finally:
            self._process.kill()
            self._process.wait()
            self._output.close()


class ContainerServer(Server):
    """A container, started by `docker run -d` with its port published on a free one."""

    def __init__(self, command: Sequence[str], port: int) -> None:
        self.container = docker(*command[1:])
        super().__init__(_published(self.container, port))

    def logs(self) -> str:
        done = tried("logs", self.container)
        return done.stdout + done.stderr

    def terminate(self) -> None:
        docker("kill", "--signal", "TERM", self.container)

    def ended(self, seconds: float) -> int | None:
        try:
            done = subprocess.run(
                ["docker", "wait", self.container], capture_output=True, text=True, check=True, timeout=seconds
            )
        except subprocess.TimeoutExpired:
            return None
        return int(done.stdout)

    def remove(self) -> None:
        self.client.close()
        docker("rm", "--force", "--volumes", self.container)


def _published(container: str, port: int) -> int:
    """Where a container's port is on this machine; 0, where nobody listens, if the container has ended already."""
    done = tried("port", container, str(port))
    if done.returncode:
        assert docker("inspect", "--format", "{{.State.Running}}", container) == "false", done.stderr
        return 0
    return int(done.stdout.splitlines()[0].rpartition(":")[2])
