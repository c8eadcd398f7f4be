"""The servers that are compared: how each is started, where it answers, and what CPU time it takes."""

import http.client
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
from time import monotonic, perf_counter, sleep

from benchmarks import processes
from benchmarks.cells import ASGI_ECHO, HTTP_ECHO, OURS
from benchmarks.client import BenchmarkError
from benchmarks.workloads import NPY_NAMES, Workload

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
# BentoML takes longest; on a busy machine more than a minute.
READY_SECONDS = 180
STOP_SECONDS = 30
# mosec waits half a minute for workers that are idle. What is to be known of others is known by then.
PEER_STOP_SECONDS = 2
RETRY_SECONDS = 0.05


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

    def takes(self, workload: str) -> bool:
        """Whether it is asked the workload of this name."""
        return not (self.json_only and workload.endswith(NPY_NAMES)) and (not self.only or workload in self.only)


@dataclass(frozen=True, slots=True)
class Peers:
    """The Pythons that have other servers installed, one or several each; those of None are left out."""

    common: str | None
    """mosec, LitServe, FastAPI."""
    bentoml: str | None = None
    mlserver: str | None = None


def ours() -> Contestant:
    """This server, as it is."""
    return Contestant(OURS, (sys.executable, "-m", "serving", "serve"), "defaults", "/invocations")


def contestants(peers: Peers, threads: int) -> list[Contestant]:
    """The echoes, ours and the others; `threads` is the runtime's for each of them."""
    this = sys.executable
    return [
        Contestant(HTTP_ECHO, (this, "-m", "benchmarks.echo"), "a protocol on uvloop that reads and answers"),
        Contestant(ASGI_ECHO, (this, "-m", "benchmarks.echo", "--asgi"), "uvicorn, uvloop, httptools"),
        ours(),
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

    address: str
    path: str
    process: "subprocess.Popen[bytes]"
    log: Path
    started: float
    """When, by perf_counter()."""

    @property
    def url(self) -> str:
        """Where it takes requests."""
        return self.address + self.path

    def cpu_seconds(self) -> float:
        """CPU time of all of its processes so far."""
        return processes.cpu_seconds(self.process.pid)

    def resident_bytes(self) -> int:
        """Resident size of all of its processes."""
        return processes.resident_bytes(self.process.pid)

    def is_ready(self) -> bool:
        """Whether /ping answers 200."""
        connection = self.connection()
        try:
            connection.request("GET", "/ping")
            return connection.getresponse().status == http.HTTPStatus.OK
        except OSError:
            return False
        finally:
            connection.close()

    def connection(self) -> http.client.HTTPConnection:
        """A new one, which gives up after as long as a start may take."""
        return http.client.HTTPConnection(self.address.removeprefix("http://"), timeout=READY_SECONDS)


@contextmanager
def running(contestant: Contestant, workload: Workload, threads: int) -> Iterator[Running]:
    """The server, started on a free port with the workload's model, ready; stopped at the end."""
    with starting(contestant, workload, threads) as server:
        _wait_until_ready(server, contestant, workload)
        yield server


@contextmanager
def starting(contestant: Contestant, workload: Workload, threads: int) -> Iterator[Running]:
    """The same, not waited for."""
    # Servers are in sessions of their own: one who ends this program wants them ended, too.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
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
        with (folder / "log").open("wb") as log:
            started = perf_counter()
            process = subprocess.Popen(  # noqa: S603 (the commands above)
                contestant.command if contestant.name == OURS else (*contestant.command, str(port)),
                cwd=ROOT,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            yield Running(f"http://127.0.0.1:{port}", contestant.path, process, folder / "log", started)
        finally:
            _stop(process, STOP_SECONDS if contestant.name == OURS else PEER_STOP_SECONDS)
            signal.signal(signal.SIGTERM, before)


def _model_folder(folder: Path, workload: Workload) -> Path:
    """A folder with the model alone, as ours takes it."""
    made = folder / "model"
    made.mkdir()
    (made / "model.onnx").symlink_to(workload.model)
    return made


def _wait_until_ready(server: Running, contestant: Contestant, workload: Workload) -> None:
    deadline = monotonic() + READY_SECONDS
    body = (workload.open_inference_bodies if contestant.open_inference else workload.bodies)[0]
    request = urllib.request.Request(server.url, body, {"Content-Type": workload.media_type})  # noqa: S310
    while True:
        try:
            with urllib.request.urlopen(request, timeout=READY_SECONDS):  # noqa: S310 (our own address)
                return
        except (urllib.error.URLError, ConnectionError):
            if server.process.poll() is not None or monotonic() > deadline:
                raise BenchmarkError(f"{server.url} is not ready:\n{server.log.read_text(errors='replace')}") from None
            sleep(RETRY_SECONDS)


def _stop(process: "subprocess.Popen[bytes]", seconds: float) -> None:
    all_of_them = processes.family(process.pid)
    process.send_signal(signal.SIGINT)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        processes.kill(all_of_them)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
