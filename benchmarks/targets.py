"""How fast the server is to be, cell by cell, as ratios within one run of the comparison; see docs/performance.md.

Shares are of the limit that benchmarks/limits.py defines. `peer` is the share of the best other server when the
targets were set, on two cores on 2026-11-23: mosec everywhere, `batched` where it was mosec with batches of 32.
Targets lie above that wherever prototypes of the same day showed that more can be had.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from benchmarks.cells import OURS, Cell, Key, best_peer, ratio

LIMIT: Final = "limit"
# At 32 connections, of every workload: the slowest hundredth may take so many times as long as the median.
WORST_TAIL: Final = 2.5
TAIL_CONNECTIONS: Final = 32
MOSEC, BATCHED, LITSERVE, MLSERVER = "mosec", "mosec, batch 32", "LitServe", "MLServer"


@dataclass(frozen=True, slots=True)
class Target:
    """Ours at `connections` must reach `least` times the limit, or times the server that `against` names."""

    workload: str
    connections: int
    least: float
    against: str = LIMIT
    peer: float | None = None
    batched: bool = False
    stretch: float | None = None


TARGETS: Final = (
    Target("tiny-json", 1, 1.15, MOSEC, peer=0.39),
    Target("tiny-json", 8, 2.0, MOSEC),
    Target("tiny-json", 32, 1.0, BATCHED, peer=0.19, batched=True),
    Target("tiny-json", 32, 10.0, LITSERVE),
    Target("tiny-json", 32, 10.0, MLSERVER),
    *(
        target
        for name in ("wide-json", "wide-npy")
        for target in (
            Target(name, 1, 0.88, peer=0.86),
            Target(name, 8, 0.72, peer=0.53, batched=True),
            Target(name, 32, 0.76, peer=0.65, batched=True, stretch=0.85),
        )
    ),
    Target("image-npy", 1, 0.88, peer=0.74),
    Target("image-npy", 8, 0.91, peer=0.65),
    Target("image-npy", 32, 0.91, peer=0.63),
    Target("image-json", 1, 0.58, peer=0.35, stretch=0.70),
    Target("image-json", 8, 0.54, peer=0.26, stretch=0.65),
    Target("image-json", 32, 0.50, peer=0.26, stretch=0.60),
    Target("text-json", 1, 0.92, peer=0.87),
    Target("text-json", 8, 0.93, peer=0.89, batched=True),
    Target("text-json", 32, 0.92, peer=0.91, batched=True),
    Target("text-mixed", 1, 0.95, peer=0.94),
    Target("text-mixed", 8, 0.97),
    Target("text-mixed", 32, 0.97),
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was wanted of a cell and what was reached; `reached` is None where it was not measured."""

    workload: str
    connections: int
    what: str
    wanted: float
    reached: float | None
    most: bool = False
    """Whether `wanted` is the most that is allowed, not the least."""
    remark: str = ""

    @property
    def met(self) -> bool | None:
        """None where it was not measured."""
        if self.reached is None:
            return None
        return self.reached <= self.wanted if self.most else self.reached >= self.wanted

    @property
    def text(self) -> str:
        """Met or missed, and by how much of what was wanted."""
        if self.reached is None:
            return "not measured"
        off = (self.reached / self.wanted - 1) * (-1 if self.most else 1)
        return f"{'met' if self.met else 'MISSED'} by {abs(off):.0%}"


def verdicts(cells: Sequence[Cell]) -> list[Verdict]:
    """Every target against what was measured; of workloads without any cell nothing is said."""
    by_key = {cell.key: cell for cell in cells}
    names = list(dict.fromkeys(cell.workload for cell in cells))
    return [verdict for name in names for verdict in _of_workload(name, by_key)]


def _of_workload(name: str, cells: dict[Key, Cell]) -> Iterator[Verdict]:
    for target in TARGETS:
        if target.workload == name:
            yield _of_target(target, cells)
    for (workload, server, connections), cell in cells.items():
        if workload != name or server != OURS:
            continue
        peer = best_peer(cell, cells.values())
        if peer is not None:
            yield Verdict(
                name,
                connections,
                "of the best peer",
                1.0,
                ratio(cell, peer),
                remark=f"{peer.server}, {peer.rate:.0f}/s",
            )
        if connections == TAIL_CONNECTIONS:
            yield Verdict(name, connections, "p99 / p50", WORST_TAIL, median(cell.tails), most=True)


def _of_target(target: Target, cells: dict[Key, Cell]) -> Verdict:
    ours = cells.get((target.workload, OURS, target.connections))
    what = "of the limit" if target.against == LIMIT else f"of {target.against}"
    reached: float | None = None
    if ours is not None and target.against == LIMIT:
        reached = ours.share
    elif ours is not None:
        other = cells.get((target.workload, target.against, target.connections))
        reached = None if other is None else ratio(ours, other)
    return Verdict(target.workload, target.connections, what, target.least, reached, remark=_remark(target))


def _remark(target: Target) -> str:
    parts = []
    if target.peer is not None:
        parts.append(f"mosec{', batch 32,' if target.batched else ''} had {target.peer:.2f} of the limit on 2026-11-23")
    if target.stretch is not None:
        parts.append(f"stretch {target.stretch:.2f}")
    return "; ".join(parts)
