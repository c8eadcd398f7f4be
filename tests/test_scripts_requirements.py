"""Installing requirements with a real pip, from a folder: no test needs an index."""

import asyncio
import os
import subprocess
from pathlib import Path

import pytest

from assets.wheels import wheel
from serving.errors import ModelLoadError
from serving.scripts import requirements
from serving.scripts.requirements import install


def required(folder: Path, text: str) -> Path:
    file = folder / "requirements.txt"
    file.write_text(text)
    return file


def run(file: Path, target: Path, **variables: str) -> None:
    asyncio.run(install(file, target, {**os.environ, **variables}))


def test_what_is_required_is_in_the_folder_alone(tmp_path: Path) -> None:
    wheel(tmp_path, "greetings", "greet = 'hello {}'.format")
    target = tmp_path / "target"
    run(required(tmp_path, "--no-index\n--find-links .\ngreetings==1.0\n"), target)
    assert (target / "greetings.py").is_file()
    with pytest.raises(ModuleNotFoundError):
        __import__("greetings")


def test_pips_own_variables_count(tmp_path: Path) -> None:
    wheel(tmp_path, "greetings", "")
    run(required(tmp_path, "greetings"), tmp_path / "target", PIP_NO_INDEX="1", PIP_FIND_LINKS=str(tmp_path))
    assert (tmp_path / "target" / "greetings.py").is_file()


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        ("--no-index\nno-such-package==9\n", {}),
        ("greetings\n", {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "0"}),
        ("--no-index\n--find-links .\nfrozen\n", {}),
        ("--no-index\n--find-links .\nsource\n", {}),
    ],
    ids=["no such package", "no network", "no wheel for this machine", "no wheel at all"],
)
def test_what_cannot_be_installed_is_said_with_what_to_do(
    tmp_path: Path, text: str, variables: dict[str, str], capfd: pytest.CaptureFixture[str]
) -> None:
    wheel(tmp_path, "frozen", "", tag="cp27-cp27m-manylinux1_i686")
    (tmp_path / "source-1.0.tar.gz").write_bytes(b"never opened")
    with pytest.raises(ModelLoadError) as raised:
        run(required(tmp_path, text), tmp_path / "target", **variables)
    for word in ("pip ended with status 1", "Only wheels can be installed", "code/lib", "EnableNetworkIsolation"):
        assert word in str(raised.value)
    assert "No matching distribution found" in capfd.readouterr().err


def test_without_pip_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requirements, "find_spec", lambda _name: None)
    with pytest.raises(ModelLoadError, match="has no pip"):
        run(required(tmp_path, "greetings"), tmp_path / "target")


def test_giving_up_ends_pip(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "requirements.txt")  # pip waits for somebody to write into it

    async def test() -> None:
        installing = asyncio.create_task(install(tmp_path / "requirements.txt", tmp_path / "target", os.environ))
        writer = await asyncio.to_thread(lambda: (tmp_path / "requirements.txt").open("w"))  # pip has opened it
        installing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await installing
        writer.close()

    asyncio.run(asyncio.wait_for(test(), 60))
    running = subprocess.run(["ps", "-ewwo", "args"], capture_output=True, text=True, check=True).stdout
    assert str(tmp_path) not in running
