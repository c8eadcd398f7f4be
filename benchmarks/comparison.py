"""Ours, the bare runtime and other Python model servers, on this machine, in one run: `make bench`.

    python -m benchmarks.comparison --peers PYTHON [--workloads tiny-json,...] [--servers mosec,...] [--save]

Every server is started anew for each workload and round with the same model, the same ONNX Runtime and as many
threads as there are cores; wrk asks it on 1, 8 and 32 connections, on the same cores, and checks every answer. In
a round all servers take turns, each time another first, between two measurements of the bare runtime, so that a
slow minute hits all of them. Cells are medians of the rounds, ratios the medians of the rounds' ratios.
benchmarks/cells.py defines the limit, benchmarks/targets.py what is to be reached, docs/performance.md explains.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

from benchmarks.cells import ECHOES, HTTP_ECHO, OURS, Cell, Round, cells_of
from benchmarks.client import BenchmarkError, Measured, check_for_wrk, measure, write_cases
from benchmarks.contestants import Contestant, Peers, contestants, running
from benchmarks.limits import BATCHES, limit_of
from benchmarks.report import Run, now, save, tables
from benchmarks.workloads import MAKERS, Workload, workloads

CONNECTIONS = (1, 8, 32)
# wrk counts whole seconds.
WARM_SECONDS = 1
# What a server takes to start and to stop on average; for the forecast alone.
START_SECONDS = 5
# A measurement of the bare runtime is this share of one of a server: there are a dozen of them.
LIMIT_SHARE = 1 / 6


def main() -> int:
    """Measure and report; 1 where ours failed or something is missing."""
    options = _parser().parse_args()
    try:
        check_for_wrk()
        comparison = _Comparison(options)
        cells = comparison.cells()
    except BenchmarkError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    print(f"\n{tables(cells)}")
    for failure in comparison.failures:
        sys.stderr.write(f"failed: {failure}\n")
    return int(any(failure.startswith(OURS) for failure in comparison.failures))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Compare this server with the bare runtime and with others.")
    parser.add_argument("--peers", help="the Python that has mosec, LitServe and FastAPI")
    parser.add_argument("--bentoml", help="the Python that has BentoML")
    parser.add_argument("--mlserver", help="the Python that has MLServer")
    parser.add_argument("--workloads", type=_names, default=(), help=f"of {', '.join(MAKERS)}; all without it")
    parser.add_argument(
        "--servers", type=_names, default=(), help="comma-separated beginnings of names; all without it"
    )
    parser.add_argument("--seconds", type=int, default=3, help="of each measurement (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each cell (default: %(default)s)")
    parser.add_argument("--save", action="store_true", help="keep table, chart and numbers in benchmarks/results")
    return parser


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


@dataclass(slots=True)
class _Comparison:
    """A run and how far it has come."""

    options: argparse.Namespace
    failures: list[str] = field(default_factory=list)
    _done: int = 0

    def cells(self) -> list[Cell]:
        """Measure everything; after each workload, what is there is saved."""
        names = self.options.workloads or tuple(MAKERS)
        if unknown := [name for name in names if name not in MAKERS]:
            raise BenchmarkError(f"no such workload: {', '.join(unknown)}; expected some of {', '.join(MAKERS)}.")
        peers = Peers(self.options.peers, self.options.bentoml, self.options.mlserver)
        threads = len(os.sched_getaffinity(0))
        servers = [c for c in contestants(peers, threads) if self._wanted(c)]
        run = Run(now(), threads, self.options.seconds, self.options.rounds, peers, servers)
        self._announce(len(names), servers)
        cells: list[Cell] = []
        with tempfile.TemporaryDirectory() as folder:
            for workload in workloads(Path(folder), names):
                rounds = list(self._rounds(workload, servers, Path(folder), threads))
                cells += cells_of(workload.name, rounds)
                run.limits[workload.name] = rounds
                if self.options.save:
                    print(f"saved as {save(run, cells, self.failures)}", flush=True)
        return cells

    def _wanted(self, contestant: Contestant) -> bool:
        wanted = self.options.servers
        return not wanted or contestant.name.startswith(wanted) or contestant.name == HTTP_ECHO

    def _announce(self, names: int, servers: Sequence[Contestant]) -> None:
        each = START_SECONDS + len(CONNECTIONS) * (WARM_SECONDS + self.options.seconds)
        limits = 2 * (2 * len(BATCHES) + 1) * self.options.seconds * LIMIT_SHARE
        minutes = names * self.options.rounds * (len(servers) * each + 2 * limits) / 60
        told = ", ".join(server.name for server in servers)
        print(f"{names} workloads, {self.options.rounds} rounds, {told}: about {minutes:.0f} minutes.")
        if len(os.sched_getaffinity(0)) > os.getloadavg()[0] * 2:
            return
        print(
            f"Other programs are running (load {os.getloadavg()[0]:.1f}): the numbers will be theirs, too.", flush=True
        )

    def _rounds(self, workload: Workload, servers: Sequence[Contestant], folder: Path, threads: int) -> Iterator[Round]:
        cases = {
            dialect: write_cases(workload, folder / f"{workload.name}-{dialect}.lua", open_inference=dialect)
            for dialect in {server.open_inference for server in servers if server.takes(workload)}
        }
        taking = [server for server in servers if server.takes(workload)]
        for number in range(self.options.rounds):
            print(f"{workload.name}, round {number + 1} of {self.options.rounds}", flush=True)
            first = number % len(taking)
            seconds = self.options.seconds * LIMIT_SHARE
            before = limit_of(workload, threads, seconds)
            found: dict[tuple[str, int], Measured] = {}
            for server in taking[first:] + taking[:first]:
                found |= self._measured(server, workload, cases[server.open_inference], threads)
            yield Round(found, (before, limit_of(workload, threads, seconds)))

    def _measured(
        self, server: Contestant, workload: Workload, cases: Path, threads: int
    ) -> dict[tuple[str, int], Measured]:
        """One server at every load. One that fails does not end the run, but is told at its end."""
        found: dict[tuple[str, int], Measured] = {}
        started = monotonic()
        try:
            with running(server, workload, threads) as process:
                for connections in CONNECTIONS:
                    for seconds in (WARM_SECONDS, self.options.seconds):
                        found[server.name, connections] = measure(
                            process.url,
                            cases,
                            connections,
                            seconds,
                            process.cpu_seconds,
                            one_answer=server.name in ECHOES,
                        )
        except BenchmarkError as error:
            self.failures.append(f"{server.name}, {workload.name}: {error}")
            print(f"  {server.name} FAILED: {error}", flush=True)
            return {}
        told = "; ".join(
            f"c={connections} {one.rate:.0f}/s p50 {one.p50:.2f} p99 {one.p99:.2f} ms"
            for (_, connections), one in found.items()
        )
        print(f"  {server.name}: {told} ({monotonic() - started:.0f} s)", flush=True)
        return found


if __name__ == "__main__":
    sys.exit(main())
