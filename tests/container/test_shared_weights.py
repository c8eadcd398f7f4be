"""One file of packed weights for two sessions, on the processors whose kernels pack them their own way."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from assets import onnx_models
from harness.targets import COMMAND_SECONDS, MODEL_DIR, ROOT, Image, Target

pytestmark = [pytest.mark.container, pytest.mark.graviton]

SCRIPT = ROOT / "tests" / "assets" / "divide.py"
Folder = Callable[..., Path]


@pytest.mark.parametrize("operator", ["MatMul", "Gemm"])
def test_both_sessions_answer_as_the_model_does(target: Target, model_folder: Folder, operator: str) -> None:
    assert isinstance(target, Image)
    folder = model_folder(onnx_models.matmul, operator=operator)
    done = subprocess.run(
        [
            *("docker", "run", "--rm", *target.emulation),
            *("--read-only", "--tmpfs", "/tmp", "-v", f"{folder}:{MODEL_DIR}:ro", "-v", f"{SCRIPT}:/divide.py:ro"),  # noqa: S108
            *("--entrypoint", "python3", target.image, "-P", "/divide.py"),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=COMMAND_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["bf16"] is target.has_arm_bf16
    assert found["largest"] > 1
    assert found["apart"] == [0.0, 0.0]
