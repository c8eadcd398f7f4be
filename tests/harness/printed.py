"""What a small program of a test's own prints, run by a process of its own."""

import subprocess
import sys

from harness.targets import ROOT


def numbers(program: str, *arguments: str) -> list[int]:
    """The numbers that a Python program prints, which finds the project's modules."""
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [int(word) for word in done.stdout.split()]
