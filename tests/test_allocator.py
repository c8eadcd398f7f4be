"""Freed memory is kept, unless the user has an opinion."""

import subprocess
import sys

import pytest

from harness.targets import ROOT
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
PAGES_OF_8_MB = (8 << 20) // 4096


def faults(how: str) -> int:
    done = subprocess.run([sys.executable, "-c", SCRIPT, how], cwd=ROOT, capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator is Linux's")
def test_pages_are_cleared_once() -> None:
    assert faults("kept") < PAGES_OF_8_MB


@pytest.mark.parametrize("name", VARIABLES)
def test_the_users_own_tuning_is_kept(name: str) -> None:
    assert not keep_freed_memory({name: "1"})
