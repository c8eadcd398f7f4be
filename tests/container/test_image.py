"""What the images hold and what they do not, and how they are started."""

import json
import subprocess
from collections.abc import Sequence
from typing import Any

import pytest

from harness.engine import docker, tried
from harness.servers import ContainerServer
from harness.targets import ROOT, Image, Target
from serving import __version__

pytestmark = [pytest.mark.container, pytest.mark.any_graviton]

CAPABILITIES = "com.amazonaws.sagemaker.capabilities"
TOOLS = ("gcc", "cc", "pip", "pip3", "uv", "git", "curl")
"""What has no business in an image that only serves. pip is there as a module, for a script's requirements."""
MOST_BYTES = 1_500_000_000
"""Unpacked. Both images are 1.33 GB; one of more has something in it that does not belong there."""


@pytest.fixture
def image(target: Target) -> Image:
    assert isinstance(target, Image)
    return target


@pytest.fixture
def description(image: Image) -> dict[str, Any]:
    (found,) = json.loads(docker("image", "inspect", image.image))
    assert isinstance(found, dict)
    return found


def run(image: Image, command: Sequence[str], entrypoint: str = "") -> subprocess.CompletedProcess[str]:
    options = ["--entrypoint", entrypoint] if entrypoint else []
    return tried("run", "--rm", "--platform", f"linux/{image.platform}", *options, image.image, *command)


def test_sagemaker_finds_what_it_needs(image: Image, description: dict[str, Any]) -> None:
    config = description["Config"]
    assert (description["Os"], description["Architecture"]) == ("linux", image.platform)
    assert config["Entrypoint"] == ["/usr/local/bin/graviton-serving"]
    assert config["Cmd"] == ["serve"]
    assert "8080/tcp" in config["ExposedPorts"]
    assert config["User"] == ""
    assert config["Labels"][f"{CAPABILITIES}.accept-bind-to-port"] == "true"
    assert f"{CAPABILITIES}.multi-models" not in config["Labels"]
    assert config["Labels"]["org.opencontainers.image.version"] == __version__


def test_both_ways_to_call_the_program(image: Image) -> None:
    for done in (run(image, ["--version"]), run(image, ["-m", "serving", "--version"], entrypoint="python3")):
        assert done.stdout == f"graviton-serving {__version__}\n", done.stderr


def test_no_tool_that_serving_does_not_need(image: Image) -> None:
    done = run(image, ["-c", "command -v python3 " + " ".join(TOOLS)], entrypoint="/bin/sh")
    assert done.stdout.split() == ["/usr/bin/python3"]


def test_pip_is_there_for_the_requirements_of_scripts(image: Image) -> None:
    done = run(image, ["-m", "pip", "--version"], entrypoint="python3")
    assert done.stdout.startswith("pip "), done.stderr


def test_modules_are_compiled_ahead(image: Image) -> None:
    code = "import os, serving.cli as module; print(os.path.exists(module.__cached__))"
    assert run(image, ["-c", code], entrypoint="python3").stdout == "True\n"


def test_it_takes_little_room(description: dict[str, Any]) -> None:
    assert description["Size"] < MOST_BYTES


def test_a_wrong_command_says_which_there_are(image: Image) -> None:
    done = run(image, ["train"])
    assert done.returncode == 2
    assert "serve" in done.stderr


def test_the_program_is_the_only_process_and_gets_the_signals(image: Image) -> None:
    server = image.start(ROOT / "examples" / "digits" / "model", {})
    try:
        server.until_ready()
        assert isinstance(server, ContainerServer)
        processes = docker("top", server.container, "-eo", "pid,args").splitlines()[1:]
        assert len(processes) == 1
        assert processes[0].endswith("graviton-serving serve")
    finally:
        server.remove()
