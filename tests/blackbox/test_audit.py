"""`audit` tells which kernels ran on the processor at hand, and its status can hold up a build."""

import json
from pathlib import Path
from typing import Any

from assets import onnx_models
from blackbox.conftest import Folder
from harness.targets import MODEL_DIR, Local, Target


def audit(target: Target, folder: Path, status: int, *arguments: str) -> tuple[dict[str, Any], str]:
    """The JSON report and what was complained about."""
    done = target.run(["audit", "--json", *arguments], folder)
    assert done.returncode == status, done.stderr
    return json.loads(done.stdout), done.stderr


def test_a_matmul_is_seen_in_bf16_exactly_where_the_processor_has_it(target: Target, model_folder: Folder) -> None:
    folder = model_folder(onnx_models.matmul)
    found, complaints = audit(target, folder, 0 if target.has_arm_bf16 else 1, "--expect", "mlas,bf16")
    (kernel,) = found["kernels"]
    assert (kernel["operation"], kernel["calls"], kernel["dtype"]) == ("MatMul", 1, "float32")
    assert kernel["bf16"] is found["bf16"]["on"] is target.has_arm_bf16
    assert kernel["implementation"] == ("MLAS (bf16 fast math)" if target.has_arm_bf16 else "MLAS")
    shortfalls = [line for line in complaints.splitlines() if line.startswith(("mlas:", "bf16:"))]
    assert shortfalls == found["shortfalls"]
    if not target.has_arm_bf16:
        (line,) = shortfalls
        assert line.startswith("bf16: nothing was computed in bf16, which is off:")


def test_a_linear_layer_has_its_part_in_bf16(target: Target, model_folder: Folder) -> None:
    folder = model_folder(onnx_models.matmul, operator="Gemm")
    found, _ = audit(target, folder, 0 if target.has_arm_bf16 else 1, "--expect", "bf16")
    operations = {kernel["operation"] for kernel in found["kernels"]}
    assert ("MatMul" in operations) is target.has_arm_bf16
    assert ("Gemm" in operations) is not target.has_arm_bf16
    assert found["fallbacks"] == []


def test_people_get_a_table(target: Target, model_folder: Folder) -> None:
    done = target.run(["audit", "--batch", "4"], model_folder(onnx_models.matmul))
    assert done.returncode == 0, done.stderr
    assert "4 rows in" in done.stdout
    assert "MatMul" in done.stdout
    assert "fallback   none" in done.stdout


def test_an_input_file_of_the_models_folder_is_run(target: Target, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)  # the container's user is another one
    onnx_models.identity(tmp_path / "model.onnx")
    (tmp_path / "sample.json").write_text('{"instances": [[1, 2, 3], [4, 5, 6], [7, 8, 9]]}')
    inside = tmp_path if isinstance(target, Local) else Path(MODEL_DIR)
    found, _ = audit(target, tmp_path, 0, "--input", str(inside / "sample.json"))
    assert found["rows"] == 3


def test_a_folder_without_a_model_is_status_1(target: Target, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    done = target.run(["audit"], tmp_path)
    assert done.returncode == 1
    assert "No model was found" in done.stderr
    assert not done.stdout
