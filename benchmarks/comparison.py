"""Ours, the bare runtime and other Python model servers, on this machine, in one run: `make bench`.

    python -m benchmarks.comparison --peers PYTHON [--workloads tiny-json,...] [--seconds 3] [--rounds 3] [--save]

Every server is started anew for each workload with the same model, the same ONNX Runtime and as many threads as
there are cores; wrk asks it on 1, 8 and 32 connections and checks every answer. A cell is the median of the
rounds, and in a round all servers take turns, so that a slow minute hits all of them. `share` is the rate over the
limit: at one connection 1 / (bare batch-1 time + echo time), above the smaller of the bare runtime's best rate at
a batch of at most so many rows and the echo's rate.
"""

import argparse
import json
import os
import sys
import tempfile
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from benchmarks.chart import chart
from benchmarks.client import BenchmarkError, Measured, check_for_wrk, measure, write_cases
from benchmarks.contestants import Contestant, contestants, running
from benchmarks.limits import Limit, limit_of
from benchmarks.workloads import Workload, workloads
from serving.preparation import look_around

RESULTS = Path(__file__).resolve().parent / "results"
CONNECTIONS = (1, 8, 32)
# wrk counts whole seconds.
WARM_SECONDS = 1
ECHO = "ASGI echo"


@dataclass(frozen=True, slots=True)
class Cell:
    """A server under a load; medians of the rounds: requests a second, milliseconds, CPU milliseconds a request."""

    workload: str
    server: str
    connections: int
    rate: float
    p50: float
    p99: float
    cpu: float
    share: float


def main() -> int:
    """Measure and report."""
    options = _parser().parse_args()
    try:
        check_for_wrk()
        cells, limits = _compared(options)
    except BenchmarkError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    report = _table(cells)
    print(report)
    if options.save:
        _save(cells, limits, options, report)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Compare this server with the bare runtime and with others.")
    parser.add_argument("--peers", required=True, help="the Python that has the other servers installed")
    parser.add_argument("--workloads", default="", help="comma-separated names; all without it")
    parser.add_argument("--servers", default="", help="comma-separated beginnings of names; all without it")
    parser.add_argument("--seconds", type=int, default=3, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each cell")
    parser.add_argument("--save", action="store_true", help="keep table, chart and numbers in benchmarks/results")
    return parser


def _compared(options: argparse.Namespace) -> tuple[list[Cell], dict[str, Limit]]:
    threads = len(os.sched_getaffinity(0))
    cells: list[Cell] = []
    limits: dict[str, Limit] = {}
    with tempfile.TemporaryDirectory() as name:
        print("making the models …", flush=True)
        for workload in workloads(Path(name), options.workloads.split(",") if options.workloads else ()):
            cases = write_cases(workload, Path(name) / f"{workload.name}.lua")
            rounds = [_round(workload, cases, threads, options, number + 1) for number in range(options.rounds)]
            limits[workload.name] = rounds[len(rounds) // 2][1]
            cells += _medians(workload, rounds)
    return cells, limits


Round = tuple[dict[tuple[str, int], tuple[Measured, float]], Limit]


def _round(workload: Workload, cases: Path, threads: int, options: argparse.Namespace, number: int) -> Round:
    """One measurement of each server at each load, and the limits of the same minutes."""
    found: dict[tuple[str, int], tuple[Measured, float]] = {}
    for contestant in _chosen(options, threads):
        if not contestant.takes(workload):
            continue
        with running(contestant, workload, threads) as server:
            for connections in CONNECTIONS:
                checked = None if contestant.name == ECHO else cases
                measure(server.url, checked or cases, connections, WARM_SECONDS, checked=checked is not None)
                before = server.cpu_seconds()
                measured = measure(server.url, cases, connections, options.seconds, checked=checked is not None)
                cpu = (server.cpu_seconds() - before) / measured.requests * 1000
                found[contestant.name, connections] = (measured, cpu)
                print(
                    f"{workload.name} {number}/{options.rounds} {contestant.name} c={connections}: "
                    f"{measured.rate:.0f}/s, p50 {measured.p50:.2f}, p99 {measured.p99:.2f} ms",
                    flush=True,
                )
    return found, limit_of(workload, threads, options.seconds / 6)


def _chosen(options: argparse.Namespace, threads: int) -> list[Contestant]:
    wanted = tuple(options.servers.split(",")) if options.servers else ("",)
    return [c for c in contestants(options.peers, threads) if c.name.startswith(wanted) or c.name == ECHO]


def _medians(workload: Workload, rounds: list[Round]) -> list[Cell]:
    cells = []
    for server, connections in rounds[0][0]:
        of_rounds = [found[server, connections] for found, _ in rounds]
        shares = [
            measured.rate / _ceiling(found, limit, connections)
            for (found, limit), (measured, _) in zip(rounds, of_rounds, strict=True)
        ]
        cells.append(
            Cell(
                workload.name,
                server,
                connections,
                median(measured.rate for measured, _ in of_rounds),
                median(measured.p50 for measured, _ in of_rounds),
                median(measured.p99 for measured, _ in of_rounds),
                median(cpu for _, cpu in of_rounds),
                median(shares),
            )
        )
    return cells


def _ceiling(found: dict[tuple[str, int], tuple[Measured, float]], limit: Limit, connections: int) -> float:
    """Requests a second that nothing can pass; see the module's text."""
    echo = found[ECHO, connections][0].rate
    if connections == 1:
        return 1 / (1 / limit.single + 1 / echo)
    return min(limit.best[connections], echo)


def _table(cells: list[Cell]) -> str:
    titles = ("workload", "server", "c", "req/s", "share of limit", "p50 ms", "p99 ms", "CPU ms/req")
    head = f"| {' | '.join(titles)} |\n{'|---' * len(titles)}|\n"
    return head + "\n".join(
        f"| {c.workload} | {c.server} | {c.connections} | {c.rate:.0f} | {c.share:.2f} | {c.p50:.2f} | {c.p99:.2f} | "
        f"{c.cpu:.3f} |"
        for c in cells
    )


def _save(cells: list[Cell], limits: dict[str, Limit], options: argparse.Namespace, report: str) -> None:
    now = datetime.now(UTC)
    machine = look_around().processor
    threads = len(os.sched_getaffinity(0))
    settings = {c.name: c.settings for c in contestants(options.peers, threads)}
    document = {
        "date": now.date().isoformat(),
        "machine": f"{machine.description}, {threads} cores",
        "seconds": options.seconds,
        "rounds": options.rounds,
        "settings": settings,
        "limits": {name: asdict(limit) for name, limit in limits.items()},
        "cells": [asdict(cell) for cell in cells],
    }
    place = RESULTS / f"comparison-{now.date().isoformat()}"
    place.with_suffix(".json").write_text(json.dumps(document, indent=1) + "\n")
    place.with_suffix(".md").write_text(f"{document['machine']}, {document['date']}\n\n{report}\n")
    place.with_suffix(".svg").write_text(
        chart([(c.workload, c.server, c.rate, c.p99) for c in cells if c.server != ECHO])
    )
    print(f"saved as {place}.json, .md and .svg")


if __name__ == "__main__":
    sys.exit(main())
