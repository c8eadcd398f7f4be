"""A prepared model is loaded and warmed up, each step reported."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from assets import onnx_models
from serving.budget import Budget
from serving.discovery import find_model
from serving.errors import ModelLoadError
from serving.lifecycle import State
from serving.loader import Loaded, load
from serving.plans import make_plan
from serving.plans.plan import ORT_FASTMATH
from serving.preparation import Machine, Prepared, apply_environment, prepare
from serving.processor import Processor
from serving.samples import GOLDEN
from serving.settings import Settings


def load_from(directory: Path, **chosen: object) -> tuple[Loaded, list[State]]:
    """The loaded model and the states that were reported."""
    settings = Settings(model_dir=directory, **chosen)  # type: ignore[arg-type]
    reported: list[State] = []
    return load(prepare(settings, {}), settings, reported.append), reported


def test_a_model_is_loaded_then_warmed_up(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = onnx_models.identity(tmp_path / "model.onnx")
    with caplog.at_level("INFO"):
        loaded, reported = load_from(tmp_path)
    assert reported == [State.LOADING, State.WARMING]
    assert loaded.prepared.found.path == path
    assert loaded.model.signature.input_names == ["x"]
    assert "loading model from" in caplog.text
    assert "requests are run together" in caplog.text


@pytest.mark.parametrize(
    ("chosen", "max_rows", "rows"),
    [
        ({}, 32, (1, 2, 4, 8, 16, 32)),
        ({"max_batch": 5}, 5, (1, 2, 4)),
        ({"batch": False}, 1, (1,)),
        ({"max_batch": 1}, 1, (1,)),
    ],
)
def test_joint_runs_are_as_large_as_the_settings_say(
    tmp_path: Path, chosen: dict[str, object], max_rows: int, rows: tuple[int, ...]
) -> None:
    onnx_models.identity(tmp_path / "model.onnx")
    loaded, _ = load_from(tmp_path, **chosen)
    assert loaded.warm_up.max_rows == max_rows
    assert loaded.warm_up.rows == rows


@pytest.mark.parametrize("build", [onnx_models.batch_dependent, onnx_models.fixed_shape, onnx_models.scalar_output])
def test_requests_are_kept_apart_where_joining_would_be_wrong(
    tmp_path: Path, build: Callable[[Path], Path], caplog: pytest.LogCaptureFixture
) -> None:
    build(tmp_path / "model.onnx")
    with caplog.at_level("INFO"):
        loaded, _ = load_from(tmp_path)
    assert loaded.warm_up.max_rows == 1
    assert "requests are run one by one" in caplog.text


@pytest.mark.parametrize(
    "build", [onnx_models.two_inputs, onnx_models.map_output, onnx_models.poison, onnx_models.matmul]
)
def test_requests_are_joined_where_rows_stand_alone(tmp_path: Path, build: Callable[[Path], Path]) -> None:
    build(tmp_path / "model.onnx")
    loaded, _ = load_from(tmp_path)
    assert loaded.warm_up.max_rows == 32


def test_what_cannot_be_loaded_is_an_error_while_loading(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"not a model")
    settings = Settings(model_dir=tmp_path)
    reported: list[State] = []
    with pytest.raises(ModelLoadError):
        load(prepare(settings, {}), settings, reported.append)
    assert reported == [State.LOADING]


def test_what_cannot_be_found_is_an_error_before_loading(tmp_path: Path) -> None:
    with pytest.raises(ModelLoadError, match="No model was found"):
        prepare(Settings(model_dir=tmp_path), {})


def test_the_plan_sees_the_environment_and_changes_it_only_where_it_is_applied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    onnx_models.identity(tmp_path / "model.onnx")
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "ORT_DISABLE_TELEMETRY"):
        monkeypatch.setenv(name, "to be restored")
    plan = prepare(Settings(model_dir=tmp_path), {"OMP_NUM_THREADS": "1"}).plan
    assert plan.threads == 1
    assert "OMP_NUM_THREADS" not in plan.environment
    assert os.environ["OPENBLAS_NUM_THREADS"] == "to be restored"
    apply_environment(plan)
    assert os.environ["OPENBLAS_NUM_THREADS"] == "1"
    assert os.environ["OMP_NUM_THREADS"] == "to be restored"


def on_a_graviton3(directory: Path, tolerance: float) -> Loaded:
    """Load as a Graviton3 would; this processor's kernels are float32 all the same, so the trial finds nothing."""
    graviton3 = Processor("aarch64", "Graviton3", "Neoverse-V1", 0xD40, frozenset({"bf16"}))
    budget = Budget(2, frozenset(range(2)), 2)
    settings = Settings(model_dir=directory, fpmath_tolerance=tolerance)
    plan = make_plan("onnx", graviton3, budget, settings, {})
    return load(Prepared(Machine(graviton3, budget), find_model(directory), plan), settings, lambda _: None)


@pytest.mark.parametrize("operator", ["MatMul", "Gemm"])
def test_bf16_that_changes_nothing_is_kept_and_the_plan_says_why(tmp_path: Path, operator: str) -> None:
    onnx_models.matmul(tmp_path / "model.onnx", operator=operator)
    loaded = on_a_graviton3(tmp_path, 0.01)
    assert loaded.prepared.trial is not None
    assert loaded.prepared.trial.kept
    assert loaded.prepared.plan.bf16
    assert not loaded.prepared.plan.bf16_on_trial
    assert loaded.prepared.trial.reason in loaded.prepared.plan.line


def test_bf16_that_misses_the_golden_outputs_is_given_up(tmp_path: Path) -> None:
    onnx_models.external_data(tmp_path / "model.onnx")
    given = np.ones((2, 258), np.float32)
    np.savez(tmp_path / GOLDEN, x=given, y=given @ onnx_models.weight(258, 64) * np.float32(2))
    loaded = on_a_graviton3(tmp_path, 0.01)
    assert loaded.prepared.trial is not None
    assert loaded.prepared.trial.deviation == pytest.approx(0.5, rel=0.01)
    assert not loaded.prepared.plan.bf16
    assert loaded.prepared.plan.session[ORT_FASTMATH] == "0"


def test_a_gemm_with_external_weights_is_rewritten_where_it_lies(tmp_path: Path) -> None:
    path = onnx_models.external_data(tmp_path / "model.onnx")
    model = onnx.load(path, load_external_data=False)
    model.graph.node[0].op_type = "Gemm"
    onnx.save(model, path)
    given = np.random.default_rng(2).standard_normal((3, 258)).astype(np.float32)
    answer = on_a_graviton3(tmp_path, 0.01).model.run({"x": given})["y"]
    np.testing.assert_allclose(np.asarray(answer), given @ onnx_models.weight(258, 64), atol=1e-4)
