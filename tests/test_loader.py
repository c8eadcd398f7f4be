"""A prepared model is loaded and warmed up, each step reported."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from assets import onnx_models
from serving.errors import ModelLoadError
from serving.lifecycle import State
from serving.loader import Loaded, load
from serving.preparation import apply_environment, prepare
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
