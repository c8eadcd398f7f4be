"""Huge pages: which blocks are asked for, on a made-up process; and that this one gets some, unharmed."""

import errno
import mmap
import re
from pathlib import Path

import numpy as np
import pytest

from serving.huge_pages import MADV_COLLAPSE, MADV_HUGEPAGE, SYSTEM, collapse
from trees.machines import write

KIB, MIB = 1 << 10, 1 << 20
HUGE, PAGE = 2 * MIB, mmap.PAGESIZE
PAGES = HUGE // PAGE
HOST = {"enabled": "always [madvise] never\n", "hpage_pmd_size": f"{HUGE}\n"}
PRESENT, ABSENT = 1 << 63, 0
# In blocks of a huge page, from the process's first address: begins, ends, rights, name.
MAPPINGS = [
    (0.5, 4.0, "rw-p", ""),
    (4.0, 5.0, "---p", ""),
    (5.0, 6.0, "r--p", ""),
    (6.0, 7.0, "rw-p", "/model/a file (deleted)"),
    (7.0, 8.0, "rw-s", ""),
    (8.0, 9.0, "rw-p", "[stack]"),
    (9.0, 10.5, "rw-p", "[heap]"),
    (10.6, 10.9, "rw-p", ""),
]
# Those of the mappings that are whole, private, writable and of no file, but for number 3, of which half is in use.
FULL = [1, 2, 9]
HALF_USED = 3


class Kernel:
    """Takes advice, and remembers it."""

    def __init__(self, answers: dict[int, int] | None = None) -> None:
        self.given: list[tuple[int, int]] = []
        self._answers = answers or {}

    def __call__(self, address: int, length: int, advice: int) -> int:
        assert length == HUGE
        assert address % HUGE == 0
        self.given.append((address // HUGE, advice))
        return self._answers.get(advice, 0)


def written(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        write(root, name, text)
    return root


@pytest.fixture
def process(tmp_path: Path) -> Path:
    """What the kernel tells of a process with those mappings."""
    lines = [
        f"{int(first * HUGE):x}-{int(last * HUGE):x} {rights} 00000000 00:00 0 {name:>30}".rstrip() + "\n"
        for first, last, rights, name in MAPPINGS
    ]
    entries = np.full(11 * PAGES, PRESENT, np.uint64)
    entries[HALF_USED * PAGES : HALF_USED * PAGES + PAGES // 2] = ABSENT
    (tmp_path / "maps").write_text("".join(lines))
    (tmp_path / "pagemap").write_bytes(entries.tobytes())
    return tmp_path


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """A host with huge pages for those who ask."""
    return written(tmp_path / "host", HOST)


def test_full_blocks_are_moved(process: Path, host: Path) -> None:
    kernel = Kernel()
    assert collapse(kernel, system=host, process=process) == len(FULL) * HUGE
    assert kernel.given == [(block, MADV_COLLAPSE) for block in FULL]


def test_an_old_kernel_moves_them_by_and_by(process: Path, host: Path) -> None:
    kernel = Kernel({MADV_COLLAPSE: errno.EINVAL})
    assert collapse(kernel, system=host, process=process) == len(FULL) * HUGE
    assert [block for block, advice in kernel.given if advice == MADV_HUGEPAGE] == FULL


def test_nothing_more_is_asked_of_a_system_that_has_no_more(process: Path, host: Path) -> None:
    kernel = Kernel({MADV_COLLAPSE: errno.ENOMEM})
    assert collapse(kernel, system=host, process=process) == 0
    assert len(kernel.given) == 1


@pytest.mark.parametrize("files", [{"enabled": "always madvise [never]\n"}, {"hpage_pmd_size": "\n"}])
def test_a_host_without_huge_pages_is_left_alone(process: Path, host: Path, files: dict[str, str]) -> None:
    written(host, files)
    kernel = Kernel()
    assert collapse(kernel, system=host, process=process) == 0
    assert not kernel.given


@pytest.mark.parametrize("missing", ["maps", "pagemap"])
def test_a_process_of_which_nothing_is_told_is_left_alone(process: Path, host: Path, missing: str) -> None:
    (process / missing).unlink()
    assert collapse(Kernel(), system=host, process=process) == 0


def test_what_is_moved_stays_as_it_is() -> None:
    numbers = np.random.default_rng(7).random(16 * MIB)
    before = numbers.copy()
    moved = collapse()
    np.testing.assert_array_equal(numbers, before)
    if "[never]" not in (SYSTEM / "enabled").read_text() and _linux() >= (6, 1):
        assert moved >= numbers.nbytes // 2
        assert _in_huge_pages() >= numbers.nbytes // 2


def _linux() -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", Path("/proc/sys/kernel/osrelease").read_text())[:2]))


def _in_huge_pages() -> int:
    (found,) = re.findall(r"^AnonHugePages: +(\d+) kB", Path("/proc/self/smaps_rollup").read_text(), re.MULTILINE)
    return int(found) * KIB
