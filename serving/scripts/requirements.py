"""Installing a script's requirements at start, into a folder that its workers alone import from.

pip's own settings count: PIP_INDEX_URL, PIP_NO_INDEX, PIP_FIND_LINKS and lines of requirements.txt itself.
"""

import asyncio
import contextlib
import logging
import os
import signal
import sys
import sysconfig
from asyncio.subprocess import DEVNULL
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from serving.errors import ModelLoadError

log = logging.getLogger(__name__)

# The image has no compiler: a package without a wheel is refused at once, not after minutes of trying to build it.
WHEELS_ALONE = ("PIP_ONLY_BINARY", ":all:")
OPTIONS = (
    "--no-input",
    "--no-cache-dir",
    "--disable-pip-version-check",
    "--progress-bar=off",
    "--root-user-action=ignore",
)
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


async def install(requirements: Path, folder: Path, environment: Mapping[str, str]) -> None:
    """Have pip install a requirements file into the folder; what pip says is in the log.

    Cancelling the call ends pip.

    Raises:
        ModelLoadError: pip is not there, or could not.
    """
    if find_spec("pip") is None:
        raise ModelLoadError(f"{requirements} cannot be installed: this installation has no pip. {_instead()}")
    name, value = WHEELS_ALONE
    log.info("installing %s", requirements)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "pip", "install", *OPTIONS),
        *("--target", str(folder), "--requirement", str(requirements)),
        stdin=DEVNULL,
        cwd=requirements.parent,
        env={name: value, "PYTHONUNBUFFERED": "1", **environment},
        start_new_session=True,
    )
    try:
        status = await process.wait()
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        raise
    if status != 0:
        raise ModelLoadError(
            f"The requirements of the script, {requirements}, could not be installed: pip ended with status {status} "
            f"and says why above. Only wheels can be installed, since there is no compiler here: each package needs "
            f"one for Python {VERSION} on {sysconfig.get_platform()}, or for any. {_instead()}"
        )
    log.info("installed %s", requirements)


def _instead() -> str:
    """What to do where nothing can be installed at start."""
    return (
        "Where there is no network (EnableNetworkIsolation), or to start faster, put the packages into code/lib of the "
        "archive: pip install --target code/lib --only-binary :all: --platform "
        f"manylinux_2_28_{sysconfig.get_platform().rpartition('-')[2]} --python-version {VERSION} -r "
        "code/requirements.txt. Then requirements.txt is not looked at."
    )
