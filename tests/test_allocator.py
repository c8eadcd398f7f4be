"""Freed memory is kept, unless the user has an opinion."""

import sys

import pytest

from harness.printed import numbers
from serving.allocator import VARIABLES, keep_freed_memory

# Takes and frees ten blocks of 8 MB, and prints how many pages the kernel had to clear for them.
SCRIPT = """
import resource, sys
from serving.allocator import keep_freed_memory
keep_freed_memory() if sys.argv[1] == "kept" else None
def use():
    bytearray(b"x") * (8 << 20)
use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    use()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
# A thread takes 12 MB in small blocks, and frees them; prints how many MB the process has become smaller by then, and
# by the last step.
IN_A_THREAD = """
import os
from threading import Thread
from serving.allocator import give_back, keep_freed_memory
# Without a file object, whose buffer would be behind the blocks.
statm = os.open("/proc/self/statm", os.O_RDONLY)
resident = lambda: int(os.pread(statm, 100, 0).split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20
def use():
    blocks = [resident()] * 120
    for number in range(120):
        blocks[number] = bytearray(100_000)
    full = resident()
    blocks.clear()
    freed = resident()
    give_back()
    print(full - freed, freed - resident())
keep_freed_memory()
thread = Thread(target=use)
thread.start()
thread.join()
"""
PAGES_OF_8_MB = (8 << 20) // 4096


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator is Linux's")
def test_pages_are_cleared_once() -> None:
    assert numbers(SCRIPT, "kept")[0] < PAGES_OF_8_MB


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator is Linux's")
def test_a_thread_gives_back_the_end_of_its_memory_when_it_is_told_to_and_not_before() -> None:
    freed, given_back = numbers(IN_A_THREAD)
    assert freed < 2
    assert given_back > 9


@pytest.mark.parametrize("name", VARIABLES)
def test_the_users_own_tuning_is_kept(name: str) -> None:
    assert not keep_freed_memory({name: "1"})
