"""The command line: exit statuses, and what goes to stdout and stderr."""

import json
import os
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from assets import onnx_models
from loggers import restored
from serving import __version__
from serving.audit import CHILD_COMMAND
from serving.cli import run
from serving.settings import markdown_table
from serving.verdicts import EXPECTATIONS

PLAN_VARIABLES = ("ORT_DISABLE_TELEMETRY", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The loggers and the variables that a command sets are put back."""
    for name in PLAN_VARIABLES:
        monkeypatch.setenv(name, "1")
    for name in list(os.environ):
        if name.startswith(("SERVING_", "SAGEMAKER_")):
            monkeypatch.delenv(name)
    with restored():
        yield


def usage_error(*arguments: str) -> int:
    with pytest.raises(SystemExit) as raised:
        run(arguments)
    assert isinstance(raised.value.code, int)
    return raised.value.code


def test_settings_prints_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["settings"]) == 0
    assert capsys.readouterr().out == markdown_table() + "\n"


def test_inspect_prints_everything_for_people(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = onnx_models.two_inputs(tmp_path / "model.onnx")
    assert run(["inspect", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    assert not err  # the log stays out of the way
    assert out.startswith("processor ")
    assert str(path) in out
    assert "a: float32 [N, 3]" in out


def test_inspect_prints_json_for_machines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    onnx_models.identity(tmp_path / "model.onnx")
    assert run(["inspect", "--json", str(tmp_path)]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document.keys() == {"processor", "budget", "plan", "model", "notes", "others", "batching"}
    assert document["model"]["inputs"][0]["name"] == "x"


def test_inspect_takes_the_directory_of_the_settings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    onnx_models.identity(tmp_path / "model.onnx")
    monkeypatch.setenv("SERVING_MODEL_DIR", str(tmp_path))
    assert run(["inspect"]) == 0
    assert str(tmp_path) in capsys.readouterr().out


def test_inspect_of_no_model_tells_the_machine_and_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["inspect", str(tmp_path)]) == 1
    out, err = capsys.readouterr()
    assert out.startswith("processor ")
    assert "No model was found" in err
    assert "Traceback" not in err


def test_audit_prints_what_ran(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = onnx_models.matmul(tmp_path / "model.onnx")
    assert run(["audit", str(tmp_path), "--batch", "2", "--expect", "mlas"]) == 0
    out, err = capsys.readouterr()
    assert not err
    assert str(path) in out
    assert "MatMul" in out
    assert "2 rows" in out


def test_audit_that_falls_short_is_status_1_with_a_line_for_each(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    onnx_models.matmul(tmp_path / "model.onnx")
    assert run(["audit", str(tmp_path), "--json", "--expect", "acl, onednn"]) == 1
    out, err = capsys.readouterr()
    assert json.loads(out)["shortfalls"] == err.splitlines()
    assert [line.split(":")[0] for line in err.splitlines()] == ["acl", "onednn"]


def test_audit_of_no_model_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["audit", str(tmp_path)]) == 1
    out, err = capsys.readouterr()
    assert not out
    assert "No model was found" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--expect", "acl,cuda"), "unknown: 'cuda'"),
        (("--batch", "0"), "expected 1 or more"),
        (("--batch", "many"), "invalid"),
        (("--input", "picture.png"), "*.npy"),
        (("--batch", "2", "--input", "a.npy"), "not allowed with"),
    ],
)
def test_a_wrong_call_of_audit_says_what_was_expected(
    arguments: tuple[str, ...], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert usage_error("audit", *arguments) == 2
    assert reason in capsys.readouterr().err


def test_audits_help_names_every_expectation(capsys: pytest.CaptureFixture[str]) -> None:
    assert usage_error("audit", "--help") == 0
    told = " ".join(capsys.readouterr().out.split())
    assert ", ".join(EXPECTATIONS) in told


def test_what_audit_runs_in_its_child_is_not_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert usage_error("--help") == 0
    out = capsys.readouterr().out
    assert "audit" in out
    assert CHILD_COMMAND not in out


@pytest.mark.parametrize("command", ["serve", "inspect", "settings"])
def test_a_setting_that_cannot_be_used_ends_every_command(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERVING_PORT", "http")
    assert run([command]) == 2
    assert capsys.readouterr().err == "SERVING_PORT is 'http'; it takes a whole number from 1 to 65535.\n"


@pytest.mark.parametrize("arguments", [(), ("unknown",), ("serve", "--port", "1"), ("inspect", "a", "b")])
def test_a_wrong_call_is_status_2(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert usage_error(*arguments) == 2
    assert capsys.readouterr().err.startswith("usage: graviton-serving")


@pytest.mark.parametrize(("flag", "text"), [("--version", f"graviton-serving {__version__}"), ("--help", "serve")])
def test_version_and_help_are_status_0(flag: str, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert usage_error(flag) == 0
    assert text in capsys.readouterr().out


def test_the_package_is_a_program(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["serving", "settings"])
    with pytest.raises(SystemExit) as raised:
        runpy.run_module("serving", run_name="__main__")
    assert raised.value.code == 0
    assert capsys.readouterr().out == markdown_table() + "\n"
