"""The client: wrk, with every answer checked by benchmarks/wrk.lua."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
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
    """One measurement of a server.

    Requests a second; milliseconds of the median and of the slowest hundredth; the server's CPU milliseconds a
    request.
    """

    rate: float
    p50: float
    p99: float
    cpu: float


def check_for_wrk() -> None:
    """Raise BenchmarkError where it is not installed."""
    if shutil.which("wrk") is None:
        raise BenchmarkError("wrk is not installed: expected it in PATH (on Debian: apt-get install wrk).")


def write_cases(workload: Workload, path: Path, *, open_inference: bool = False) -> Path:
    """The workload as the Lua file that benchmarks/wrk.lua reads."""
    texts = workload.open_inference_bodies if open_inference else workload.bodies
    bodies = ",\n".join(f'"{_escaped(body)}"' for body in texts)
    answers = ",\n".join("{" + ",".join(repr(float(n)) for n in row.ravel()) + "}" for row in workload.answers)
    tolerance = float(np.abs(workload.answers).max()) * TOLERANCE
    path.write_text(
        f'return {{media_type = "{workload.media_type}", accept = "{workload.media_type}", '
        f"tolerance = {tolerance!r}, open_inference = {str(open_inference).lower()},\n"
        f"bodies = {{{bodies}}},\nanswers = {{{answers}}}}}\n"
    )
    return path


def _escaped(body: bytes) -> str:
    """Bytes as a Lua string has them."""
    return re.sub(rb"[^ !#-\[\]-~]", lambda found: b"\\%03d" % found[0][0], body).decode("ascii")


def measure(
    url: str, cases: Path, connections: int, seconds: int, cpu_seconds: Callable[[], float], *, one_answer: bool = False
) -> Measured:
    """Send requests on so many connections at once; `cpu_seconds` tells what the server has used so far.

    Raises BenchmarkError for any answer that is none of the right ones; on one connection it must be the right one.
    Bodies go out in turn, so each must get as many answers as the others but for those on their way. Of a server
    with but `one_answer` neither is asked.
    """
    how = "in order" if connections == 1 and not one_answer else "in any order"
    command = [
        *("wrk", "-t1", f"-c{connections}", f"-d{seconds}s", f"--timeout={SECONDS_TO_ANSWER}s"),
        *("-s", str(SCRIPT), url, "--", str(cases), how),
    ]
    before = cpu_seconds()
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 (wrk, our arguments)
    used = cpu_seconds() - before
    found = re.search(r"^RESULT (.*)$", done.stdout, re.MULTILINE)
    if found is None:
        raise BenchmarkError(f"wrk failed: {done.stdout}{done.stderr}")
    result = json.loads(found[1])
    uneven = not one_answer and max(result["counts"]) - min(result["counts"]) > connections + 1
    if result["wrong"] or result["socket_errors"] or uneven or not result["requests"]:
        raise BenchmarkError(f"{url} did not answer every request rightly: {result}")
    requests = result["requests"]
    return Measured(requests / result["seconds"], result["p50_ms"], result["p99_ms"], used / requests * 1000)
