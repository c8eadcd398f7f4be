"""`buildx.sh`: its checks of what it is told, and what it pushes."""

import json
import os
import re
import subprocess
from typing import Any

import pytest

from harness.leaving_out import leave_out
from harness.targets import ROOT, engine_answers

REGISTRY_VARIABLE = "TEST_REGISTRY"
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
MANIFEST_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"


def buildx(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["./buildx.sh", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


def test_help_names_every_option() -> None:
    done = buildx("--help")
    assert done.returncode == 0
    script = (ROOT / "buildx.sh").read_text()
    options = set(re.findall(r"(?<!-)--[a-z][a-z-]+", script[script.index("\nparse()") : script.index("\nvalidate()")]))
    assert {"--push", "--create-repository", "--no-cache"} < options
    for word in options | {"BASE_IMAGE", "CA_BUNDLE", "BUILDX_BUILDER", "PYTHON"}:
        assert word in done.stdout


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--platform", "linux/riscv64"], "expected linux/arm64, linux/amd64, or both"),
        (["--variant", "cuda"], "expected one of: full, onnx, pytorch"),
        (["--tag", "no spaces"], "--tag is 'no spaces'"),
        (["--push"], "names no registry to push to"),
        (["--load", "--push"], "expected one"),
        (["--create-repository"], "are for --push to ECR"),
        (["--sign-key", "LICENSE"], "--sign-key is for --push"),
        (
            ["--push", "--repository", "127.0.0.1:5000/serving", "--sign-key", "LICENSE"],
            "expected an RSA or EC private",
        ),
        (["--push", "--repository", "127.0.0.1:5000/serving", "--immutable-tags"], "are for --push to ECR"),
        (["--tag"], "expected a value after it"),
        (["--tag", "x" * 118], "at most 117 characters, as -full-arm64 is added"),
        (["--fast"], "does not know '--fast'"),
    ],
)
def test_what_it_cannot_use_is_said(arguments: list[str], complaint: str) -> None:
    done = buildx(*arguments, "--dry-run") if arguments != ["--tag"] else buildx(*arguments)
    assert done.returncode == 1
    assert complaint in done.stderr


def test_a_dry_run_shows_single_platform_builds_without_attestations() -> None:
    done = buildx("--dry-run", "--tag", "1.2.0")
    assert done.returncode == 0, done.stderr
    builds = [line for line in done.stderr.splitlines() if line.startswith("+ docker buildx build")]
    assert [("linux/arm64" in line, "linux/amd64" in line) for line in builds] == [(True, False), (False, True)]
    for line in builds:
        assert "--provenance=false" in line
        assert "oci-mediatypes=false" in line
        assert "graviton-serving:1.2.0-a" in line
        assert "VARIANT=full" in line


def test_other_variants_are_named_in_the_image() -> None:
    done = buildx("--dry-run", "--tag", "1.2.0", "--variant", "onnx")
    assert "--tag graviton-serving:1.2.0-onnx-arm64" in done.stderr
    assert "VARIANT=onnx" in done.stderr


def test_a_dry_run_of_a_push_shows_the_whole_road_in_order() -> None:
    repository = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/serving"
    done = buildx("--push", "--dry-run", "--tag", "1.2.0", "--repository", repository, "--create-repository")
    assert done.returncode == 0, done.stderr
    steps = [
        f"serving.cloud.repository check {repository} --create-repository --tags 1.2.0-arm64 1.2.0-amd64 1.2.0\n",
        f"--tag {repository}:1.2.0-arm64 ",
        f"==> serving the sample model from {repository}:1.2.0-arm64",
        f"--tag {repository}:1.2.0-amd64 ",
        f"==> serving the sample model from {repository}:1.2.0-amd64",
        f"serving.cloud.repository create {repository} ",
        f"+ docker push {repository}:1.2.0-arm64\n",
        f"+ docker push {repository}:1.2.0-amd64\n",
        f"+ docker buildx imagetools create --tag {repository}:1.2.0 {repository}:1.2.0-arm64 ",
    ]
    places = [done.stderr.index(step) for step in steps]
    assert places == sorted(places)


def test_pytorch_for_amd64_needs_the_index_that_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TORCH_INDEX", raising=False)
    arguments = ("--dry-run", "--variant", "pytorch")
    done = buildx(*arguments)
    assert done.returncode == 1
    assert "TORCH_INDEX is empty" in done.stderr
    assert buildx(*arguments, "--platform", "linux/arm64").returncode == 0
    monkeypatch.setenv("TORCH_INDEX", "https://index.example/cpu")
    done = buildx(*arguments)
    assert done.returncode == 0, done.stderr
    assert "--build-arg TORCH_INDEX=https://index.example/cpu" in done.stderr


@pytest.mark.container
def test_what_it_pushes_is_what_sagemaker_takes() -> None:
    registry = os.environ.get(REGISTRY_VARIABLE, "")
    if not registry or not engine_answers():
        leave_out(f"no Docker engine answers or {REGISTRY_VARIABLE} names no registry to push to")
    repository = f"{registry}/graviton-serving"
    done = buildx("--push", "--repository", repository, "--tag", "test", "--variant", "onnx")
    assert done.returncode == 0, done.stderr
    for platform in ("arm64", "amd64"):
        pushed = manifest(f"{repository}:test-onnx-{platform}")
        assert pushed["mediaType"] == MANIFEST
        assert f"{repository}:test-onnx-{platform}  linux/{platform}  sha256:" in done.stdout
    joint = manifest(f"{repository}:test-onnx")
    assert joint["mediaType"] == MANIFEST_LIST
    assert {entry["mediaType"] for entry in joint["manifests"]} == {MANIFEST}
    assert [entry["platform"]["architecture"] for entry in joint["manifests"]] == ["arm64", "amd64"]
    assert f"Image for create_model: {repository}:test-onnx\n" in done.stdout


def manifest(name: str) -> dict[str, Any]:
    command = ["docker", "buildx", "imagetools", "inspect", "--raw", name]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert isinstance(found, dict)
    return found
