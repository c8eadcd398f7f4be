"""Where the black-box suite runs: the server as a local process, and the images as emulated Gravitons.

A target starts servers on free ports and runs commands. Nothing waits on a clock: every wait is for a
condition (an answer, an exit) with a deadline.
"""

import os
import shutil
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from harness.servers import ContainerServer, LocalServer, Server, free_port

ROOT: Final = Path(__file__).resolve().parents[2]
MODEL_DIR: Final = "/opt/ml/model"
PORT: Final = 8080
COMMAND_SECONDS: Final = 300
"""For a command in an emulated container on a busy machine."""
EMULATED: Final = {"neoverse-v1": "neoverse-v1,pauth=off"}
"""QEMU's words for those that take more than a name. Programs sign their return addresses where the processor can,
which takes QEMU a fifth of its time. Nothing here depends on it: where it is off, the instructions do nothing."""


class Target(ABC):
    """One place to run the program."""

    name: str
    emulated: bool = False
    has_arm_bf16: bool = False

    @abstractmethod
    def start(self, directory: Path, environment: Mapping[str, str], user: str = "") -> Server:
        """Start `serve` on a model directory; does not wait until it is ready."""

    @abstractmethod
    def run(self, arguments: Sequence[str], directory: Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the program on a model directory and return what it printed."""


class Local(Target):
    """The working tree, with this interpreter or another that has what the program needs."""

    name = "local"

    def __init__(self, python: str = sys.executable) -> None:
        self._python = python

    def start(self, directory: Path, environment: Mapping[str, str], user: str = "") -> Server:
        assert not user, "a local server runs as the tests' own user"
        port = free_port()
        settings = {"SERVING_MODEL_DIR": str(directory), "SERVING_HOST": "127.0.0.1", "SERVING_PORT": str(port)}
        return LocalServer(
            [self._python, "-m", "serving", "serve"], port, ROOT, {**os.environ, **settings, **environment}
        )

    def run(self, arguments: Sequence[str], directory: Path, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self._python, "-m", "serving", *arguments],
            cwd=ROOT,
            env={**os.environ, "SERVING_MODEL_DIR": str(directory), **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=COMMAND_SECONDS,
        )


class Image(Target):
    """The built image for one platform, run as SageMaker does but stricter: nothing writable but /tmp."""

    def __init__(self, image: str, platform: str, cpu: str = "") -> None:
        self.name = f"{platform}-{cpu}" if cpu else platform
        self.image = image
        self.platform = platform
        self.cpu = cpu
        self.emulated = bool(cpu)
        self.has_arm_bf16 = cpu == "neoverse-v1"
        processor = ["-e", f"QEMU_CPU={EMULATED.get(cpu, cpu)}"] if cpu else []
        self.emulation = ["--platform", f"linux/{platform}", *processor]
        self._memory: Sequence[str] = ()

    def with_memory(self, size: str) -> "Image":
        """The same in containers that are killed when they take more, in Docker's words: `700m`."""
        limited = Image(self.image, self.platform, self.cpu)
        limited._memory = ("--memory", size, "--memory-swap", size)
        return limited

    def start(self, directory: Path, environment: Mapping[str, str], user: str = "") -> Server:
        command = [*self._docker_run(directory, environment, user), "-p", f"127.0.0.1::{PORT}", "-d"]
        return ContainerServer([*command, self.image, "serve"], PORT)

    def run(self, arguments: Sequence[str], directory: Path, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self._docker_run(directory, environment), "--rm", self.image, *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=COMMAND_SECONDS,
        )

    def _docker_run(self, directory: Path, environment: Mapping[str, str], user: str = "") -> list[str]:
        variables = [part for name, value in environment.items() for part in ("-e", f"{name}={value}")]
        limits = ["--read-only", "--tmpfs", "/tmp", "-v", f"{directory}:{MODEL_DIR}:ro"]  # noqa: S108
        return [
            "docker",
            "run",
            *self.emulation,
            *self._memory,
            *limits,
            *variables,
            *(["--user", user] if user else []),
        ]


def engine_answers() -> bool:
    """Whether a Docker engine can be used here."""
    if shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0
