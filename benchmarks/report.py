"""What a run of the comparison leaves: tables, a chart, and all numbers with the machine, versions and settings."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.cells import ECHOES, OURS, Cell, Round, ratio
from benchmarks.chart import chart
from benchmarks.contestants import Contestant, Peers
from benchmarks.targets import Verdict, verdicts
from benchmarks.workloads import MAKERS
from serving.preparation import look_around

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
PAGE = HERE.parent / "docs" / "performance.md"
BEGIN, END = "<!-- written by make bench -->", "<!-- end of what make bench writes -->"
# The page shows complete runs alone.
LEAST_ROUNDS = 3
VERSIONS = (
    "import sys, importlib.metadata as m; "
    "print('Python', sys.version.split()[0]); "
    "[print(d.metadata['Name'], d.version) for d in m.distributions() if d.metadata['Name'] in sys.argv[1:]]"
)
TOLD = ("onnxruntime", "numpy", "uvicorn", "uvloop", "httptools", "fastapi", "pysimdjson")
PEERS_TOLD = ("onnxruntime", "numpy", "uvicorn", "fastapi", "mosec", "litserve", "bentoml", "mlserver")


@dataclass(frozen=True, slots=True)
class Run:
    """What was asked for, and when."""

    time: datetime
    threads: int
    seconds: int
    rounds: int
    peers: Peers
    servers: Sequence[Contestant]
    limits: dict[str, Sequence[Round]] = field(default_factory=dict)
    """By workload, its rounds, whose limits are kept."""


def now() -> datetime:
    """The time, for the records."""
    return datetime.now(UTC)


def tables(cells: Sequence[Cell]) -> str:
    """Everything measured, and every target with what was reached, in Markdown."""
    return f"{_measurements(cells)}\n\n{_verdicts(verdicts(cells))}\n"


def _measurements(cells: Sequence[Cell]) -> str:
    titles = ("workload", "server", "c", "req/s", "of limit", "ours / this", "p50 ms", "p99 ms", "CPU ms/req")
    ours = {(cell.workload, cell.connections): cell for cell in cells if cell.server == OURS}
    rows = []
    for cell in cells:
        mine = ours.get((cell.workload, cell.connections))
        compared = "" if mine is None or cell.server in (OURS, *ECHOES) else f"{ratio(mine, cell):.2f}"
        share = "" if cell.share is None or cell.server in ECHOES else f"{cell.share:.2f}"
        rows.append(
            f"| {cell.workload} | {cell.server} | {cell.connections} | {cell.rate:.0f} | {share} | {compared} | "
            f"{cell.p50:.2f} | {cell.p99:.2f} | {cell.cpu:.3f} |"
        )
    return _table(titles, rows)


def _verdicts(found: Sequence[Verdict]) -> str:
    titles = ("workload", "c", "what", "wanted", "reached", "verdict", "remark")
    rows = [
        f"| {one.workload} | {one.connections} | {one.what} | {'≤' if one.most else '≥'} {one.wanted:g} | "
        f"{'' if one.reached is None else f'{one.reached:.2f}'} | {one.text} | {one.remark} |"
        for one in found
    ]
    return _table(titles, rows)


def _table(titles: Sequence[str], rows: Sequence[str]) -> str:
    return "\n".join((f"| {' | '.join(titles)} |", "|---" * len(titles) + "|", *rows))


def save(run: Run, cells: Sequence[Cell], failures: Sequence[str]) -> Path:
    """Keep the run in benchmarks/results; a complete one goes into docs/performance.md too."""
    document = _document(run, cells, failures)
    place = RESULTS / f"comparison-{run.time:%Y-%m-%d-%H%M}"
    RESULTS.mkdir(exist_ok=True)
    place.with_suffix(".json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    report = f"{_about(document)}\n\n{tables(cells)}"
    place.with_suffix(".md").write_text(report, encoding="utf-8")
    points = [(cell.workload, cell.server, cell.rate, cell.p99) for cell in cells if cell.server not in ECHOES]
    if points:
        place.with_suffix(".svg").write_text(chart(points), encoding="utf-8")
    if _complete(run, cells):
        picture = f"![Throughput against p99](../benchmarks/results/{place.name}.svg)"
        page = PAGE.read_text(encoding="utf-8")
        PAGE.write_text(with_section(page, f"{_about(document)}\n\n{tables(cells)}\n{picture}\n"), encoding="utf-8")
    return place.with_suffix(".json")


def with_section(page: str, text: str) -> str:
    """The page with what stands between the two markers replaced.

    Raises:
        ValueError: the page lacks a marker.
    """
    before, _, rest = page.partition(BEGIN)
    _, marker, after = rest.partition(END)
    if not marker:
        raise ValueError(f"expected {BEGIN} and {END} in the page")
    return f"{before}{BEGIN}\n\n{text}\n{END}{after}"


def _complete(run: Run, cells: Sequence[Cell]) -> bool:
    everyone = run.peers.common and run.peers.bentoml
    served = {cell.server for cell in cells} >= {server.name for server in run.servers}
    return (
        bool(everyone)
        and served
        and len(run.servers) > len(ECHOES) + 1
        and run.rounds >= LEAST_ROUNDS
        and {cell.workload for cell in cells} == set(MAKERS)
    )


def _about(document: dict[str, Any]) -> str:
    """Machine, versions and settings in a few lines."""
    servers = "; ".join(f"{name}: {settings}" for name, settings in document["settings"].items())
    versions = "; ".join(f"{who}: {', '.join(what)}" for who, what in document["versions"].items())
    return (
        f"{document['time']}, {document['machine']}; medians of {document['rounds']} rounds of "
        f"{document['seconds']} s; {versions}.\n\n"
        f"Settings: {servers}."
    )


def _document(run: Run, cells: Sequence[Cell], failures: Sequence[str]) -> dict[str, Any]:
    return {
        "benchmark": "comparison",
        "time": run.time.isoformat(timespec="seconds"),
        "machine": f"{look_around().processor.description}, {run.threads} cores",
        "commit": _output("git", "-C", str(HERE), "describe", "--always", "--dirty"),
        "seconds": run.seconds,
        "rounds": run.rounds,
        "settings": {server.name: server.settings for server in run.servers},
        "versions": _versions(run.peers),
        "limits": {
            name: [[asdict(limit) for limit in one.limits] for one in rounds] for name, rounds in run.limits.items()
        },
        "cells": [asdict(cell) | {"rate": cell.rate, "share": cell.share} for cell in cells],
        "verdicts": [asdict(one) | {"met": one.met} for one in verdicts(cells)],
        "failures": list(failures),
    }


def _versions(peers: Peers) -> dict[str, list[str]]:
    pythons: dict[str, tuple[str, Sequence[str]]] = {"ours": (sys.executable, TOLD)}
    pythons |= {name: (path, PEERS_TOLD) for name, path in asdict(peers).items() if path is not None}
    wrk = _output("wrk", "-v").split("[")[0].strip()
    return {
        "client": [wrk],
        **{name: _output(path, "-c", VERSIONS, *told).splitlines() for name, (path, told) in pythons.items()},
    }


def _output(*command: str) -> str:
    """What a program prints; nothing where it is not there. `wrk -v` exits 1."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 (those above)
    except FileNotFoundError:
        return ""
    return done.stdout.strip()
