"""`buildx.sh --push` to ECR's double and the registry behind it: what lands, what it takes, what is refused before."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest

from harness.bodies import document
from harness.ecr import HOST, REGION, Ecr, ecr
from harness.engine import tried
from harness.leaving_out import leave_out
from harness.targets import ROOT, Image, engine_answers
from serving import __version__
from serving.cloud.images import problems
from serving.cloud.session import Clients

pytestmark = pytest.mark.container

REGISTRY_VARIABLE = "TEST_REGISTRY"
LOCK = ROOT / "container" / "requirements-onnx.txt"
EXAMPLE = ROOT / "examples" / "digits"
IN_THE_TREE = ("buildx.sh", "container", "docker", "examples", "serving", "LICENSE", "pyproject.toml", ".dockerignore")


@pytest.fixture
def double() -> Iterator[Ecr]:
    registry = os.environ.get(REGISTRY_VARIABLE, "")
    if not registry or not engine_answers():
        leave_out(f"no Docker engine answers or {REGISTRY_VARIABLE} names no registry to push to")
    with ecr(registry) as held:
        yield held


@pytest.fixture
def name(double: Ecr) -> Iterator[str]:
    """A repository that is not there yet; its images are removed from the engine."""
    chosen = f"team/serving-{token_hex(4)}"
    yield chosen
    for repository in (f"{HOST}/{chosen}", f"{double.address}/{chosen}"):
        # By their names: to remove one by its number would take the working tree's image, which is the same, as well.
        names = ("--format", "{{.Repository}}:{{.Tag}}", "--filter", f"reference={repository}")
        listed = tried("image", "ls", *names).stdout.split()
        if listed:
            tried("image", "rm", "--force", *listed)


@pytest.fixture
def logged_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration of Docker that knows no registry; the plugins stay."""
    own = Path(os.environ.get("DOCKER_CONFIG", Path.home() / ".docker"))
    folder = tmp_path / "docker"
    folder.mkdir()
    if (own / "cli-plugins").is_dir():
        (folder / "cli-plugins").symlink_to(own / "cli-plugins")
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    return folder


def push(double: Ecr, name: str, *arguments: str, tree: Path = ROOT) -> subprocess.CompletedProcess[str]:
    options = ["--repository", f"{HOST}/{name}", "--variant", "onnx", "--platform", "linux/amd64", *arguments]
    done = subprocess.run(
        ["./buildx.sh", "--push", *options],
        cwd=tree,
        env={**os.environ, **double.environment, "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        check=False,
    )
    assert double.password not in done.stdout + done.stderr
    return done


def check_contents(bom: dict[str, Any]) -> None:
    """That the list has all that is locked, and Debian's packages, once each."""
    assert (bom["bomFormat"], bom["specVersion"]) == ("CycloneDX", "1.6")
    addresses = {component["purl"]: component for component in bom["components"]}
    assert len(addresses) == len(bom["components"])
    requirements = re.findall(r"^([a-z0-9-]+==[^ ;]+) \\$", LOCK.read_text(), re.MULTILINE)
    assert "onnxruntime" in {each.partition("==")[0] for each in requirements}
    for requirement in requirements:
        (record,) = addresses[f"pkg:pypi/{requirement.replace('==', '@')}"]["properties"]
        assert re.fullmatch("[0-9a-f]{64}", record["value"])
    assert any(re.fullmatch(r"pkg:deb/debian/libc6@2\..*\?arch=amd64&distro=debian-13", each) for each in addresses)


def deploying(double: Ecr, monkeypatch: pytest.MonkeyPatch, image: str, architecture: str) -> list[str]:
    """What `deploy` finds wrong with an image that has been pushed."""
    for variable, value in double.environment.items():
        monkeypatch.setenv(variable, value)
    return list(problems(Clients(REGION), image, architecture, multi_model=False))


def openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], capture_output=True, check=True)


def test_from_nothing_to_an_image_that_can_be_pulled_and_serves(
    double: Ecr, name: str, logged_out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, public, folder = tmp_path / "key.pem", tmp_path / "public.pem", tmp_path / "evidence"
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(key))
    openssl("pkey", "-in", str(key), "-pubout", "-out", str(public))
    options = ["--create-repository", "--immutable-tags", "--sbom", str(folder), "--sign-key", str(key)]
    done = push(double, name, "--tag", "1.2.0", *options)
    assert done.returncode == 0, done.stderr
    image = f"{double.address}/{name}:1.2.0-onnx-amd64"
    digest = double.tags(name)["1.2.0-onnx-amd64"]
    assert f"{image}  linux/amd64  {digest}" in done.stdout
    assert f"Image for create_model: {image}\n" in done.stdout
    assert f"{double.address}/{name}@{digest}\n" in done.stdout
    assert double.operations.index("CreateRepository") > double.operations.index("DescribeRepositories")
    assert double.address in (logged_out / "config.json").read_text()

    stem = name.rpartition("/")[2] + "-1.2.0-onnx"
    listed, digests, signature = (folder / f"{stem}{end}" for end in ("-amd64.cdx.json", ".digests", ".digests.sig"))
    assert {file.name for file in folder.iterdir()} == {listed.name, digests.name, signature.name}
    check_contents(json.loads(listed.read_text()))
    assert digests.read_text().splitlines() == [
        f"{digest}  {image}",
        f"sha256:{hashlib.sha256(listed.read_bytes()).hexdigest()}  {listed.name}",
    ]
    openssl("dgst", "-sha256", "-verify", str(public), "-signature", str(signature), str(digests))

    assert deploying(double, monkeypatch, f"{HOST}/{name}:1.2.0-onnx-amd64", "amd64") == []
    (line,) = deploying(double, monkeypatch, f"{HOST}/{name}:1.2.0-onnx-amd64", "arm64")
    assert "The image is for amd64: expected arm64" in line

    tried("image", "rm", "--force", image, f"{HOST}/{name}:1.2.0-onnx-amd64")
    pulled = tried("pull", image)
    assert pulled.returncode == 0, pulled.stderr
    assert f"Digest: {digest}\n" in pulled.stdout
    server = Image(image, "amd64").start(EXAMPLE / "model", {})
    try:
        server.until_ready()
        answer = document(server.post((EXAMPLE / "sample.json").read_bytes()))
        assert answer["predictions"][0]["label"] == int((EXAMPLE / "sample.label").read_text())
    finally:
        server.remove()

    again = push(double, name, "--tag", "1.2.0")
    assert again.returncode == 1
    assert "whose tags are immutable: 1.2.0-onnx-amd64. Expected tags that are free" in again.stderr
    assert "==> building" not in again.stderr


@pytest.mark.usefixtures("logged_out")
def test_without_a_repository_nothing_is_built(double: Ecr, name: str) -> None:
    done = push(double, name)
    assert done.returncode == 1
    assert f"There is no repository {name}" in done.stderr
    assert "==> building" not in done.stderr


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("container/entrypoint.py", "sys.exit(run())", "sys.exit(3)"), "does not serve the sample model"),
        (("docker/Dockerfile.arm64", "accept-bind-to-port=true", "accept-bind-to-port=false"), "expected a label"),
        (("docker/Dockerfile.arm64", 'ENTRYPOINT ["/usr/local', 'ENTRYPOINT ["/usr'), "expected the entry point"),
    ],
)
@pytest.mark.usefixtures("logged_out")
def test_an_image_that_sagemaker_could_not_use_is_not_pushed(
    double: Ecr, name: str, tmp_path: Path, change: tuple[str, str, str], complaint: str
) -> None:
    file, before, after = change
    tree = tmp_path / "tree"
    for part in IN_THE_TREE:
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy2
        tree.mkdir(exist_ok=True)
        copy(ROOT / part, tree / part)
    whole = (tree / file).read_text()
    assert before in whole
    (tree / file).write_text(whole.replace(before, after))
    done = push(double, name, "--create-repository", tree=tree)
    assert done.returncode == 1
    assert complaint in done.stderr
    assert "CreateRepository" not in double.operations
    assert double.tags(name) == {}
    assert tried("ps", "--all", "--quiet", "--filter", f"ancestor={HOST}/{name}:{__version__}-onnx-amd64").stdout == ""


@pytest.mark.usefixtures("logged_out")
def test_what_landed_before_a_failure_is_named(double: Ecr, name: str, tmp_path: Path) -> None:
    double.forgets = True
    done = push(double, name, "--tag", "1.2.0", "--create-repository", "--sbom", str(tmp_path))
    assert done.returncode == 1
    assert f"the repository that was made stays: {HOST}/{name}\n" in done.stderr
    assert f"already in the registry: {double.address}/{name}:1.2.0-onnx-amd64\n" in done.stderr
