"""Temporary folders: gone when they are no longer wanted, and when the process ends in whatever way it does."""

import subprocess
import sys
from pathlib import Path

import pytest

from serving.scratch import remove, remove_all, scratch, scratch_folder

# How the process ends, after one folder was made and left, one made and removed, and one is in use.
ENDS = {
    "by itself": "",
    "by an error": "raise RuntimeError('as wanted')",
    "at once, as the server does": "import os; from serving.scratch import remove_all; remove_all(); os._exit(0)",
}
PROGRAM = """
from serving.scratch import remove, scratch, scratch_folder
remove(scratch_folder())
left = scratch_folder()
(left / "file").write_text("x")
used = scratch()
print(left, used.__enter__(), flush=True)
"""


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def test_it_is_there_for_the_length_of_the_with(temporary: Path) -> None:
    with scratch() as folder:
        assert folder.parent == temporary
        (folder / "weights.bin").write_bytes(bytes(100))
    assert not any(temporary.iterdir())
    with pytest.raises(RuntimeError, match="as wanted"), scratch():
        raise RuntimeError("as wanted")
    assert not any(temporary.iterdir())


def test_folders_are_removed_one_by_one_and_all(temporary: Path) -> None:
    first, second, third = scratch_folder(), scratch_folder(), scratch_folder()
    remove(first)
    remove(first)
    assert {second, third} == set(temporary.iterdir())
    remove_all()
    remove_all()
    assert not any(temporary.iterdir())


@pytest.mark.parametrize("end", ENDS)
def test_none_outlives_the_process(temporary: Path, end: str) -> None:
    command = [sys.executable, "-c", PROGRAM + ENDS[end]]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert not any(temporary.iterdir()), ran.stderr
    assert len(ran.stdout.split()) == 2


def test_no_writable_place_is_an_os_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "absent"))
    with pytest.raises(OSError, match="absent"):
        scratch_folder()
