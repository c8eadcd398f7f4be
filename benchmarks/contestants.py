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

from benchmarks.cells import ASGI_ECHO, HTTP_ECHO, OURS
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
    """Whether it has no way to read .npy."""
    only: tuple[str, ...] = ()
    """The workloads that it is asked at all; all without it."""
    open_inference: bool = False
    """Whether it is asked by the Open Inference Protocol."""

    def takes(self, workload: Workload) -> bool:
        """Whether it is asked this."""
        return (workload.media_type == JSON or not self.json_only) and (not self.only or workload.name in self.only)


@dataclass(frozen=True, slots=True)
class Peers:
    """The Pythons that have other servers installed, one or several each; those of None are left out."""

    common: str | None
    """mosec, LitServe, FastAPI."""
    bentoml: str | None = None
    mlserver: str | None = None


def contestants(peers: Peers, threads: int) -> list[Contestant]:
    """The echoes, ours and the others; `threads` is the runtime's for each of them."""
    this = sys.executable
    return [
        Contestant(HTTP_ECHO, (this, "-m", "benchmarks.echo"), "a protocol on uvloop that reads and answers"),
        Contestant(ASGI_ECHO, (this, "-m", "benchmarks.echo", "--asgi"), "uvicorn, uvloop, httptools"),
        Contestant(OURS, (this, "-m", "serving", "serve"), "defaults", "/invocations"),
        *([] if peers.common is None else _common(peers.common, threads)),
        *([] if peers.bentoml is None else [_bentoml(peers.bentoml, threads)]),
        *([] if peers.mlserver is None else [_mlserver(peers.mlserver, threads)]),
    ]


def _common(python: str, threads: int) -> list[Contestant]:
    told = f"1 worker, {threads} threads"
    mosec = (*_script(python, "mosec"), "--timeout", "60000", "--max-req-size", "52428800", "--log-level", "error")
    return [
        Contestant("mosec", (*mosec, "--port"), f"{told}, unbatched", environment={"BATCH": "1"}),
        Contestant("mosec, batch 32", (*mosec, "--port"), f"{told}, 10 ms at most", environment={"BATCH": "32"}),
        Contestant("naive FastAPI", _script(python, "naive"), f"uvicorn, uvloop, {threads} threads"),
        Contestant("LitServe", _script(python, "litserve"), told, environment={"BATCH": "1"}, json_only=True),
    ]


def _bentoml(python: str, threads: int) -> Contestant:
    quiet = {"BENTOML_DO_NOT_TRACK": "true", "BATCH": "32"}
    told = f"1 worker, {threads} threads, adaptive batches of 32 at most"
    return Contestant("BentoML", _script(python, "bentoml"), told, environment=quiet, json_only=True)


def _mlserver(python: str, threads: int) -> Contestant:
    return Contestant(
        "MLServer",
        _script(python, "mlserver"),
        f"in its own process, {threads} threads, Open Inference Protocol",
        "/v2/models/inference/infer",
        only=("tiny-json",),
        open_inference=True,
    )


def _script(python: str, name: str) -> tuple[str, ...]:
    return python, str(HERE / "peers" / f"{name}_server.py")


@dataclass(frozen=True, slots=True)
class Running:
    """A started server."""

    url: str
    process: "subprocess.Popen[bytes]"

    def cpu_seconds(self) -> float:
        """CPU time so far of the process, of all that it has started, and of all that those have."""
        parents: dict[int, int] = {}
        ticks: dict[int, int] = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with suppress(OSError):  # it has ended meanwhile
                    fields = (entry / "stat").read_text().rpartition(")")[2].split()
                    parents[int(entry.name)] = int(fields[1])
                    ticks[int(entry.name)] = int(fields[11]) + int(fields[12])
        return sum(used for pid, used in ticks.items() if self._started(pid, parents)) / CLOCK_TICKS

    def _started(self, pid: int | None, parents: Mapping[int, int]) -> bool:
        while pid and pid != self.process.pid:
            pid = parents.get(pid)
        return pid == self.process.pid


@contextmanager
def running(contestant: Contestant, workload: Workload, threads: int) -> Iterator[Running]:
    """The server, started on a free port with the workload's model, ready; stopped at the end."""
    port = _free_port()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "answer").write_bytes(workload.an_answer)
        environment = os.environ | {
            "SERVING_MODEL_DIR": str(_model_folder(folder, workload)),
            "SERVING_PORT": str(port),
            "MODEL": str(workload.model),
            "MEDIA_TYPE": workload.media_type,
            "THREADS": str(threads),
            "ANSWER": str(folder / "answer"),
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
            _wait_until_ready(server, contestant, workload, folder / "log")
            yield server
        finally:
            _stop(process)


def _model_folder(folder: Path, workload: Workload) -> Path:
    """A folder with the model alone, as ours takes it."""
    made = folder / "model"
    made.mkdir()
    (made / "model.onnx").symlink_to(workload.model)
    return made


def _wait_until_ready(server: Running, contestant: Contestant, workload: Workload, log: Path) -> None:
    deadline = monotonic() + READY_SECONDS
    body = (workload.open_inference_bodies if contestant.open_inference else workload.bodies)[0]
    request = urllib.request.Request(server.url, body, {"Content-Type": workload.media_type})  # noqa: S310
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
