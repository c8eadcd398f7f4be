"""What was measured of one server under one load, round by round, and how cells compare."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean, median
from typing import Final

from benchmarks.client import Measured
from benchmarks.limits import Limit

OURS: Final = "graviton-serving"
HTTP_ECHO: Final = "HTTP echo"
ASGI_ECHO: Final = "ASGI echo"
ECHOES: Final = (HTTP_ECHO, ASGI_ECHO)
# Workload, server, connections.
Key = tuple[str, str, int]


@dataclass(frozen=True, slots=True)
class Round:
    """One round of a workload: by server and connections what was measured, and the limits around it."""

    found: Mapping[tuple[str, int], Measured]
    limits: tuple[Limit, ...]

    def ceiling(self, connections: int) -> float | None:
        """Requests a second that nothing can pass; None where the echo was not measured.

        At one connection 1 / (the bare runtime's time for one row + the echo's for one request); above, the
        smaller of the bare runtime's best rate at a batch of at most so many rows and the echo's rate.
        The bare runtime is measured before and after the servers; it counts as the mean of both.
        """
        echo = self.found.get((HTTP_ECHO, connections))
        if echo is None:
            return None
        if connections == 1:
            return 1 / (fmean(1 / limit.single for limit in self.limits) + 1 / echo.rate)
        return min(fmean(limit.best(connections) for limit in self.limits), echo.rate)


@dataclass(frozen=True, slots=True)
class Cell:
    """A server under a load: its figures by the rounds' numbers; a round without a share has no echo."""

    workload: str
    server: str
    connections: int
    rounds: Mapping[int, Measured]
    shares: tuple[float, ...]

    @property
    def key(self) -> Key:
        """What tells it from other cells."""
        return self.workload, self.server, self.connections

    @property
    def rate(self) -> float:
        """Requests a second, the median of the rounds."""
        return median(one.rate for one in self.rounds.values())

    @property
    def p50(self) -> float:
        """Milliseconds, the median of the rounds."""
        return median(one.p50 for one in self.rounds.values())

    @property
    def p99(self) -> float:
        """Milliseconds, the median of the rounds."""
        return median(one.p99 for one in self.rounds.values())

    @property
    def cpu(self) -> float:
        """The server's CPU milliseconds a request, the median of the rounds."""
        return median(one.cpu for one in self.rounds.values())

    @property
    def tails(self) -> list[float]:
        """How many times as long as the median the slowest hundredth took, in each round."""
        return [one.p99 / one.p50 for one in self.rounds.values()]

    @property
    def share(self) -> float | None:
        """Of the limit, the median of the rounds; None where it was not measured."""
        return median(self.shares) if self.shares else None


def cells_of(workload: str, rounds: Collection[Round]) -> list[Cell]:
    """The cells of a workload; a server that failed in a round lacks that round."""
    keys = dict.fromkeys(key for one in rounds for key in one.found)
    return [_cell(workload, *key, {n: one for n, one in enumerate(rounds) if key in one.found}) for key in keys]


def _cell(workload: str, server: str, connections: int, rounds: Mapping[int, Round]) -> Cell:
    measured = {number: one.found[server, connections] for number, one in rounds.items()}
    ceilings = {number: one.ceiling(connections) for number, one in rounds.items()}
    shares = [measured[number].rate / ceiling for number, ceiling in ceilings.items() if ceiling is not None]
    return Cell(workload, server, connections, measured, tuple(shares))


def ratio(one: Cell, other: Cell) -> float | None:
    """How many times the other's rate: the median of the rounds' ratios, so that a slow minute hits both.

    Rounds in which one of them failed do not count; None where there is no other.
    """
    both = [number for number in one.rounds if number in other.rounds]
    return median(one.rounds[number].rate / other.rounds[number].rate for number in both) if both else None


def best_peer(cell: Cell, cells: Iterable[Cell]) -> Cell | None:
    """The fastest other server of the same workload and load; None where there is none."""
    peers = [
        other
        for other in cells
        if other.workload == cell.workload
        and other.connections == cell.connections
        and other.server not in (OURS, *ECHOES)
    ]
    return max(peers, key=lambda other: other.rate, default=None)
