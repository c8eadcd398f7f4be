"""What the server keeps in memory: against a bare process, and whether it grows.

    PYTHONPATH=tests python -m benchmarks.memory [--workloads wide-json,...] [--rows 1] [--requests 200000] [--save]

The bare process imports ONNX Runtime, loads the same model with its defaults and runs the same batches, which the
server's own metrics tell (by their sizes' powers of two). The server's resident size after the first requests is to
be at most 1.25 times the bare process's. Requests are of mixed shapes: 1 to 8 rows, or texts of 16 to 64 tokens; with
`--rows 1` of one row each. It has grown by what is resident after the last requests less what was after the first
tenth of them.
"""

import argparse
import re
import subprocess
import sys
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks import program
from benchmarks.client import check_for_wrk, measure, write_cases
from benchmarks.contestants import Running, ours, running
from benchmarks.records import threads_here, write_runs
from benchmarks.workloads import MAKERS, Workload, with_rows, workloads

CONNECTIONS = 32
SEGMENT_SECONDS = 5
# In turn small and large, as the next to each other should differ.
MIXED_ROWS: Final = (1, 8, 2, 5, 1, 3, 7, 4)
MOST: Final = 1.25
REQUESTS: Final = 200_000
# Of all requests, those after which the server should have all that it ever needs.
FIRST_SHARE: Final = 0.1
# Progress is shown as often.
TOLD_SHARE: Final = 0.1
MB: Final = 2**20
BARE: Final = Path(__file__).with_name("bare.py")


@dataclass(frozen=True, slots=True)
class Sizes:
    """Of one workload, in MB of 2^20 bytes; `series` is the server's after every few seconds."""

    workload: str
    bare: float
    first: float
    last: float
    requests: int
    batches: tuple[int, ...]
    series: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """The server's greatest size over the bare process's."""
        return max(self.first, self.last) / self.bare


def main() -> int:
    """Measure and report."""
    return program.run("memory", __doc__, _add_options, _measure, table, most=MOST, connections=CONNECTIONS)


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--workloads", type=program.names, default=tuple(MAKERS))
    parser.add_argument("--rows", type=_counts, default=MIXED_ROWS, help="of the requests in turn (default: 1 to 8)")
    parser.add_argument("--requests", type=int, default=REQUESTS, help="to each server (default: %(default)s)")


def _measure(options: argparse.Namespace, folder: Path) -> list[Sizes]:
    check_for_wrk()
    return [_sizes(one, folder, options.rows, options.requests) for one in workloads(folder, options.workloads)]


def _counts(text: str) -> tuple[int, ...]:
    return tuple(int(word) for word in program.names(text))


def table(found: Sequence[Sizes]) -> str:
    """In Markdown, with the verdicts."""
    rows = [
        f"| {one.workload} | {one.bare:.0f} | {one.first:.0f} | {one.last:.0f} | {one.requests} | {one.ratio:.2f} | "
        f"{'met' if one.ratio <= MOST else 'MISSED'} | {one.last - one.first:+.1f} |"
        for one in found
    ]
    head = "| workload | bare MB | first MB | last MB | requests | ratio | ≤ 1.25 | grown by MB |\n" + "|---" * 8 + "|"
    return "\n".join((head, *rows))


def _sizes(workload: Workload, folder: Path, rows: Sequence[int], requests: int) -> Sizes:
    mixed = workload if workload.is_mixed or set(rows) == {1} else with_rows(workload, rows)
    cases = write_cases(mixed, folder / f"{workload.name}.lua")
    series: list[float] = []
    first, done, told = 0.0, 0, 0.0
    with running(ours(), mixed, threads_here()) as server:
        while done < requests:
            done += measure(server.url, cases, CONNECTIONS, SEGMENT_SECONDS, server.cpu_seconds).requests
            series.append(server.resident_bytes() / MB)
            first = first or (series[-1] if done >= requests * FIRST_SHARE else 0.0)
            if done >= requests * told:
                print(f"  {workload.name}: {min(done / requests, 1):.0%}, {series[-1]:.0f} MB", flush=True)
                told = done / requests + TOLD_SHARE
        batches = _batches(server)
    bare = _size_of_bare(workload, batches, folder)
    return Sizes(workload.name, bare, first, series[-1], done, batches, tuple(series))


def _batches(server: Running) -> tuple[int, ...]:
    """The greatest rows of each class of batches that the server has run."""
    with urllib.request.urlopen(f"{server.address}/metrics") as answer:  # noqa: S310 (our own address)
        text = answer.read().decode()
    counts = re.findall(r'^serving_batch_rows_bucket\{le="([0-9.]+)"\} ([0-9.]+)', text, re.MULTILINE)
    sizes, before = [], 0.0
    for rows, count in counts:
        if float(count) > before:
            sizes.append(int(float(rows)))
        before = float(count)
    return tuple(sizes)


def _size_of_bare(workload: Workload, batches: Sequence[int], folder: Path) -> float:
    """MB of a new process that has run these batches of all of the workload's shapes."""
    runs = write_runs(folder / "bare.npz", [batch for rows in batches for batch in workload.batches(rows)])
    done = subprocess.run(  # noqa: S603 (that script)
        [sys.executable, str(BARE), str(workload.model), str(runs)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout) / MB


if __name__ == "__main__":
    sys.exit(main())
