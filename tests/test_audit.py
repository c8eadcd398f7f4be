"""`audit`: a real run in a child, and the report that is made of what it left."""

import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from assets import onnx_models
from executions import GRAVITON, TENSORFLOW_X86
from harness.leaving_out import leave_out
from harness.targets import ROOT
from serving import audit
from serving.kernels import MLAS, Kernel
from serving.measurement import BEGIN, END, AuditError, Measured
from serving.settings import Settings
from serving.verdicts import Circumstances

DIGITS = ROOT / "examples/digits/model"
TENSORFLOW = Measured("/opt/ml/model/1", 2, 30.0, Circumstances("tensorflow", False, False, "no arm64", {}))  # noqa: FBT003


def settings(folder: Path) -> Settings:
    return Settings(model_dir=folder)


def rows(made: audit.Report) -> dict[str, Kernel]:
    return {kernel.operation: kernel for kernel in made.kernels}


def convolution(path: Path) -> Path:
    """`x` float32 [N, 3, 8, 8] -> `y`, of a 3x3 convolution."""
    weights = np.random.default_rng(1).standard_normal((4, 3, 3, 3)).astype(np.float32)
    return onnx_models._write(
        path,
        [helper.make_node("Conv", ["x", "w"], ["y"])],
        inputs=[onnx_models._value("x", TensorProto.FLOAT, ["N", 3, 8, 8])],
        outputs=[onnx_models._value("y", TensorProto.FLOAT, ["N", 4, 6, 6])],
        constants=[numpy_helper.from_array(weights, "w")],
    )


def test_the_digits_model_is_run_once_and_counted_once() -> None:
    made = audit.audit(settings(DIGITS), 3, None, ["mlas"])
    assert (made.measured.rows, made.measured.circumstances.framework) == (3, "onnx")
    products = [kernel for kernel in made.kernels if kernel.product]
    assert sum(kernel.calls for kernel in products) == 2
    assert {kernel.dtype for kernel in products} == {"float32"}
    assert made.shortfalls == ()
    assert sum(made.share(kernel.milliseconds) for kernel in made.kernels) + made.share(made.rest) == pytest.approx(1)


def test_a_convolution_is_seen(tmp_path: Path) -> None:
    convolution(tmp_path / "model.onnx")
    made = audit.audit(settings(tmp_path), 1, None, [])
    assert (rows(made)["Conv"].implementation, rows(made)["Conv"].calls) == (MLAS, 1)
    assert rows(made)["Conv"].bf16 is None


def test_a_loop_is_counted_by_its_turns(tmp_path: Path) -> None:
    onnx_models.slow(tmp_path / "model.onnx", loops=3)
    made = audit.audit(settings(tmp_path), 1, None, [])
    assert (rows(made)["MatMul"].calls, rows(made)["Loop"].calls) == (3, 1)


def test_a_framework_that_tells_no_kernels_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.joblib").write_bytes(b"never read")
    with pytest.raises(AuditError, match="runs on scikit-learn, which does not tell its kernels"):
        audit.audit(settings(tmp_path), 1, None, [])


def test_the_models_folder_may_be_read_only(tmp_path: Path) -> None:
    onnx_models.matmul(tmp_path / "model.onnx")
    before = sorted(tmp_path.iterdir())
    tmp_path.chmod(0o555)
    audit.audit(settings(tmp_path), 1, None, [])
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".json", ".csv"])
def test_an_input_file_is_read_by_its_name(tmp_path: Path, suffix: str) -> None:
    onnx_models.identity(tmp_path / "model.onnx")
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    given = tmp_path / f"input{suffix}"
    if suffix == ".npy":
        np.save(given, values)
    elif suffix == ".npz":
        np.savez(given, x=values)
    else:
        given.write_text(json.dumps({"instances": values.tolist()}) if suffix == ".json" else "0,1,2\n3,4,5\n")
    assert audit.audit(settings(tmp_path), 1, given, []).measured.rows == 2


@pytest.mark.parametrize(("body", "reason"), [("[[1, 2]]", "expected shape"), ("{", "JSON"), (None, "No such file")])
def test_an_input_that_does_not_fit_is_an_error(tmp_path: Path, body: str | None, reason: str) -> None:
    onnx_models.identity(tmp_path / "model.onnx")
    given = tmp_path / "input.json"
    if body is not None:
        given.write_text(body)
    with pytest.raises(AuditError, match=reason):
        audit.audit(settings(tmp_path), 1, given, [])


def test_a_model_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(AuditError, match="No model was found"):
        audit.audit(settings(tmp_path), 1, None, [])


def test_a_model_that_does_not_run_on_synthetic_inputs_asks_for_real_ones(tmp_path: Path) -> None:
    onnx_models._write(
        tmp_path / "model.onnx",
        [helper.make_node("Gather", ["table", "index"], ["row"])],
        inputs=[onnx_models._value("index", TensorProto.INT64, ["N"])],
        outputs=[onnx_models._value("row", TensorProto.FLOAT, ["N"])],
        constants=[numpy_helper.from_array(np.zeros(0, dtype=np.float32), "table")],
    )
    with pytest.raises(AuditError, match=r"(?s)does not run on synthetic inputs.*indices element.*--input FILE"):
        audit.audit(settings(tmp_path), 1, None, [])


def test_a_child_that_dies_is_told_with_its_last_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "CHILD_COMMAND", "_no-such-command")
    with pytest.raises(AuditError, match=r"(?s)ended with status 2.*invalid choice"):
        audit.audit(settings(tmp_path), 1, None, [])


def test_a_long_run_is_announced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    onnx_models.identity(tmp_path / "model.onnx")
    monkeypatch.setattr(audit, "PATIENCE_SECONDS", 0.0)
    audit.audit(settings(tmp_path), 1, None, [])
    assert capsys.readouterr().err.startswith("loading the model")


def test_a_child_that_left_no_profile_is_an_error() -> None:
    measured = replace(TENSORFLOW, circumstances=replace(TENSORFLOW.circumstances, framework="onnx"))
    with pytest.raises(ValueError, match=r"."):
        audit.report(measured, "", None, [])


def printed(before: str, counted: str) -> str:
    return "\n".join((before, BEGIN, counted, END, before))


def test_of_onednns_lines_those_of_the_counted_run_count() -> None:
    template, *executions = GRAVITON.splitlines()
    made = audit.report(TENSORFLOW, printed(TENSORFLOW_X86, "\n".join(executions)), None, ["acl"])
    assert [(k.operation, k.implementation) for k in made.kernels] == [
        ("convolution", "gemm:ref"),
        ("convolution", "indirect_gemm:acl"),
        ("depthwise convolution", "jit_dw:sve_256"),
        ("matmul", "gemm:acl"),
        ("reorder", "acl"),
    ]
    assert template in TENSORFLOW_X86
    assert made.rest == pytest.approx(30.0 - 20.77)
    assert made.shortfalls == ("acl: convolution on gemm:ref (1 call) is reference code",)
    assert "TF_ONEDNN_ASSUME_FROZEN_WEIGHTS=1" in made.fallbacks[0].cure


def test_without_onednns_lines_the_run_was_eigens() -> None:
    made = audit.report(TENSORFLOW, printed("", ""), None, ["onednn"])
    assert made.kernels == ()
    assert made.share(made.rest) == 1
    assert made.fallbacks[0].what.startswith("oneDNN is off")
    assert "Eigen and the rest" in audit.as_text(made)


def test_kernels_that_took_more_than_the_run_leave_no_rest() -> None:
    made = audit.report(replace(TENSORFLOW, milliseconds=1.0), printed("", GRAVITON), None, [])
    assert made.rest == 0
    assert sum(made.share(kernel.milliseconds) for kernel in made.kernels) == pytest.approx(1)


def test_a_run_of_no_time_has_no_shares() -> None:
    made = audit.report(replace(TENSORFLOW, milliseconds=0.0), printed("", ""), None, [])
    assert made.share(made.rest) == 0


def test_the_report_for_people() -> None:
    text = audit.as_text(audit.report(TENSORFLOW, printed("", GRAVITON), None, []))
    lines = text.splitlines()
    assert lines[0] == "model      /opt/ml/model/1 (tensorflow)"
    assert "2 rows in 30.000 ms" in lines[1]
    assert "off: no arm64" in lines[2]
    assert lines[4].split() == list(audit.COLUMNS)
    assert lines[5].split() == ["convolution", "gemm:ref", "float32", "no", "1", "20.100", "67.0%"]
    assert any(line.startswith("fallback   convolution on gemm:ref") for line in lines)
    assert all(line == line.rstrip() for line in lines)


def test_the_report_for_machines() -> None:
    document = json.loads(audit.as_json(audit.report(TENSORFLOW, printed("", GRAVITON), None, ["no-ref"])))
    assert document["kernels"][0] == {
        "operation": "convolution",
        "implementation": "gemm:ref",
        "dtype": "float32",
        "bf16": False,
        "product": True,
        "calls": 1,
        "milliseconds": 20.1,
        "share": pytest.approx(0.67),
    }
    assert document["rest"]["name"] == "Eigen and the rest"
    assert document["shortfalls"] == ["no-ref: convolution on gemm:ref (1 call) is reference code"]
    assert document["fallbacks"][0].keys() == {"what", "cure"}


SAVED_MODEL = """
import sys, tensorflow as tf
layers = tf.keras.layers
model = tf.keras.Sequential([layers.Input((16, 16, 3)), layers.Conv2D(8, 3), layers.Flatten(), layers.Dense(64)])
model.export(sys.argv[1], verbose=False)
"""


@pytest.mark.parametrize("switch", ["1", "0"])
def test_tensorflows_kernels_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, switch: str) -> None:
    if importlib.util.find_spec("tensorflow") is None:
        leave_out("TensorFlow is not installed: its kernels were not audited")
    subprocess.run([sys.executable, "-c", SAVED_MODEL, tmp_path / "1"], check=True, capture_output=True)
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", switch)
    made = audit.audit(settings(tmp_path), 2, None, ["onednn"])
    if switch == "1":
        assert rows(made)["convolution"].calls == 1
        assert made.shortfalls == ()
        assert made.rest > 0
    else:
        assert {kernel.operation for kernel in made.kernels} <= {"gemm_api"}
        assert made.fallbacks[-1].cure == "remove TF_ENABLE_ONEDNN_OPTS=0 from the environment"
        assert made.shortfalls


def test_the_child_is_told_nothing_that_stays_in_this_process() -> None:
    assert "ONEDNN_VERBOSE" not in os.environ
