"""What a process and all that it has started take of the machine, by the kernel's own books (proc(5))."""

import os
import signal
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path

CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
# Places in /proc/PID/stat, counted after the name.
PARENT, USER_TICKS, SYSTEM_TICKS, RESIDENT_PAGES = 1, 11, 12, 21


def cpu_seconds(root: int) -> float:
    """CPU time so far of the process and its descendants that still run."""
    return sum(int(stat[USER_TICKS]) + int(stat[SYSTEM_TICKS]) for stat in _family(root).values()) / CLOCK_TICKS


def resident_bytes(root: int) -> int:
    """Resident size of the process and its descendants; pages that several share count for each."""
    return sum(int(stat[RESIDENT_PAGES]) for stat in _family(root).values()) * PAGE_BYTES


def kill(pids: Collection[int]) -> None:
    """End processes at once, those that still run."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def family(root: int) -> list[int]:
    """The process and its descendants."""
    return list(_family(root))


def _family(root: int) -> dict[int, list[str]]:
    """/proc/PID/stat of the process and its descendants. Some servers give their workers sessions of their own."""
    stats: dict[int, list[str]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):  # it has ended meanwhile
                stats[int(entry.name)] = (entry / "stat").read_text().rpartition(")")[2].split()
    parents = {pid: int(stat[PARENT]) for pid, stat in stats.items()}
    return {pid: stat for pid, stat in stats.items() if _descends(pid, root, parents)}


def _descends(pid: int | None, root: int, parents: Mapping[int, int]) -> bool:
    while pid and pid != root:
        pid = parents.get(pid)
    return pid == root
