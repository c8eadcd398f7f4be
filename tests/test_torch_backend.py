"""The backend on the real PyTorch, which has an environment of its own: tests/pytorch, run there."""

import subprocess

from assets.needed import needed
from assets.torch_environment import torch_python
from harness.targets import ROOT


def test_the_tests_of_the_backend_pass_where_pytorch_is() -> None:
    python = needed(torch_python)
    done = subprocess.run(
        [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/pytorch"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert " passed" in done.stdout
