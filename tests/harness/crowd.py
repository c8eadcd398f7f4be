"""Many clients at once, and reading what the server counts."""

import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import Final, TypeVar

from harness.servers import RETRY_SECONDS, Server

T = TypeVar("T")
R = TypeVar("R")

CLIENTS: Final = 16
CONDITION_SECONDS: Final = 120


def at_once(call: Callable[[T], R], arguments: Sequence[T], clients: int = CLIENTS) -> list[R]:
    """Call a function with each argument from `clients` threads; the results in order."""
    with ThreadPoolExecutor(clients) as pool:
        return list(pool.map(call, arguments))


def metric(server: Server, name: str) -> float:
    """A series of the metrics page, 0 where it has none yet."""
    found = re.search(rf"^{re.escape(name)} (\S+)$", server.client.get("/metrics").text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def until(server: Server, condition: Callable[[], bool]) -> None:
    """Wait for a condition to become true while the server runs."""
    deadline = monotonic() + CONDITION_SECONDS
    while not condition():
        assert server.ended(RETRY_SECONDS) is None, f"the server ended:\n{server.logs()}"
        assert monotonic() < deadline, f"not within {CONDITION_SECONDS} s:\n{server.logs()}"
