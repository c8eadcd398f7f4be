"""How soon /ping answers while the server is busy: `PYTHONPATH=tests python -m benchmarks.ping [--save]`.

While JSON bodies of almost 25 MB, the most that SageMaker sends, arrive on every connection, pictures and then rows of
two inputs by name (99 of 100 are to be answered within 100 ms), and while one inference takes 10 s (all within 2 s). A
client on a connection of its own asks every 20 ms, on the same cores as everything else.
"""

import argparse
import http.client
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, perf_counter, sleep
from typing import Any, Final

import numpy as np
import onnxruntime as ort

from assets import onnx_models
from benchmarks import program
from benchmarks.client import TOLERANCE, BenchmarkError
from benchmarks.contestants import Running, ours, starting
from benchmarks.records import threads_here
from benchmarks.workloads import JSON, MAKERS, Tensor, Workload, with_rows, workload_of

CONNECTIONS: Final = 8
LARGEST_BYTES: Final = 25 * 2**20
PAUSE_SECONDS: Final = 0.02
# Of a row of each of two inputs, few enough for some rows; and what a number of six digits takes with its comma.
COLUMNS: Final = 65_536
NUMBER_BYTES: Final = 9
# Models that take seconds are run several times before the first request.
READY_SECONDS: Final = 300
PROBE_LOOPS: Final = 2000


@dataclass(frozen=True, slots=True)
class Pings:
    """Of one kind of load, milliseconds; `most` is what `judged`, p99 or the longest, may be."""

    load: str
    answered: int
    p50: float
    p99: float
    longest: float
    most: float
    judged: float


def main() -> int:
    """Measure and report."""
    return program.run("ping", __doc__, _add_options, _measure, table, connections=CONNECTIONS, pause=PAUSE_SECONDS)


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=int, default=20, help="of large bodies (default: %(default)s)")
    parser.add_argument("--inference", type=float, default=10.0, help="seconds of one (default: %(default)s)")


def _measure(options: argparse.Namespace, folder: Path) -> list[Pings]:
    loads = (("pictures", _pictures(folder)), ("two inputs", _two_inputs(folder)))
    return [
        *(_bodies(what, workload, options.seconds) for what, workload in loads),
        _inference(folder, options.inference),
    ]


def table(found: Sequence[Pings]) -> str:
    """In Markdown, with the verdicts."""
    rows = [
        f"| {one.load} | {one.answered} | {one.p50:.1f} | {one.p99:.1f} | {one.longest:.1f} | {one.most:.0f} | "
        f"{'met' if one.judged < one.most else 'MISSED'} |"
        for one in found
    ]
    return "\n".join(("| while | pings | p50 ms | p99 ms | longest ms | wanted < ms | |", "|---" * 7 + "|", *rows))


def _pictures(folder: Path) -> Workload:
    one = MAKERS["image-json"]("image-json", folder)
    rows = LARGEST_BYTES // max(map(len, one.bodies))
    return with_rows(one, (rows, rows))


def _two_inputs(folder: Path) -> Workload:
    model, random = onnx_models.sum_of_two(folder / "two.onnx", columns=COLUMNS), np.random.default_rng(0)
    rows = LARGEST_BYTES // (2 * COLUMNS * NUMBER_BYTES)
    request = {name: random.random((rows, COLUMNS), np.float32) for name in ("a", "b")}
    return workload_of("two-inputs", model, JSON, (request,))


def _bodies(what: str, large: Workload, seconds: int) -> Pings:
    body, answer = large.bodies[0], large.answers[0]
    load = f"JSON of {len(body) / 2**20:.0f} MB ({what}) arrives on {CONNECTIONS} connections"
    print(f"  {load}, {seconds} s …", flush=True)
    with _ready(large) as server, ThreadPoolExecutor(CONNECTIONS) as pool:

        def work() -> None:
            until = monotonic() + seconds
            sent = sum(pool.map(lambda _: _send(server, body, answer, until), range(CONNECTIONS)))
            print(f"  {sent / seconds:.1f} bodies a second", flush=True)

        times = _pinged_during(server, work)
    p50, p99, longest = _quantiles(times)
    return Pings(load, len(times), p50, p99, longest, 100, p99)


def _inference(folder: Path, seconds: float) -> Pings:
    model, row = onnx_models.slow(folder / "slow.onnx", loops=PROBE_LOOPS), np.zeros((1, 3), np.float32)
    each = _seconds_of(model, row) / PROBE_LOOPS
    model = onnx_models.slow(folder / "slow.onnx", loops=int(seconds / each))
    load = f"one inference takes {seconds:.0f} s"
    print(f"  {load} (and several before the server is ready) …", flush=True)
    workload = Workload("slow", model, JSON, ({"x": row},), (row,))
    with _ready(workload) as server:
        times = _pinged_during(server, lambda: _ask(server, workload))
    p50, p99, longest = _quantiles(times)
    return Pings(load, len(times), p50, p99, longest, 2000, longest)


def _seconds_of(model: Path, row: Tensor) -> float:
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    session.run(None, {"x": row})
    started = perf_counter()
    session.run(None, {"x": row})
    return perf_counter() - started


def _send(server: Running, body: bytes, wanted: Tensor, until: float) -> int:
    """Send the body again and again on one connection; how often it was answered rightly."""
    connection = server.connection()
    sent = 0
    while monotonic() < until:
        found = np.array(_post(connection, server, body)["predictions"])
        if not np.allclose(found, wanted, atol=float(np.abs(wanted).max()) * TOLERANCE, rtol=0):
            raise BenchmarkError("a large body was answered wrongly")
        sent += 1
    return sent


def _ask(server: Running, workload: Workload) -> None:
    started = perf_counter()
    _post(server.connection(), server, workload.bodies[0])
    print(f"  it took {perf_counter() - started:.1f} s", flush=True)


def _post(connection: http.client.HTTPConnection, server: Running, body: bytes) -> Any:  # noqa: ANN401 (JSON)
    connection.request("POST", server.path, body, {"Content-Type": JSON})
    answer = connection.getresponse()
    text = answer.read()
    if answer.status != http.HTTPStatus.OK:
        raise BenchmarkError(f"{server.path} answered {answer.status}: {text.decode(errors='replace')}")
    return json.loads(text)


def _pinged_during(server: Running, work: Callable[[], object]) -> list[float]:
    """Milliseconds of each /ping while the work is done."""
    times = []
    connection = server.connection()
    with ThreadPoolExecutor(1) as pool:
        done: Future[object] = pool.submit(work)
        while not done.done():
            started = perf_counter()
            connection.request("GET", "/ping")
            answer = connection.getresponse()
            answer.read()
            times.append((perf_counter() - started) * 1e3)
            if answer.status != http.HTTPStatus.OK:
                raise BenchmarkError(f"/ping answered {answer.status} under load")
            sleep(PAUSE_SECONDS)
        done.result()
    return times


def _quantiles(times: Sequence[float]) -> tuple[float, float, float]:
    p50, p99, longest = np.quantile(times, (0.5, 0.99, 1.0))
    return float(p50), float(p99), float(longest)


@contextmanager
def _ready(workload: Workload) -> Iterator[Running]:
    with starting(ours(), workload, threads_here()) as server:
        deadline = monotonic() + READY_SECONDS
        while not server.is_ready():
            if server.process.poll() is not None or monotonic() > deadline:
                raise BenchmarkError(f"not ready:\n{server.log.read_text(errors='replace')}")
            sleep(PAUSE_SECONDS)
        yield server


if __name__ == "__main__":
    sys.exit(main())
