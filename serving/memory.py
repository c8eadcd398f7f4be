"""How much memory there is to be had: what the system and this container's limit leave.

A container that exceeds its limit is killed, so whatever needs much for a moment asks here before.
"""

from collections.abc import Iterator
from pathlib import Path

from serving.pseudofiles import text_of

ROOT = Path("/")
SYSTEM = "proc/meminfo"
# The limit, what is used of it, and its parts; of version 2 and 1 (Linux Documentation, admin-guide/cgroup-v2.rst and
# cgroup-v1/memory.rst). A container sees its own group at the mount point.
GROUPS = (
    ("sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory.current", "sys/fs/cgroup/memory.stat"),
    (
        "sys/fs/cgroup/memory/memory.limit_in_bytes",
        "sys/fs/cgroup/memory/memory.usage_in_bytes",
        "sys/fs/cgroup/memory/memory.stat",
    ),
)
# Pages of files that nobody has asked for lately: counted as used, and given up as soon as memory is short.
RECLAIMABLE = ("inactive_file", "total_inactive_file")
KIB = 1024


def available(root: Path = ROOT) -> int | None:
    """Bytes that may still be allocated here; None where nothing tells."""
    return min((*_of_system(root), *_of_group(root)), default=None)


def _of_system(root: Path) -> Iterator[int]:
    found = _table(root / SYSTEM).get("MemAvailable:")
    if found is not None:
        yield found * KIB


def _of_group(root: Path) -> Iterator[int]:
    for limit, usage, parts in GROUPS:
        most, used = _number(root / limit), _number(root / usage)
        if most is not None and used is not None:
            found = _table(root / parts)
            yield most - used + max(found.get(name, 0) for name in RECLAIMABLE)


def _number(path: Path) -> int | None:
    """The file's number; None for a word ("max") or no such file."""
    text = text_of(path).strip()
    return int(text) if text.isascii() and text.isdigit() else None


def _table(path: Path) -> dict[str, int]:
    """The file's lines of a name and a number."""
    words = (line.split()[:2] for line in text_of(path).splitlines())
    return {pair[0]: int(pair[1]) for pair in words if len(pair) == len(("name", "number")) and pair[1].isdecimal()}
