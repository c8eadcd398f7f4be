"""What every benchmark keeps with its numbers: when, on what machine, with which versions and settings."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.workloads import Inputs
from serving.preparation import look_around

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
VERSIONS = (
    "import sys, importlib.metadata as m; "
    "print('Python', sys.version.split()[0]); "
    "[print(d.metadata['Name'], d.version) for d in m.distributions() if d.metadata['Name'] in sys.argv[1:]]"
)
OURS_TOLD = ("onnxruntime", "numpy", "uvicorn", "uvloop", "httptools", "fastapi", "pysimdjson")


# What is measured, and by what: pages and earlier results change no number.
CODE = ("serving", "benchmarks", "tests/assets", ":!benchmarks/results")


def threads_here() -> int:
    """The cores that this process may use: as many threads the runtime gets everywhere."""
    return len(os.sched_getaffinity(0))


def stamp() -> dict[str, Any]:
    """Time, machine, the program's commit, and versions."""
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{look_around().processor.description}, {threads_here()} cores",
        "commit": output("git", "-C", str(HERE), "describe", "--always", "--dirty"),
        "versions": {
            "client": [output("wrk", "-v").split("[")[0].strip()],
            "ours": versions(sys.executable, OURS_TOLD),
        },
    }


def code_version() -> str:
    """The last commit that changed anything that runs, with a hash of what was changed since, if anything was."""
    git = ("git", "-C", str(HERE.parent))
    changed = output(*git, "status", "--porcelain", "--", *CODE) + output(*git, "diff", "HEAD", "--", *CODE)
    mark = f"-{hashlib.sha256(changed.encode()).hexdigest()[:8]}" if changed else ""
    return output(*git, "log", "-1", "--format=%h", "--", *CODE) + mark


def versions(python: str, packages: Sequence[str]) -> list[str]:
    """Of those packages, the ones that an interpreter has, and its own."""
    return output(python, "-c", VERSIONS, *packages).splitlines()


def output(*command: str) -> str:
    """What a program prints; nothing where it is not there. `wrk -v` exits 1."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 (our own)
    except FileNotFoundError:
        return ""
    return done.stdout.strip()


def keep(name: str, rows: Sequence[dict[str, Any]], /, **settings: Any) -> Path:  # noqa: ANN401 (any JSON value)
    """Write rows into benchmarks/results, with all that tells what they are of."""
    document = {"benchmark": name, **stamp(), "settings": settings, "rows": list(rows)}
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}-{datetime.now(UTC):%Y-%m-%d-%H%M}.json"
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return path


def write_runs(path: Path, runs: Sequence[Inputs]) -> Path:
    """Inputs for benchmarks/bare.py."""
    arrays = {f"{number}/{name}": value for number, batch in enumerate(runs) for name, value in batch.items()}
    np.savez(path, allow_pickle=False, **arrays)
    return path
