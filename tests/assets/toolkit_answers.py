"""The answers of AWS's own code, from an environment with its packages that is made once and kept in the cache."""

import base64
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from assets.fetch import AssetError, cache_folder

HERE: Final = Path(__file__).resolve().parent / "toolkits"
SCRIPT: Final = HERE / "answers.py"
REQUIREMENTS: Final = HERE / "requirements.txt"
KEY_LENGTH: Final = 12
INSTALL_SECONDS: Final = 900
ANSWER_SECONDS: Final = 120


class Asked(NamedTuple):
    """One request to `/invocations`."""

    body: bytes
    headers: Mapping[str, str]


class Answered(NamedTuple):
    """Its answer."""

    status: int
    content_type: str
    body: bytes


def toolkit_answers(container: str, folder: Path, asked: Sequence[Asked]) -> list[Answered]:
    """What the container's own code answers, with what `/opt/ml/model` holds in `folder`.

    Raises:
        AssetError: the packages cannot be had, or fail where they should answer.
    """
    requests = [{"body": base64.b64encode(one.body).decode(), "headers": dict(one.headers)} for one in asked]
    document = json.dumps({"container": container, "folder": str(folder), "requests": requests})
    said = _run([str(toolkit_python()), str(SCRIPT)], ANSWER_SECONDS, document).strip().rpartition("\n")[2]
    return [Answered(one["status"], one["type"], base64.b64decode(one["body"])) for one in json.loads(said)]


def toolkit_python() -> Path:
    """The interpreter of the environment; the first call makes it, which takes a minute. Raises AssetError."""
    key = hashlib.sha256(REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()[:KEY_LENGTH]
    folder = cache_folder() / f"toolkits-{key}"
    python, done = folder / "bin" / "python", folder / "done"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # it goes with the process that holds it
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            venv.create(folder, with_pip=True)
            install = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes")
            _run([str(python), *install, "--requirement", str(REQUIREMENTS)], INSTALL_SECONDS)
            done.touch()
    return python


def _run(command: Sequence[str], seconds: float, given: str = "") -> str:
    # The tests' own PYTHONPATH must not reach the other interpreter.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with tempfile.TemporaryDirectory() as elsewhere:
        done = subprocess.run(
            command,
            capture_output=True,
            check=False,
            cwd=elsewhere,
            env=environment,
            input=given,
            text=True,
            timeout=seconds,
        )
    if done.returncode:
        raise AssetError(f"no answers of AWS's toolkits: {' '.join(command)} failed:\n{done.stderr.strip()}")
    return done.stdout
