"""bf16 is used where the processor has it and the user allows it, and nowhere else: seen in the numbers."""

import json
from pathlib import Path

import numpy as np
import pytest

from assets import onnx_models
from blackbox.conftest import Folder, Shared
from harness.bodies import NPY, as_npy, npy
from harness.servers import Server
from harness.targets import Target

INPUTS = 258  # not a multiple of 4, where an older runtime's bf16 kernel read too far
# float32 keeps 24 bits, so a product of 258 terms is right to some 1e-6; bf16 keeps 8, hence some 1e-3.
FLOAT32_LIMIT = 1e-5
BF16_RANGE = (1e-4, 1e-2)


def deviation(server: Server) -> float:
    """The largest difference from the product in float64, relative to the largest value."""
    given = np.random.default_rng(3).standard_normal((8, INPUTS)).astype(np.float32)
    wanted = given.astype(np.float64) @ onnx_models.weight(INPUTS, 64)
    got = npy(server.post(as_npy(given), NPY, NPY))
    assert got.dtype == np.float32
    return float(np.abs(got - wanted).max() / np.abs(wanted).max())


def plan(target: Target, folder: Path) -> dict[str, object]:
    done = target.run(["inspect", "--json"], folder)
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("operator", ["MatMul", "Gemm"])
def test_bf16_shows_in_the_numbers_exactly_where_the_plan_says_so(
    target: Target, shared: Shared, model_folder: Folder, operator: str
) -> None:
    folder = model_folder(onnx_models.matmul, inputs=INPUTS, operator=operator)
    found = deviation(shared(folder))
    if target.has_arm_bf16:
        assert BF16_RANGE[0] < found < BF16_RANGE[1]
    else:
        assert found < FLOAT32_LIMIT
    said = plan(target, folder)["plan"]
    assert isinstance(said, dict)
    assert said["bf16"] is target.has_arm_bf16
    assert (said["bf16_deviation"] is not None) is target.has_arm_bf16


def test_strict_keeps_float32_everywhere(shared: Shared, model_folder: Folder) -> None:
    folder = model_folder(onnx_models.matmul, inputs=INPUTS)
    assert deviation(shared(folder, SERVING_FPMATH="strict")) < FLOAT32_LIMIT


def test_a_model_that_does_not_stand_bf16_is_served_in_float32(
    target: Target, shared: Shared, model_folder: Folder
) -> None:
    server = shared(model_folder(onnx_models.matmul, inputs=INPUTS), SERVING_FPMATH_TOLERANCE="0.0001")
    assert deviation(server) < FLOAT32_LIMIT
    assert ("above the tolerance of 0.0001" in server.logs()) is target.has_arm_bf16


def test_golden_npz_is_what_bf16_is_tried_on(
    target: Target, shared: Shared, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("golden")
    folder.chmod(0o755)
    onnx_models.matmul(folder / "model.onnx", inputs=INPUTS)
    given = np.random.default_rng(4).standard_normal((4, INPUTS)).astype(np.float32)
    wrong = given @ onnx_models.weight(INPUTS, 64) * np.float32(1.5)
    np.savez(folder / "golden.npz", x=given, y=wrong)
    server = shared(folder)
    assert deviation(server) < FLOAT32_LIMIT
    assert ("deviate by 3.3e-01 on golden.npz, above" in server.logs()) is target.has_arm_bf16


def test_inspect_knows_the_processor(target: Target, model_folder: Folder) -> None:
    found = plan(target, model_folder(onnx_models.matmul, inputs=INPUTS))["processor"]
    assert isinstance(found, dict)
    if target.emulated:
        name, core = ("Graviton3", "Neoverse-V1") if target.has_arm_bf16 else ("Graviton2", "Neoverse-N1")
        assert (found["name"], found["core"]) == (name, core)
        assert ("bf16" in found["features"]) is target.has_arm_bf16
    text = target.run(["inspect"], model_folder(onnx_models.matmul, inputs=INPUTS))
    assert text.returncode == 0
    assert f"x: float32 [N, {INPUTS}]" in text.stdout
    assert found["name"] in text.stdout
