"""`pack` through the command line: the archive is made, unpacked again, loaded and run."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Timer

import pytest

from assets import onnx_models
from harness.processes import is_alive
from loggers import restored
from serving.cli import run
from serving.cloud import tryout

SECONDS = 60.0  # for a server to start and to end, on a busy machine


def packed(capsys: pytest.CaptureFixture[str], folder: Path, *options: str) -> tuple[int, str]:
    with restored():
        status = run(["pack", str(folder), "--output", str(folder.parent / "model.tar.gz"), *options])
    out, err = capsys.readouterr()
    assert not out
    assert "Traceback" not in err
    return status, err


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "code").mkdir(parents=True)
    onnx_models.identity(folder / "model.onnx")
    return folder


def script(folder: Path, text: str) -> None:
    (folder / "code" / "inference.py").write_text(text)


def test_a_model_is_packed_loaded_and_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, err = packed(capsys, folder)
    assert status == 0
    assert "files: 1, bytes: " in err
    assert "served by the onnx backend" in err
    assert "The model loads and answers: it ran on 1, 2, 4" in err


def test_a_model_that_does_not_load_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "model.onnx").write_bytes(b"no model")
    status, err = packed(capsys, folder)
    assert status == 1
    assert "The model is not served, so no archive was made" in err
    assert "the archive/model.onnx" in err
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


def test_an_archive_that_was_there_outlives_one_that_is_not_served(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert packed(capsys, folder)[0] == 0
    before = (folder.parent / "model.tar.gz").read_bytes()
    (folder / "model.onnx").write_bytes(b"no model")
    assert packed(capsys, folder)[0] == 1
    assert (folder.parent / "model.tar.gz").read_bytes() == before


def test_a_model_that_refuses_synthetic_inputs_is_told_to_be_untried(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    onnx_models.poison(folder / "model.onnx")
    monkeypatch.setattr("serving.cloud.tryout.children.command", lambda *_: [sys.executable, "-c", NOT_RUN])
    assert "The model loads, but was not run: it would not.\n" in packed(capsys, folder)[1]


NOT_RUN = """print('{"batching": {"warmed_rows": [], "reason": "it would not"}}')"""


def test_loading_can_be_left_out(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "model.onnx").write_bytes(b"no model")
    assert packed(capsys, folder, "--no-load")[0] == 0
    assert (folder.parent / "model.tar.gz").exists()


def test_a_script_is_loaded_by_the_server(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script(folder, "def handler(data, context):\n    return data.read(), 'text/plain'\n")
    status, err = packed(capsys, folder)
    assert status == 0, err
    assert "it ran on 1" in err
    assert "Its script loads." in err


def test_a_script_that_does_not_load_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script(folder, "import a_library_that_is_missing\n")
    status, err = packed(capsys, folder)
    assert status == 1
    assert "is not served" in err
    assert "a_library_that_is_missing" in err


def test_a_script_that_hangs_is_given_up(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    script(folder, "import threading\nthreading.Event().wait()\n")
    monkeypatch.setattr(tryout, "START_SECONDS", 1.0)
    status, err = packed(capsys, folder)
    assert status == 1
    assert "is not served" in err


def test_the_processes_of_a_script_that_hangs_end_with_the_server(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    started = tmp_path / "started"
    hang = f"import os, pathlib, threading\npathlib.Path({str(started)!r}).write_text(str(os.getpid()))\n"
    script(folder, hang + "threading.Event().wait()\n")

    class AfterStart(Timer):
        """Due when the script hangs, however long it took to come there."""

        def run(self) -> None:
            until(lambda: started.exists() and started.read_text() != "")
            self.function(*self.args)

    monkeypatch.setattr(tryout, "Timer", AfterStart)
    status, err = packed(capsys, folder)
    assert status == 1
    assert "is not served" in err
    # Whoever has taken an orphan in may not have waited for it yet.
    until(lambda: not is_alive(int(started.read_text())))


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_folder_that_is_not_there_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert packed(capsys, tmp_path / "nowhere") == (
        1,
        f"{tmp_path / 'nowhere'} is no directory: expected the one that holds the model's files.\n",
    )
