"""A run of the comparison as far as it has come: what it is of, and its rounds; how it is kept, and goes on later.

Rounds are kept one by one, so that a run that was cut off loses the round that it was in and no more. What is
compared is compared within a round, so it does no harm that others were measured an hour earlier; but all of them
must be of the same program, machine, versions and settings.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

from benchmarks.cells import Cell, Round, cells_of
from benchmarks.client import BenchmarkError, Measured
from benchmarks.contestants import Contestant, Peers
from benchmarks.limits import Limit
from benchmarks.records import RESULTS, code_version, stamp, versions
from benchmarks.workloads import MAKERS

NAME: Final = "comparison"
PEERS_TOLD: Final = ("onnxruntime", "numpy", "uvicorn", "fastapi", "mosec", "litserve", "bentoml", "mlserver")
# What must be the same of two runs for their rounds to be of one.
SAME: Final = ("machine", "code", "versions", "settings", "seconds")


@dataclass(slots=True)
class Run:
    """The files' name, what was measured and of what, round by round, and what failed.

    `about` has time, machine, commit, the last commit that changed `code`, versions, settings by server, seconds of
    a measurement and rounds wanted.
    """

    name: str
    about: dict[str, Any]
    measured: dict[str, list[Round]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    @property
    def settings(self) -> Mapping[str, str]:
        """Of each server, by its name."""
        settings: Mapping[str, str] = self.about["settings"]
        return settings

    @property
    def seconds(self) -> int:
        """Of each measurement."""
        return int(self.about["seconds"])

    @property
    def wanted(self) -> int:
        """Rounds of each workload."""
        return int(self.about["rounds"])

    @property
    def cells(self) -> list[Cell]:
        """What was measured so far, workload by workload."""
        return [cell for name in MAKERS for cell in cells_of(name, self.measured.get(name, ()))]

    def missing(self, workload: str) -> int:
        """Rounds that this workload still lacks."""
        return max(0, self.wanted - len(self.measured.get(workload, ())))

    def document(self) -> dict[str, Any]:
        """All of it in JSON's types; `of` reads it."""
        return {
            "benchmark": NAME,
            **self.about,
            "measured": {name: [_as_row(one) for one in rounds] for name, rounds in self.measured.items()},
            "failures": self.failures,
        }

    @classmethod
    def of(cls, name: str, document: Mapping[str, Any]) -> Self:
        """What `document` made."""
        about = {key: document[key] for key in ("time", "commit", *SAME, "rounds")}
        measured = {workload: list(map(_of_row, rows)) for workload, rows in document["measured"].items()}
        return cls(name, about, measured, list(document["failures"]))


def begun(peers: Peers, servers: Sequence[Contestant], seconds: int, rounds: int) -> Run:
    """A new run of nothing yet."""
    about = stamp()
    found = {name: versions(path, PEERS_TOLD) for name, path in asdict(peers).items() if path is not None}
    about |= {
        "code": code_version(),
        "versions": about["versions"] | found,
        "settings": {server.name: server.settings for server in servers},
        "seconds": seconds,
        "rounds": rounds,
    }
    return Run(f"{NAME}-{datetime.now(UTC):%Y-%m-%d-%H%M}", about)


def gone_on(new: Run, folder: Path = RESULTS) -> Run:
    """The run that was kept last, to go on as `new` asks for.

    Raises:
        BenchmarkError: there is none, or it is of something else.
    """
    kept = sorted(folder.glob(f"{NAME}-*.json"))
    if not kept:
        raise BenchmarkError(f"there is no run to go on with: expected {NAME}-*.json in {folder}.")
    try:
        run = Run.of(kept[-1].stem, json.loads(kept[-1].read_text(encoding="utf-8")))
    except (KeyError, ValueError) as error:
        raise BenchmarkError(f"{kept[-1]} cannot be gone on with: {error!r}. Begin a new run.") from error
    other = [f"{key} was {run.about[key]}, is {new.about[key]}" for key in SAME if run.about[key] != new.about[key]]
    if other:
        told = "; ".join(other)
        raise BenchmarkError(f"{kept[-1].name} is of something else: {told}. Begin a new run, or make them the same.")
    run.about["rounds"] = new.wanted
    return run


def _as_row(one: Round) -> dict[str, Any]:
    found = [{"server": name, "connections": c, **asdict(measured)} for (name, c), measured in one.found.items()]
    return {"found": found, "limits": [asdict(limit) for limit in one.limits]}


def _of_row(row: Mapping[str, Any]) -> Round:
    found = {}
    for one in row["found"]:
        figures = dict(one)
        key = figures.pop("server"), figures.pop("connections")
        found[key] = Measured(**figures)
    limits = [Limit(one["single"], {int(rows): rate for rows, rate in one["rates"].items()}) for one in row["limits"]]
    return Round(found, tuple(limits))
