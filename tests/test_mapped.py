"""Files that are mapped and let go: which, on a made-up process; and that nothing is lost, on this one."""

import mmap
import re
from pathlib import Path

import numpy as np
import pytest

from serving.mapped import MADV_DONTNEED, let_go
from serving.scratch import scratch

MIB = 1 << 20
# Of a mapping: addresses, rights, name, kB that are not the file's any more.
MAPPINGS = [
    ("10000-20000", "rw-p", "/scratch/graviton-serving-x1/weights.bin (deleted)", 0),
    ("20000-30000", "r--p", "/scratch/graviton-serving-x1/weights.bin (deleted)", 0),
    ("30000-40000", "rw-p", "/scratch/graviton-serving-x1/weights.bin (deleted)", 4),
    ("40000-50000", "rw-s", "/scratch/graviton-serving-x1/weights.bin (deleted)", 0),
    ("50000-60000", "---p", "/scratch/graviton-serving-x1/weights.bin (deleted)", 0),
    ("60000-70000", "rw-p", "/scratch/other/weights.bin", 0),
    ("70000-80000", "rw-p", "", 0),
]
LET_GO = [(0x10000, 0x10000), (0x20000, 0x10000)]


class Kernel:
    """Takes advice, and remembers it."""

    def __init__(self, answer: int = 0) -> None:
        self.given: list[tuple[int, int]] = []
        self._answer = answer

    def __call__(self, address: int, length: int, advice: int) -> int:
        assert advice == MADV_DONTNEED
        self.given.append((address, length))
        return self._answer


@pytest.fixture
def process(tmp_path: Path) -> Path:
    """What the kernel tells of a process with those mappings."""
    (tmp_path / "smaps").write_text(
        "".join(
            f"{addresses} {rights} 00000000 fe:00 1234 {name:>60}".rstrip()
            + f"\nSize:                 64 kB\nAnonymous:      {written:5} kB\nVmFlags: rd mr mw me\n"
            for addresses, rights, name, written in MAPPINGS
        )
    )
    return tmp_path


def test_private_mappings_of_our_own_files_are_let_go_if_nothing_was_written_into_them(process: Path) -> None:
    kernel = Kernel()
    assert let_go(kernel, process=process) == sum(length for _, length in LET_GO)
    assert kernel.given == LET_GO


def test_what_the_kernel_keeps_is_not_counted(process: Path) -> None:
    assert let_go(Kernel(answer=22), process=process) == 0


def test_a_process_of_which_nothing_is_told_is_left_alone(tmp_path: Path) -> None:
    kernel = Kernel()
    assert let_go(kernel, process=tmp_path) == 0
    assert not kernel.given


def test_what_is_let_go_is_not_resident_any_more_and_comes_back() -> None:
    content = np.random.default_rng(7).integers(0, 256, 16 * MIB, np.uint8).tobytes()
    with scratch() as folder:
        path = folder / "weights.bin"
        path.write_bytes(content)
        with path.open("rb") as file:
            untouched, written = (mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY) for _ in range(2))
        written[5] = content[5] ^ 1
        assert untouched[:] == content
        before = _resident(path)
        assert let_go() >= len(content)
        assert _resident(path) <= before - len(content)
        assert untouched[:] == content
        assert written[5] == content[5] ^ 1
        untouched.close()
        written.close()


def _resident(path: Path) -> int:
    """The bytes of its mappings that are resident."""
    smaps = Path("/proc/self/smaps").read_text()
    return sum(int(kb) << 10 for kb in re.findall(rf"{re.escape(str(path))}\n(?:.*\n){{1,6}}?Rss: +(\d+) kB", smaps))
