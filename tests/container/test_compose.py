"""The compose file of the examples serves the sample model, and is healthy when that answers."""

import os
import subprocess
from collections.abc import Callable

import httpx
import pytest

from harness.servers import free_port
from harness.targets import ROOT

FILE = "examples/compose.yaml"


def composed(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    name = f"graviton-serving-{environment['PORT']}"
    command = ["docker", "compose", "--project-name", name, "--file", FILE, *arguments]
    return subprocess.run(command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, check=False)


@pytest.mark.container
def test_the_sample_model_is_served(image_of: Callable[[str, str], str]) -> None:
    image = image_of("amd64", "full")
    environment = {"IMAGE": image, "PLATFORM": "linux/amd64", "PORT": str(free_port())}
    try:
        up = composed(environment, "up", "--detach", "--wait")
        assert up.returncode == 0, up.stderr
        body = (ROOT / "examples/digits/sample.json").read_bytes()
        headers = {"Content-Type": "application/json"}
        answer = httpx.post(f"http://127.0.0.1:{environment['PORT']}/invocations", content=body, headers=headers)
        assert answer.json()["predictions"][0]["label"] == 2
    finally:
        down = composed(environment, "down")
    assert down.returncode == 0, down.stderr


def test_without_settings_it_is_the_image_that_the_readme_builds() -> None:
    shown = (ROOT / FILE).read_text()
    assert "${IMAGE:-graviton-serving:dev-arm64}" in shown
    assert "./buildx.sh --load --platform linux/arm64 --tag dev\n" in (ROOT / "README.md").read_text()
