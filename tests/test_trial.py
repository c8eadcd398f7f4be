"""bf16 is tried in two processes, and whatever becomes of them, this one goes on."""

import json
import os
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assets import keras_models
from harness.leaving_out import leave_out
from harness.targets import ROOT
from serving import children, trial
from serving.budget import Budget
from serving.discovery import find_model
from serving.errors import ModelLoadError
from serving.plans import make_plan
from serving.preparation import Machine, Prepared
from serving.processor import Processor
from serving.samples import GOLDEN
from serving.settings import Settings
from serving.trial import settle

GRAVITON3 = Processor("aarch64", "Graviton3", "Neoverse-V1", 0xD40, frozenset({"bf16"}))
GRAVITON2 = Processor("aarch64", "Graviton2", "Neoverse-N1", 0xD0C)
BUDGET = Budget(2, frozenset(range(2)), 2)


def prepared(directory: Path, processor: Processor = GRAVITON3, framework: str = "tensorflow") -> Prepared:
    """As on a Graviton; the children find this machine's processor, whose float32 is float32 in both runs."""
    plan = make_plan(framework, processor, BUDGET, Settings(model_dir=directory), {})
    return Prepared(Machine(processor, BUDGET), find_model(directory), plan)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if find_spec("tensorflow") is None:
        leave_out("TensorFlow is not installed: bf16's trial in two processes was not tested")
    made = tmp_path_factory.mktemp("model")
    keras_models.rows(made / "1")
    return made


def test_a_model_that_bf16_does_not_change_keeps_it(folder: Path) -> None:
    settled = settle(prepared(folder), Settings(model_dir=folder), os.environ)
    assert settled.trial is not None
    assert (settled.trial.kept, settled.trial.deviation) == (True, 0.0)
    assert "synthetic inputs, within the tolerance" in settled.trial.reason
    assert settled.plan.bf16
    assert not settled.plan.bf16_on_trial
    assert settled.plan.environment["DNNL_DEFAULT_FPMATH_MODE"] == "BF16"


@pytest.mark.parametrize(("factor", "kept"), [(2.0, True), (2.1, False)])
def test_expected_outputs_settle_it_in_one_run(
    tmp_path: Path, factor: float, monkeypatch: pytest.MonkeyPatch, *, kept: bool
) -> None:
    keras_models.rows(tmp_path / "1")
    given = np.array([[1.0, 2.0, 4.0]], np.float32)
    np.savez(tmp_path / GOLDEN, x=given, y=given * np.float32(factor))
    modes: list[str] = []
    run_child = trial._run_child

    def noted(folder: Path, mode: str, *rest: Any) -> str:  # noqa: ANN401 (as they come)
        modes.append(mode)
        return run_child(folder, mode, *rest)

    monkeypatch.setattr(trial, "_run_child", noted)
    settled = settle(prepared(tmp_path), Settings(model_dir=tmp_path), os.environ)
    assert settled.trial is not None
    assert settled.trial.kept is kept
    assert settled.plan.bf16 is kept
    assert ("DNNL_DEFAULT_FPMATH_MODE" in settled.plan.environment) is kept
    assert modes == ["bf16"]


def test_text_is_compared_too(tmp_path: Path) -> None:
    keras_models.binary(tmp_path / "1")
    settled = settle(prepared(tmp_path), Settings(model_dir=tmp_path), os.environ)
    assert settled.trial is not None
    assert settled.trial.deviation == 0.0


def test_a_golden_file_that_does_not_fit_is_an_error(tmp_path: Path) -> None:
    keras_models.rows(tmp_path / "1")
    np.savez(tmp_path / GOLDEN, z=np.ones(3))
    with pytest.raises(ModelLoadError, match="does not fit the model"):
        settle(prepared(tmp_path), Settings(model_dir=tmp_path), os.environ)


def test_a_model_that_cannot_be_tried_is_not_trusted(tmp_path: Path) -> None:
    keras_models.refusing(tmp_path / "1")
    settled = settle(prepared(tmp_path), Settings(model_dir=tmp_path), os.environ)
    assert settled.trial is not None
    assert not settled.plan.bf16
    assert "it could not be tried" in settled.trial.reason


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("import os; os.abort()", "the bf16 run ended with status -6"),
        ("import sys; sys.exit('no memory')", "the bf16 run ended with status 1"),
        ("input()", "the bf16 run took longer than 1 s; a golden.npz of few rows takes less"),
    ],
)
def test_a_run_that_dies_or_hangs_means_float32(
    folder: Path, program: str, reason: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(children, "command", lambda *_: [sys.executable, "-c", program])
    settled = settle(prepared(folder), Settings(model_dir=folder), os.environ, seconds=1)
    assert settled.trial is not None
    assert reason in settled.trial.reason
    assert not settled.plan.bf16
    assert f"bf16 is off: it could not be tried, as {reason}" in caplog.text
    assert ("no memory" in caplog.text) is ("no memory" in program)


def test_without_a_place_to_write_it_is_not_tried(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(folder / "nowhere"))
    settled = settle(prepared(folder), Settings(model_dir=folder), os.environ)
    assert settled.trial is not None
    assert "it could not be tried: [Errno 2]" in settled.trial.reason
    assert not settled.plan.bf16


def test_a_larger_deviation_is_given_up(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    verdict = json.dumps({"kept": False, "deviation": 0.5, "reason": "too much"})
    program = f"import sys, pathlib; pathlib.Path(sys.argv[1], 'verdict.json').write_text({verdict!r})"
    monkeypatch.setattr(children, "command", lambda _, *given: [sys.executable, "-c", program, *given])
    settled = settle(prepared(folder), Settings(model_dir=folder), os.environ)
    assert settled.trial == trial.Trial(kept=False, deviation=0.5, reason="too much")
    assert ("bf16", "off", "too much") in {(c.name, c.value, c.reason) for c in settled.plan.choices}


def test_nothing_is_tried_where_there_is_nothing_to_try(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "command", lambda *_: pytest.fail("a child was started"))
    without = prepared(folder, GRAVITON2)
    assert settle(without, Settings(model_dir=folder), os.environ) is without
    # ONNX Runtime's sessions may differ within a process, so the loader tries them.
    other = prepared(folder, framework="onnx")
    assert settle(other, Settings(model_dir=folder), os.environ) is other


def test_a_child_ends_when_its_parent_does() -> None:
    program = (
        "from serving import children; children.end_with_parent(); print(1, flush=True); import signal; signal.pause()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stdout.readline() == b"1\n"
        child.stdin.close()
        assert child.wait(30) == 1
