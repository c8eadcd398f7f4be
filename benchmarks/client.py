"""The client: wrk, with every answer checked by benchmarks/wrk.lua."""

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.workloads import Workload

SCRIPT = Path(__file__).with_name("wrk.lua")
# Of the largest number of the answers: batches of other sizes take other kernels, which round otherwise.
TOLERANCE = 1e-4
SECONDS_TO_ANSWER = 20


class BenchmarkError(Exception):
    """Something is missing, or a server did not answer rightly."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One cell: requests a second, and milliseconds of the median and of the slowest hundredth."""

    rate: float
    p50: float
    p99: float
    requests: int


def check_for_wrk() -> None:
    """Raise BenchmarkError where it is not installed."""
    if shutil.which("wrk") is None:
        raise BenchmarkError("wrk is not installed: expected it in PATH (on Debian: apt-get install wrk).")


def write_cases(workload: Workload, path: Path) -> Path:
    """The workload as the Lua file that benchmarks/wrk.lua reads."""
    bodies = ",\n".join(f'"{_escaped(body)}"' for body in workload.bodies)
    answers = ",\n".join("{" + ",".join(repr(float(n)) for n in row.ravel()) + "}" for row in workload.answers)
    tolerance = float(np.abs(workload.answers).max()) * TOLERANCE
    path.write_text(
        f'return {{media_type = "{workload.media_type}", accept = "{workload.media_type}", '
        f"tolerance = {tolerance!r},\nbodies = {{{bodies}}},\nanswers = {{{answers}}}}}\n"
    )
    return path


def _escaped(body: bytes) -> str:
    """Bytes as a Lua string has them."""
    return re.sub(rb"[^ !#-\[\]-~]", lambda found: b"\\%03d" % found[0][0], body).decode("ascii")


def measure(url: str, cases: Path, connections: int, seconds: int, *, checked: bool = True) -> Measured:
    """Send requests on so many connections at once.

    Raises BenchmarkError for any wrong answer, where answers are `checked`.
    """
    command = [
        *("wrk", "-t1", f"-c{connections}", f"-d{seconds}s", f"--timeout={SECONDS_TO_ANSWER}s"),
        *("-s", str(SCRIPT), url, "--", str(cases), *(() if checked else ("unchecked",))),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 (wrk, our arguments)
    found = re.search(r"^RESULT (.*)$", done.stdout, re.MULTILINE)
    if found is None:
        raise BenchmarkError(f"wrk failed: {done.stdout}{done.stderr}")
    result = json.loads(found[1])
    # Bodies go out in turn, so each has about as many answers but for those still on their way: a server that gives
    # one caller's answer to others too is found out.
    uneven = max(result["counts"]) - min(result["counts"]) > connections + 1
    if checked and (result["wrong"] or result["socket_errors"] or uneven or not result["requests"]):
        raise BenchmarkError(f"{url} did not answer every request rightly: {result}")
    return Measured(result["requests"] / result["seconds"], result["p50_ms"], result["p99_ms"], result["requests"])
