"""The large blocks of this process's memory in huge pages, once a model is in service.

A run goes through all of a model's weights and intermediate results. In pages of 4 kB the processor looks up some ten
thousand addresses meanwhile, in pages of 2 MB a few dozen: MiniLM's runs on one core take 3 to 8 % less, those of a
perceptron of 100 MB up to a tenth (docs/performance.md). Most hosts leave it to the program (transparent
huge pages, mode `madvise`), and neither ONNX Runtime nor NumPy asks for all of it. Where the mode is
`never` nothing is done.
"""

import errno
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from serving.advice import Advise, madvise
from serving.pseudofiles import text_of

log = logging.getLogger(__name__)

SYSTEM = Path("/sys/kernel/mm/transparent_hugepage")
PROCESS = Path("/proc/self")
# madvise(2): MADV_COLLAPSE moves a block into a huge page at once, since Linux 6.1; MADV_HUGEPAGE has the kernel do
# it by and by, some megabytes a second.
MADV_HUGEPAGE, MADV_COLLAPSE = 14, 25
# The kernel's mode is the word in brackets.
NEVER = "[never]"
# How much of a block must be in use: what is not will take memory, too, in a huge page. A thread's stack, of which a
# few pages are, never gets one.
USED = 0.9
# proc(5), pagemap: eight bytes a page, of which the highest bit says that it is in memory.
ENTRY_BYTES, PRESENT_BIT = 8, 63
# Of a mapping in /proc/self/maps: addresses, rights, offset, device, inode and, if it has one, a name.
UNNAMED_FIELDS, HEAP = 5, "[heap]"


def collapse(advise: Advise | None = None, *, system: Path = SYSTEM, process: Path = PROCESS) -> int:
    """Move what fills a huge page into one; the bytes that have been moved, or will be.

    Its contents stay as and where they are; who uses a block at this moment waits some 0.3 ms.

    Args:
        advise: `madvise`, the system's by default.
        system: where the kernel tells of huge pages.
        process: where it tells of this process.
    """
    size = _huge_page(system)
    if not size:
        return 0
    advise = advise or madvise()
    done = 0
    for block in _full_blocks(process, size):
        failed = advise(block, size, MADV_COLLAPSE)
        if failed == errno.EINVAL:  # before Linux 6.1
            failed = advise(block, size, MADV_HUGEPAGE)
        if failed == errno.ENOMEM:
            log.info("huge pages: the system has no more of them")
            break
        done += 0 if failed else size
    return done


def _huge_page(system: Path) -> int:
    """The bytes of a huge page; 0 where there are none to be had."""
    size = text_of(system / "hpage_pmd_size").strip()
    return int(size) if size.isdecimal() and NEVER not in text_of(system / "enabled") else 0


def _full_blocks(process: Path, size: int) -> Iterator[int]:
    """The addresses of blocks of that size, so aligned, that are in use."""
    pages = size // os.sysconf("SC_PAGE_SIZE")
    try:
        with (process / "pagemap").open("rb", buffering=0) as pagemap:
            for first, last in _mappings(text_of(process / "maps"), size):
                pagemap.seek(first // size * pages * ENTRY_BYTES)
                read = pagemap.read((last - first) // size * pages * ENTRY_BYTES)
                entries = np.frombuffer(read, np.uint64, len(read) // (pages * ENTRY_BYTES) * pages)
                used = (entries >> np.uint64(PRESENT_BIT)).reshape(-1, pages).mean(axis=1)
                yield from (first + size * int(number) for number in np.flatnonzero(used >= USED))
    except OSError as error:
        log.info("huge pages: expected to read this process's page map, got %s", error.strerror)


def _mappings(maps: str, size: int) -> Iterator[tuple[int, int]]:
    """The largest part of each private mapping without a file that begins and ends with a huge page."""
    for line in maps.splitlines():
        addresses, rights, *rest = line.split(maxsplit=UNNAMED_FIELDS)
        name = rest[UNNAMED_FIELDS - 2 :]
        if rights != "rw-p" or name not in ([], [HEAP]):
            continue
        start, end = (int(address, 16) for address in addresses.split("-"))
        first, last = -(-start // size) * size, end // size * size
        if first < last:
            yield first, last
