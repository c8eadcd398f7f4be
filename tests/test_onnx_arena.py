"""Sessions have one arena together, which gives back what is free when it is told to."""

import sys
from pathlib import Path

import pytest

from assets import onnx_models
from harness.printed import numbers

SIZE_MB = 64
# Two sessions of a model, which each give back what they are given, once a row of 64 MB, at last a small one; prints
# by how many MB the process has grown since the beginning after each.
SCRIPT = """
import os, sys
from pathlib import Path
import numpy as np
from serving.backends.onnx import load
from serving.plans import make_plan
from serving.preparation import look_around
from serving.settings import Settings

path, size = Path(sys.argv[1]), int(sys.argv[2])
machine = look_around()
plan = make_plan("onnx", machine.processor, machine.budget, Settings(), {})
first, second = (load(path, plan) for _ in range(2))
large, small = ({"x": np.ones((1, columns), np.float32)} for columns in (size << 18, 4))
resident = lambda: int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20
for model in (first, second):
    model.run(small)
before = resident()
first.run(large)
print(resident() - before)
second.run(large)
print(resident() - before)
second.shrink(small)
print(resident() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the process's size is read as Linux tells it")
def test_what_one_session_has_used_another_uses_and_both_give_it_back(tmp_path: Path) -> None:
    model = onnx_models.identity(tmp_path / "model.onnx", columns="L")
    first, second, shrunk = numbers(SCRIPT, str(model), str(SIZE_MB))
    assert first >= SIZE_MB
    assert second < first + SIZE_MB / 2
    assert shrunk < SIZE_MB / 2
