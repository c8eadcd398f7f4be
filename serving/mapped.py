"""The files of weights that this process has mapped, as far as they count as its resident memory.

Sessions that share a file map it once each (`serving.backends.onnx_shared`). The kernel keeps one copy of it, but
counts it as resident for each mapping that has been gone through. Lone requests go through one, many at once through
the other. So now and then all are let go (`serving.turns`): what is used comes back from the kernel's copy with the
next run, and what is not does not count any more.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from serving.advice import Advise, madvise
from serving.pseudofiles import text_of
from serving.scratch import PREFIX

PROCESS = Path("/proc/self")
# madvise(2): the pages' next use finds what the file has. Whatever the process has written into a private mapping would
# be lost.
MADV_DONTNEED = 4
# proc(5), smaps: a mapping's first line, and how much of it is not the file's any more.
HEAD = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (\S{4}) \S+ \S+ \d+ +(.*)")
WRITTEN = "Anonymous:"


def let_go(advise: Advise | None = None, *, process: Path = PROCESS) -> int:
    """Let go of every mapped file in this program's temporary folders; the bytes of their mappings.

    Args:
        advise: `madvise`, the system's by default.
        process: where the kernel tells of this process.
    """
    advise = advise or madvise()
    ranges = _unwritten(text_of(process / "smaps"))
    return sum(last - first for first, last in ranges if not advise(first, last - first, MADV_DONTNEED))


def _unwritten(smaps: str) -> Iterator[tuple[int, int]]:
    """The private mappings of such files in which all is still as the file has it."""
    ours: tuple[int, int] | None = None
    for line in smaps.splitlines():
        if head := HEAD.match(line):
            first, last, rights, name = head.groups()
            is_ours = rights[0] == "r" and rights[-1] == "p" and f"/{PREFIX}" in name
            ours = (int(first, 16), int(last, 16)) if is_ours else None
        elif ours and line.startswith(WRITTEN) and line.split()[1] == "0":
            yield ours
