"""How soon the server is ready, against a bare script: `PYTHONPATH=tests python -m benchmarks.start [--save]`.

The server's time is from starting its process to the first /ping that answers 200, the script's (bare.py) from
starting its process until it has imported the runtime, loaded the model and run it once. They take turns; the
ratio is the median of the rounds' ratios and is to be at most 1.5.
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter, sleep
from typing import Final

from benchmarks import program
from benchmarks.client import BenchmarkError
from benchmarks.contestants import READY_SECONDS, ours, starting
from benchmarks.records import threads_here, write_runs
from benchmarks.workloads import MAKERS, Workload, workloads

MOST: Final = 1.5
BARE: Final = Path(__file__).with_name("bare.py")
# Asking costs the server's processor about a thousandth of this.
RETRY_SECONDS: Final = 0.002
# One of several workloads with the same model is enough.
WORKLOADS: Final = ("tiny-json", "wide-json", "image-json", "text-json")


@dataclass(frozen=True, slots=True)
class Start:
    """Of one workload's model, seconds in each round."""

    workload: str
    server: tuple[float, ...]
    bare: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """How many times as long as the bare script; the median of the rounds."""
        return median(mine / theirs for mine, theirs in zip(self.server, self.bare, strict=True))


def main() -> int:
    """Measure and report."""
    return program.run("start", __doc__, _add_options, _measure, table, most=MOST)


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--workloads", type=program.names, default=WORKLOADS, help=f"of {', '.join(MAKERS)}")
    parser.add_argument("--rounds", type=int, default=7, help="turns that both take (default: %(default)s)")


def _measure(options: argparse.Namespace, folder: Path) -> list[Start]:
    return [_start(workload, folder, options.rounds) for workload in workloads(folder, options.workloads)]


def table(found: Sequence[Start]) -> str:
    """In Markdown, with the verdicts."""
    rows = [
        f"| {one.workload} | {median(one.server):.2f} | {median(one.bare):.2f} | {one.ratio:.2f} | "
        f"{'met' if one.ratio <= MOST else 'MISSED'} |"
        for one in found
    ]
    return "\n".join(("| workload | server s | bare s | ratio | ≤ 1.5 |", "|---" * 5 + "|", *rows))


def _start(workload: Workload, folder: Path, rounds: int) -> Start:
    print(f"  {workload.name}: {rounds} rounds …", flush=True)
    runs = write_runs(folder / "bare.npz", [workload.requests[0]])
    # Once each for the files to be in memory, which no round should have to read.
    _server_seconds(workload)
    _bare_seconds(workload, runs)
    both = [(_server_seconds(workload), _bare_seconds(workload, runs)) for _ in range(rounds)]
    return Start(workload.name, *map(tuple, zip(*both, strict=True)))


def _server_seconds(workload: Workload) -> float:
    with starting(ours(), workload, threads_here()) as server:
        started = perf_counter()
        while not server.is_ready():
            if server.process.poll() is not None or perf_counter() - started > READY_SECONDS:
                raise BenchmarkError(f"the server does not get ready with {workload.name}")
            sleep(RETRY_SECONDS)
        return perf_counter() - server.started


def _bare_seconds(workload: Workload, runs: Path) -> float:
    command = [sys.executable, str(BARE), str(workload.model), str(runs)]
    started = perf_counter()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:  # noqa: S603 (that script)
        assert process.stdout is not None  # noqa: S101 (opened as a pipe)
        if not process.stdout.readline():
            raise BenchmarkError(f"{BARE.name} failed with {workload.name}")
        taken = perf_counter() - started
        process.communicate()
    return taken


if __name__ == "__main__":
    sys.exit(main())
