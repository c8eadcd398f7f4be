"""What a run of the comparison leaves: tables, a chart, and all numbers with the machine, versions and settings."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.cells import ECHOES, OURS, Cell, ratio
from benchmarks.chart import chart
from benchmarks.contestants import Peers, contestants
from benchmarks.records import RESULTS
from benchmarks.run import Run
from benchmarks.targets import Verdict, verdicts
from benchmarks.workloads import MAKERS

PAGE = Path(__file__).resolve().parents[1] / "docs" / "performance.md"
BEGIN, END = "<!-- written by make bench -->", "<!-- end of what make bench writes -->"
# The page shows complete runs alone.
LEAST_ROUNDS = 3


def tables(cells: Sequence[Cell]) -> str:
    """Everything measured, and every target with what was reached, in Markdown."""
    return f"{_measurements(cells)}\n\n{_verdicts(verdicts(cells))}\n"


def _measurements(cells: Sequence[Cell]) -> str:
    titles = ("workload", "server", "c", "req/s", "of limit", "ours / this", "p50 ms", "p99 ms", "CPU ms/req")
    ours = {(cell.workload, cell.connections): cell for cell in cells if cell.server == OURS}
    rows = []
    for cell in cells:
        mine = ours.get((cell.workload, cell.connections))
        times = None if mine is None or cell.server in (OURS, *ECHOES) else ratio(mine, cell)
        compared = "" if times is None else f"{times:.2f}"
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


def save(run: Run) -> Path:
    """Keep the run, as far as it has come, in benchmarks/results; a complete one goes into docs/performance.md too."""
    cells = run.cells
    place = RESULTS / run.name
    RESULTS.mkdir(exist_ok=True)
    summary = {
        "cells": [_summary(cell) for cell in cells],
        "verdicts": [asdict(one) | {"met": one.met} for one in verdicts(cells)],
    }
    place.with_suffix(".json").write_text(json.dumps(run.document() | summary, indent=1) + "\n", encoding="utf-8")
    report = f"{_about(run)}\n\n{tables(cells)}"
    place.with_suffix(".md").write_text(report, encoding="utf-8")
    points = [(cell.workload, cell.server, cell.rate, cell.p99) for cell in cells if cell.server not in ECHOES]
    if points:
        place.with_suffix(".svg").write_text(chart(points), encoding="utf-8")
    if is_complete(run):
        picture = f"![Throughput against p99](../benchmarks/results/{place.name}.svg)"
        page = PAGE.read_text(encoding="utf-8")
        PAGE.write_text(with_section(page, f"{report}\n{picture}\n"), encoding="utf-8")
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


def is_complete(run: Run) -> bool:
    """Whether all workloads were measured, of all servers but MLServer at least, in all rounds that were wanted."""
    everyone = {one.name for one in contestants(Peers(common="", bentoml=""), 1)}
    wanted = max(run.wanted, LEAST_ROUNDS)
    return (
        set(run.settings) >= everyone
        and {cell.server for cell in run.cells} >= set(run.settings)
        and all(len(run.measured.get(name, ())) >= wanted for name in MAKERS)
    )


def _about(run: Run) -> str:
    """Machine, versions and settings in a few lines."""
    servers = "; ".join(f"{name}: {settings}" for name, settings in run.settings.items())
    told = "; ".join(f"{who}: {', '.join(what)}" for who, what in run.about["versions"].items())
    return (
        f"{run.about['time']}, {run.about['machine']}; medians of {run.wanted} rounds of "
        f"{run.seconds} s; {told}.\n\n"
        f"Settings: {servers}."
    )


def _summary(cell: Cell) -> dict[str, Any]:
    return {
        "workload": cell.workload,
        "server": cell.server,
        "connections": cell.connections,
        "rate": cell.rate,
        "p50": cell.p50,
        "p99": cell.p99,
        "cpu": cell.cpu,
        "share": cell.share,
        "shares": cell.shares,
    }
