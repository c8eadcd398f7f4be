"""The servers that are compared: how each is started, where it answers, and what CPU time it takes."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep

from benchmarks.client import BenchmarkError
from benchmarks.workloads import JSON, Workload

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
READY_SECONDS = 60
STOP_SECONDS = 30
RETRY_SECONDS = 0.05
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Contestant:
    """A server by name: its command but for the port, its path, and how its settings are told in the report."""

    name: str
    command: tuple[str, ...]
    settings: str
    path: str = "/inference"
    environment: Mapping[str, str] = field(default_factory=dict)
    json_only: bool = False

    def takes(self, workload: Workload) -> bool:
        """Whether it is asked this at all."""
        return workload.media_type == JSON or not self.json_only


def contestants(peers: str, threads: int) -> list[Contestant]:
    """Ours first; `peers` is the Python that has the others, `threads` the runtime's for each of them."""

    def script(name: str) -> tuple[str, ...]:
        return (peers, str(HERE / "peers" / f"{name}_server.py"))

    mosec = (*script("mosec"), "--timeout", "60000", "--max-req-size", "52428800", "--log-level", "error", "--port")
    return [
        Contestant("graviton-serving", (sys.executable, "-m", "serving", "serve"), "defaults", "/invocations"),
        Contestant("mosec", mosec, f"1 worker, {threads} threads, unbatched", environment={"BATCH": "1"}),
        Contestant(
            "mosec, batch 32", mosec, f"1 worker, {threads} threads, 10 ms at most", environment={"BATCH": "32"}
        ),
        Contestant("naive FastAPI", script("naive"), f"uvicorn, uvloop, {threads} threads"),
        Contestant(
            "LitServe", script("litserve"), f"1 worker, {threads} threads", environment={"BATCH": "1"}, json_only=True
        ),
        Contestant("ASGI echo", (sys.executable, "-m", "benchmarks.echo"), "uvicorn, uvloop, httptools"),
    ]


@dataclass(frozen=True, slots=True)
class Running:
    """A started server."""

    url: str
    process: "subprocess.Popen[bytes]"

    def cpu_seconds(self) -> float:
        """CPU time of all of its processes so far (they are of one session of the kernel's)."""
        ticks = 0
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                ticks += _ticks(entry, self.process.pid)
        return ticks / CLOCK_TICKS


def _ticks(process: Path, session: int) -> int:
    """User and system time of a process if it is of the session (proc(5), stat)."""
    try:
        fields = (process / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0  # it has ended meanwhile
    return int(fields[11]) + int(fields[12]) if int(fields[3]) == session else 0


@contextmanager
def running(contestant: Contestant, workload: Workload, threads: int) -> Iterator[Running]:
    """The server, started on a free port with the workload's model, ready; stopped at the end."""
    port = _free_port()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "model.onnx").symlink_to(workload.model)
        environment = os.environ | {
            "SERVING_MODEL_DIR": name,
            "SERVING_PORT": str(port),
            "MODEL": str(workload.model),
            "MEDIA_TYPE": workload.media_type,
            "THREADS": str(threads),
            "ORT_DISABLE_TELEMETRY": "1",
            **contestant.environment,
        }
        ours = contestant.path == "/invocations"
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(  # noqa: S603 (the commands above)
                contestant.command if ours else (*contestant.command, str(port)),
                cwd=ROOT,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        server = Running(f"http://127.0.0.1:{port}{contestant.path}", process)
        try:
            _wait_until_ready(server, workload, folder / "log")
            yield server
        finally:
            _stop(process)


def _wait_until_ready(server: Running, workload: Workload, log: Path) -> None:
    deadline = monotonic() + READY_SECONDS
    request = urllib.request.Request(server.url, workload.bodies[0], {"Content-Type": workload.media_type})  # noqa: S310
    while True:
        try:
            with urllib.request.urlopen(request, timeout=READY_SECONDS):  # noqa: S310 (our own address)
                return
        except (urllib.error.URLError, ConnectionError):
            if server.process.poll() is not None or monotonic() > deadline:
                raise BenchmarkError(f"{server.url} is not ready:\n{log.read_text(errors='replace')}") from None
            sleep(RETRY_SECONDS)


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGINT)
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
