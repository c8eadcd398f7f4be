"""A real server process on this machine: what only a local one can show."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import pytest

from assets import onnx_models
from assets.efficientnet import efficientnet_onnx
from assets.needed import needed
from harness.bodies import document, refusal
from harness.crowd import until
from harness.servers import LocalServer, free_port
from harness.targets import ROOT
from harness.wire import Wire, request
from serving.server import DRAIN_SECONDS

# Their libraries, by which they are seen in a process.
UVICORN = "httptools"
FASTAPI = "pydantic_core"
# Of a slow model, so that a warm-up takes some seconds.
LOOPS = 5_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    onnx_models.identity(tmp_path / "model.onnx")
    return tmp_path


def command(folder: Path, **environment: str) -> tuple[list[str], dict[str, str]]:
    return [sys.executable, "-m", "serving", "serve"], {**os.environ, "SERVING_MODEL_DIR": str(folder), **environment}


@contextmanager
def started(folder: Path, *program: str, **environment: str) -> Iterator[LocalServer]:
    """A server of the test's own on a free port, or another program that serves; removed at the end."""
    port = free_port()
    arguments, everything = command(folder, SERVING_PORT=str(port), **environment)
    server = LocalServer([sys.executable, *program] if program else arguments, port, ROOT, everything)
    try:
        yield server
    finally:
        server.remove()


def test_the_platforms_port_counts_before_ours(folder: Path) -> None:
    port = free_port()
    arguments, environment = command(folder, SAGEMAKER_BIND_TO_PORT=str(port), SERVING_PORT="1")
    server = LocalServer(arguments, port, ROOT, environment)
    try:
        assert server.until_ready().ping() == 200
    finally:
        server.remove()


def test_a_port_in_use_is_said_and_ends_it(folder: Path) -> None:
    with socket.create_server(("0.0.0.0", 0)) as taken:  # noqa: S104 (as the server binds)
        arguments, environment = command(folder, SERVING_PORT=str(taken.getsockname()[1]))
        done = subprocess.run(arguments, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Address already in use" in done.stderr
    assert "SERVING_PORT" in done.stderr


def test_a_second_interrupt_is_not_needed(folder: Path) -> None:
    with started(folder) as server:
        server.until_ready()
        server.interrupt()
        assert server.until_ended() == 0


def test_uvicorn_and_fastapi_are_imported_when_a_request_needs_them(folder: Path) -> None:
    whole, chunked = b"[[1.5,2,3]]", iter([b"[[1", b".5,2,3]]"])  # the fast way, and ASGI's
    with started(folder) as server:
        mapped = Path(f"/proc/{server.pid}/maps")
        server.until_ready()
        until(server, lambda: "lanes: " in server.logs())  # all that is imported by itself has been by then
        for content, is_general in ((whole, False), (chunked, True)):
            assert document(server.client.get("/ping")) == {"state": "ready"}
            answer = server.client.post("/invocations", content=content, headers={"Content-Type": "application/json"})
            assert document(answer) == {"predictions": [[1.5, 2.0, 3.0]]}
            assert (UVICORN in mapped.read_text()) is is_general
        assert refusal(server.post(b"[[", "application/json")) == (400, "invalid_json")
        assert 'serving_requests_total{status="200"} 2.0' in server.client.get("/metrics").text
        assert FASTAPI not in mapped.read_text()
        assert server.client.get("/docs").status_code == 200
        assert FASTAPI in mapped.read_text()
        assert refusal(server.client.get("/invocations")) == (405, "method_not_allowed")
        assert 'serving_requests_total{status="200"} 2.0' in server.client.get("/metrics").text


def test_a_request_for_the_model_before_it_is_there_is_refused_and_imports_nothing(tmp_path: Path) -> None:
    onnx_models.slow(tmp_path / "model.onnx", loops=LOOPS)
    with started(tmp_path) as server:
        assert server.until_it_answers().status_code == 503
        assert refusal(server.post(b"[[1,2,3]]", "application/json")) == (503, "not_ready")
        assert UVICORN not in Path(f"/proc/{server.pid}/maps").read_text()


def test_the_port_is_bound_before_anything_slow_is_imported_and_sigterm_is_heard(folder: Path) -> None:
    with started(folder, "-c", SLOW_TO_IMPORT) as server:
        until(server, server.listens)
        server.terminate()
        assert server.until_ended() == 0
        assert "listening" not in server.logs()


def test_whether_requests_may_ride_together_is_tried_after_readiness_if_that_takes_a_moment(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").symlink_to(needed(efficientnet_onnx))
    with started(tmp_path) as server:
        server.until_ready()
        until(server, lambda: "lanes: " in server.logs())
        said = [json.loads(line)["message"] for line in server.logs().splitlines() if line.startswith("{")]
    steps = ["warmed up ", "ready", "tried ", "lanes: "]
    assert [step for line in said for step in steps if line.startswith(step)] == steps
    assert any(line.startswith("tried ") and "requests are run together" in line for line in said)


def test_pythons_collector_works_once_the_model_is_there(folder: Path) -> None:
    with started(folder, "-c", WITH_AN_EYE_ON_THE_COLLECTOR) as server:
        server.until_ready()
        until(server, lambda: "huge pages: " in server.logs())
        server.terminate()
        assert server.until_ended() == 0
        assert "while loading: False" in server.logs()
        assert "in the end: True, passing over some: True" in server.logs()


WITH_AN_EYE_ON_THE_COLLECTOR = """
import atexit, gc, sys
from serving import preparation
from serving.cli import run

find = preparation.find_models

def find_models(*arguments):
    sys.stderr.write(f"while loading: {gc.isenabled()}\\n")
    return find(*arguments)

preparation.find_models = find_models
atexit.register(
    lambda: sys.stderr.write(f"in the end: {gc.isenabled()}, passing over some: {gc.get_freeze_count() > 0}\\n")
)
sys.exit(run(["serve"]))
"""


def test_a_server_without_an_event_loop_ends_and_says_so(folder: Path) -> None:
    with started(folder, "-c", WITHOUT_UVLOOP) as server:
        assert server.until_ended() == 1
        assert "import of uvloop halted" in server.logs()


WITHOUT_UVLOOP = """
import sys
from serving.cli import run

sys.modules["uvloop"] = None  # an import of it fails
sys.exit(run(["serve"]))
"""


def never_finished(server: LocalServer) -> list[Wire]:
    """Requests of which a part never comes: one on the fast way, and one that only uvicorn takes."""
    wires = [Wire(server), Wire(server)]
    wires[0].send(request()[:-1])
    wires[1].send(b"POST /invocations HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[[1,2")
    until(server, lambda: UVICORN in Path(f"/proc/{server.pid}/maps").read_text())
    return wires


def test_what_cannot_be_finished_in_time_is_cut_off(folder: Path) -> None:
    with started(folder, "-c", IMPATIENT) as server:
        wires = never_finished(server.until_ready())
        server.terminate()
        assert server.until_ended() == 0
        assert "2 connections are cut off" in server.logs()
        for wire in wires:
            assert wire.is_closed()
            wire.close()


def test_a_second_interrupt_ends_the_patience(folder: Path) -> None:
    with started(folder) as server:
        wires = never_finished(server.until_ready())
        began = monotonic()
        server.interrupt()
        until(server, lambda: not server.listens())
        server.interrupt()
        assert server.until_ended() == 0
        assert monotonic() - began < DRAIN_SECONDS / 2
        assert "2 connections are cut off" in server.logs()
        for wire in wires:
            wire.close()


def test_nobody_is_let_in_while_it_finishes_what_it_has(folder: Path) -> None:
    with started(folder) as server, Wire(server.until_ready()) as wire:
        wire.send(request()[:-1])
        server.terminate()
        until(server, lambda: not server.listens())
        wire.send(request()[-1:])
        answer = wire.answer()
        assert (answer.status, answer.fields["connection"]) == (400, "close")  # it takes rows of three
        assert server.until_ended() == 0


# A server that does not wait long for what is not finished.
IMPATIENT = """
import sys
from serving import server
from serving.cli import run

server.DRAIN_SECONDS = server.MOMENT = 0.5
sys.exit(run(["serve"]))
"""

# A server whose framework takes its time to be imported.
SLOW_TO_IMPORT = """
import sys, time
from serving import launch, preparation
from serving.cli import run

launch.PATIENCE = 600
preparation.find_models = lambda *_: time.sleep(600)
sys.exit(run(["serve"]))
"""

# A server that takes its time over writing the weights of a divided model down.
HELD_UP = """
import sys, time
from pathlib import Path
from serving.backends import onnx_shared
from serving.cli import run

def write(path, folder, write):
    (folder / "weights.bin").write_bytes(bytes(1000))
    time.sleep(600)

onnx_shared._write = write
sys.exit(run(["serve"]))
"""


def test_stopped_while_it_divides_a_model_it_leaves_no_files(tmp_path: Path) -> None:
    model, temporary = tmp_path / "model", tmp_path / "temporary"
    model.mkdir()
    temporary.mkdir()
    (model / "model.onnx").symlink_to(needed(efficientnet_onnx))
    with started(model, "-c", HELD_UP, TMPDIR=str(temporary)) as server:
        server.until_ready()
        until(server, lambda: any(temporary.rglob("weights.bin")))
        server.terminate()
        assert server.until_ended() == 0
    assert not any(temporary.iterdir())
