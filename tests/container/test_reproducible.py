"""Two builds of one tree give the same layers, whatever builder made them."""

import json
import subprocess
from collections.abc import Callable, Sequence

import pytest

from conftest import TAG
from harness.engine import docker
from harness.targets import ROOT


def layers(image: str) -> list[str]:
    """The digests of an image's layers, uncompressed."""
    done = docker("image", "inspect", "--format", "{{json .RootFS.Layers}}", image)
    found: list[str] = json.loads(done)
    return found


def debian_packages(image: str) -> str:
    return docker("run", "--rm", "--entrypoint", "dpkg-query", image, "--show")


@pytest.mark.container
def test_a_build_without_the_cache_gives_the_same_layers(image_of: Callable[[str, str], str]) -> None:
    cached = image_of("amd64", "onnx")
    tag = f"{TAG}-anew"
    anew = f"graviton-serving:{tag}-onnx-amd64"
    build: Sequence[str] = ["--no-cache", "--load", "--platform", "linux/amd64", "--variant", "onnx", "--tag", tag]
    done = subprocess.run(["./buildx.sh", *build], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    try:
        (system, *ours), (system_anew, *ours_anew) = layers(cached), layers(anew)
        assert ours == ours_anew
        # Debian's archive moves on; what is in the cache may be older.
        assert system == system_anew or debian_packages(cached) != debian_packages(anew)
    finally:
        docker("image", "rm", "--force", anew)
