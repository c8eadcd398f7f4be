"""Programs that run with an interpreter of their own."""

import os
import subprocess
from collections.abc import Sequence

from assets.fetch import AssetError


def run(command: Sequence[str], failure: str) -> None:
    """Run a command to its end. Raises AssetError, which begins with `failure`."""
    # The tests' own PYTHONPATH must not reach the other interpreter.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise AssetError(f"{failure}: {' '.join(command)} failed:\n{done.stderr.strip()}")
