"""Ours, the bare runtime and other Python model servers, on this machine, in one run: `make bench`.

    python -m benchmarks.comparison --peers PYTHON [--workloads tiny-json,...] [--servers mosec,...] [--save [--resume]]

Every server is started anew for each workload and round with the same model, the same ONNX Runtime and as many
threads as there are cores; wrk asks it on 1, 8 and 32 connections, on the same cores, and checks every answer. In
a round all servers take turns, each time another first, between two measurements of the bare runtime, so that a
slow minute hits all of them. Cells are medians of the rounds, ratios the medians of the rounds' ratios. Every round
is saved when it is over; a run may be made in several parts, or go on after it was cut off (benchmarks/run.py).
benchmarks/cells.py defines the limit, benchmarks/targets.py what is to be reached, docs/performance.md explains.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import monotonic

from assets.fetch import AssetError
from benchmarks.cells import ECHOES, HTTP_ECHO, OURS, Round
from benchmarks.client import BenchmarkError, Measured, NoAnswerError, check_for_wrk, measure, write_cases
from benchmarks.contestants import Contestant, Peers, contestants, running
from benchmarks.limits import BATCHES, limit_of
from benchmarks.program import names
from benchmarks.records import threads_here
from benchmarks.report import is_complete, save, tables
from benchmarks.run import Run, begun, gone_on
from benchmarks.workloads import MAKERS, Workload, workloads

CONNECTIONS = (1, 8, 32)
# wrk counts whole seconds.
WARM_SECONDS = 1
# After its start a server may still be at something: ours measures for up to two seconds how it should run a model.
FIRST_WARM_SECONDS = 3
# What a server takes to start and to stop on average; for the forecast alone.
START_SECONDS = 3
# A server so slow under so many connections that nothing came in the time is measured again, so many times as long.
LONGER = 4
# A measurement of the bare runtime is this share of one of a server: there are a dozen of them.
LIMIT_SHARE = 1 / 6
# What each of those takes besides, to warm up and for the turn that it is in to end; for the forecast alone.
LIMIT_EXTRA_SECONDS = 0.5


def main() -> int:
    """Measure and report; 1 where ours failed or something is missing."""
    options = _parser().parse_args()
    try:
        check_for_wrk()
        run = _measured(options)
    except (AssetError, BenchmarkError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    print(f"\n{tables(run.cells)}")
    for failure in run.failures:
        sys.stderr.write(f"failed: {failure}\n")
    return int(any(failure.startswith(OURS) for failure in run.failures))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Compare this server with the bare runtime and with others.")
    parser.add_argument("--peers", help="the Python that has mosec, LitServe and FastAPI")
    parser.add_argument("--bentoml", help="the Python that has BentoML")
    parser.add_argument("--mlserver", help="the Python that has MLServer")
    parser.add_argument("--workloads", type=names, default=(), help=f"of {', '.join(MAKERS)}; all without it")
    parser.add_argument("--servers", type=names, default=(), help="comma-separated beginnings of names; all without it")
    parser.add_argument("--seconds", type=int, default=2, help="of each measurement (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each cell (default: %(default)s)")
    parser.add_argument("--save", action="store_true", help="keep table, chart and numbers in benchmarks/results")
    parser.add_argument(
        "--resume", action="store_true", help="go on with the run that was saved last: measure what it lacks"
    )
    return parser


def _measured(options: argparse.Namespace) -> Run:
    """Measure everything that is asked for, and save what is there after each round."""
    wanted = options.workloads or tuple(MAKERS)
    if unknown := [name for name in wanted if name not in MAKERS]:
        raise BenchmarkError(f"no such workload: {', '.join(unknown)}; expected some of {', '.join(MAKERS)}.")
    peers, threads = Peers(options.peers, options.bentoml, options.mlserver), threads_here()
    servers = [one for one in contestants(peers, threads) if _is_wanted(one, options.servers)]
    run = begun(peers, servers, options.seconds, options.rounds)
    if options.resume:
        run = gone_on(run)
    missing = {name: run.missing(name) for name in wanted if run.missing(name)}
    _announce(missing, servers, options.seconds)
    with tempfile.TemporaryDirectory() as folder:
        comparison = _Comparison(run, servers, threads, Path(folder))
        for workload in workloads(Path(folder), missing) if missing else ():
            for one in comparison.rounds(workload):
                run.measured.setdefault(workload.name, []).append(one)
                if options.save:
                    print(f"  saved as {save(run)}", flush=True)
    if options.save and not is_complete(run):
        print("The run is not complete. RESUME=1, or --resume, goes on with it.")
    return run


def _is_wanted(contestant: Contestant, beginnings: tuple[str, ...]) -> bool:
    return not beginnings or contestant.name.startswith(beginnings) or contestant.name == HTTP_ECHO


def _announce(missing: Mapping[str, int], servers: Sequence[Contestant], seconds: int) -> None:
    warming = FIRST_WARM_SECONDS + (len(CONNECTIONS) - 1) * WARM_SECONDS
    each = START_SECONDS + warming + len(CONNECTIONS) * seconds
    limits = 2 * (2 * len(BATCHES) + 1) * (seconds * LIMIT_SHARE + LIMIT_EXTRA_SECONDS)
    taking = {name: sum(server.takes(name) for server in servers) for name in missing}
    minutes = sum(rounds * (taking[name] * each + limits) for name, rounds in missing.items()) / 60
    told = ", ".join(f"{name} ({rounds})" for name, rounds in missing.items()) or "nothing"
    print(f"Rounds to measure: {told}; {', '.join(server.name for server in servers)}: about {minutes:.0f} minutes.")
    load = os.getloadavg()[0]
    if threads_here() <= load * 2:
        print(f"Other programs are running (load {load:.1f}): the numbers will be theirs, too.", flush=True)


@dataclass(slots=True)
class _Comparison:
    """The servers of a run, and where it keeps files."""

    run: Run
    servers: Sequence[Contestant]
    threads: int
    folder: Path

    def rounds(self, workload: Workload) -> Iterator[Round]:
        """Those that the run lacks of this workload."""
        taking = [server for server in self.servers if server.takes(workload.name)]
        cases = {
            dialect: write_cases(workload, self.folder / f"{workload.name}-{dialect}.lua", open_inference=dialect)
            for dialect in {server.open_inference for server in taking}
        }
        for number in range(self.run.wanted - self.run.missing(workload.name), self.run.wanted):
            started = monotonic()
            print(f"{workload.name}, round {number + 1} of {self.run.wanted}", flush=True)
            first = number % len(taking)
            seconds = self.run.seconds * LIMIT_SHARE
            before = limit_of(workload, self.threads, seconds)
            found: dict[tuple[str, int], Measured] = {}
            for server in taking[first:] + taking[:first]:
                found |= self._of_server(server, workload, cases[server.open_inference])
            yield Round(found, (before, limit_of(workload, self.threads, seconds)))
            print(f"  {(monotonic() - started) / 60:.1f} minutes", flush=True)

    def _of_server(self, server: Contestant, workload: Workload, cases: Path) -> dict[tuple[str, int], Measured]:
        """One server at every load. One that fails does not end the run, but is told at its end."""
        found: dict[tuple[str, int], Measured] = {}
        started = monotonic()
        try:
            with running(server, workload, self.threads) as process:
                for connections in CONNECTIONS:
                    ask = partial(measure, process.url, cases, connections, one_answer=server.name in ECHOES)
                    with suppress(NoAnswerError):
                        ask(WARM_SECONDS if found else FIRST_WARM_SECONDS, process.cpu_seconds)
                    try:
                        found[server.name, connections] = ask(self.run.seconds, process.cpu_seconds)
                    except NoAnswerError:
                        found[server.name, connections] = ask(self.run.seconds * LONGER, process.cpu_seconds)
        except BenchmarkError as error:
            self.run.failures.append(f"{server.name}, {workload.name}: {error}")
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
