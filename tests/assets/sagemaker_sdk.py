"""Interpreters that have the SageMaker Python SDK, each in a virtual environment of its own in the cache.

Made once, from a locked list with hashes, which takes one or two minutes; the SDK's packages would change the
tests' own.
"""

import hashlib
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Final

from assets.fetch import KEY_LENGTH, AssetError, cache_folder, only_one

HERE: Final = Path(__file__).resolve().parent
SCRIPT: Final = HERE / "local_mode.py"
INSTALL: Final = (
    *("-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
    *("--no-deps", "--require-hashes", "--only-binary=:all:", "--requirement"),
)


def sagemaker_sdk(version: int) -> Path:
    """The interpreter with that major version of the SDK; the first call installs it.

    Raises:
        AssetError: a package cannot be had.
    """
    requirements = HERE / f"requirements-sdk{version}.txt"
    recipe = requirements.read_bytes() + sys.version.encode()
    folder = cache_folder() / f"sagemaker-sdk{version}-{hashlib.sha256(recipe).hexdigest()[:KEY_LENGTH]}"
    if not folder.is_dir():
        with only_one(folder.with_suffix(".lock")):
            if not folder.is_dir():
                _make(folder, requirements)
    return folder / "bin" / "python"


def _make(folder: Path, requirements: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".sdk-") as scratch:
        made = Path(scratch, "venv")
        venv.create(made, with_pip=True)
        # The tests' own PYTHONPATH must not reach the other interpreter.
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        sys.stderr.write(f"installing what {requirements.name} lists; this takes a minute or two\n")
        command = [str(made / "bin" / "python"), *INSTALL, str(requirements)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        if done.returncode:
            raise AssetError(f"no SageMaker SDK: {requirements.name} could not be installed:\n{done.stderr.strip()}")
        made.rename(folder)
