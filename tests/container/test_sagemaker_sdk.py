"""The SageMaker Python SDK's local mode drives the built image: deploy, predict by its serializers, delete."""

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import boto3
import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest

from assets.digits import digit_probabilities
from assets.needed import needed
from assets.sagemaker_sdk import SCRIPT, sagemaker_sdk
from harness.aws import BUCKET, ROLE, Account, account
from harness.engine import docker, tried
from harness.gateway import gateway
from harness.leaving_out import leave_out
from harness.servers import free_port
from harness.targets import ROOT, Image, Target, engine_answers
from serving.cloud import archives

pytestmark = pytest.mark.container

KEY: Final = "sdk/model.tar.gz"
SERIALIZERS: Final = ("JSONSerializer", "NumpySerializer", "CSVSerializer")
MODEL_BUILDERS_PORT: Final = 8080
# Version 2 takes `docker compose` for one only where its version has a "v2" in it, which that of Debian has not.
COMPOSE: Final = '#!/bin/sh\nexec docker compose "$@"\n'
REGISTRY_VARIABLE: Final = "TEST_REGISTRY"
SECONDS: Final = 300.0
"""For all that the SDK does; it waits for ever for a container that has never started."""


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    with account(monkeypatch) as held:
        yield held


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The folder of a model with one input and one output."""
    (tmp_path / "model").mkdir()
    return digit_probabilities(tmp_path / "model/model.onnx").parent


@pytest.fixture(autouse=True)
def tidied(tmp_path: Path) -> Iterator[None]:
    """No container of the SDK's is left, not even where a test fails."""
    yield
    for container, _ in containers(tmp_path) if engine_answers() else ():
        # One that removes itself may be gone by now.
        tried("rm", "--force", container)


def rows() -> Any:  # noqa: ANN401 (JSON)
    return json.loads((ROOT / "examples/digits/sample.json").read_text())["instances"]


def expected(model: Path) -> npt.NDArray[np.float32]:
    session = onnxruntime.InferenceSession(model / "model.onnx", providers=["CPUExecutionProvider"])
    (answer,) = session.run(None, {"pixels": np.array(rows(), np.float32)})
    found: npt.NDArray[np.float32] = answer
    return found


def in_local_mode(
    way: str, cloud: Account, plan: Mapping[str, object], folder: Path, path: str = os.environ["PATH"]
) -> Mapping[str, Any]:
    """What the SDK's script answers; it finds AWS in the doubles alone."""
    python = needed(lambda: sagemaker_sdk(2 if way == "version2" else 3))
    given = {
        "port": free_port(),
        "folder": str(folder),
        "container": {},
        "environment": {},
        "role": ROLE,
        "rows": rows(),
    }
    with gateway(cloud) as environment:
        done = subprocess.run(
            [str(python), str(SCRIPT), way],
            input=json.dumps(given | dict(plan)),
            # The tests' own modules are not the SDK's.
            env={name: value for name, value in environment.items() if name != "PYTHONPATH"} | {"PATH": path},
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    answers: Mapping[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answers


def in_s3(cloud: Account, model: Path) -> str:
    """The address of the model's archive."""
    packed = archives.pack(model, model.parent / "model.tar.gz", lambda _: None)
    cloud.put(KEY, packed.path.read_bytes())
    return f"s3://{BUCKET}/{KEY}"


def are_right(answers: Mapping[str, Any], model: Path) -> None:
    """Whether the numbers are the model's, by each serializer."""
    assert tuple(answers) == SERIALIZERS
    right = expected(model)
    np.testing.assert_allclose(answers["JSONSerializer"]["predictions"], right, rtol=1e-5)
    np.testing.assert_allclose(answers["NumpySerializer"], right, rtol=1e-5)
    np.testing.assert_allclose(np.array(answers["CSVSerializer"], np.float32), right, rtol=1e-5)


def stopped(folder: Path) -> bool:
    """Whether the one container whose model is in the folder has ended; the SDK leaves it there."""
    ((_, state),) = containers(folder)
    return state == "exited"


def containers(folder: Path) -> list[tuple[str, str]]:
    """Number and state of each container that has something of this folder mounted."""
    listed = docker("ps", "--all", "--no-trunc", "--format", "{{.ID}} {{.State}} {{.Mounts}}").splitlines()
    found = [line.split(" ", 2) for line in listed]
    return [(container, state) for container, state, mounts in found if f"{folder}/" in mounts]


@pytest.mark.any_graviton
def test_version_3_deploys_asks_and_deletes(target: Target, cloud: Account, model: Path, tmp_path: Path) -> None:
    assert isinstance(target, Image)
    plan: dict[str, object] = {"image": target.image, "model_data": in_s3(cloud, model)}
    if target.emulated:
        plan |= {"container": {"platform": "linux/arm64"}, "environment": {"QEMU_CPU": "neoverse-n1"}}
    are_right(in_local_mode("version3", cloud, plan, tmp_path), model)
    assert stopped(tmp_path)


def test_version_2_deploys_asks_and_deletes(
    image_of: Callable[[str, str], str], cloud: Account, model: Path, tmp_path: Path
) -> None:
    image = image_of("amd64", "full")
    (tmp_path / "bin").mkdir()
    wrapper = tmp_path / "bin/docker-compose"
    wrapper.write_text(COMPOSE)
    wrapper.chmod(0o755)
    plan = {"image": image, "model_data": in_s3(cloud, model)}
    are_right(in_local_mode("version2", cloud, plan, tmp_path, f"{wrapper.parent}:{os.environ['PATH']}"), model)
    assert stopped(tmp_path)


@pytest.fixture
def pushed(image_of: Callable[[str, str], str]) -> Iterator[str]:
    """The image in a registry, from which the ModelBuilder insists on pulling."""
    registry = os.environ.get(REGISTRY_VARIABLE)
    if not registry:
        leave_out(f"{REGISTRY_VARIABLE} is not set: nothing is pulled by the SDK's ModelBuilder")
    image = image_of("amd64", "full")
    name = f"{registry}/{image.replace(':', '-sdk:')}"
    docker("tag", image, name)
    docker("push", "--quiet", name)
    yield name
    docker("image", "rm", "--no-prune", name)


def test_version_3s_model_builder_deploys_asks_and_deletes(
    pushed: str, cloud: Account, model: Path, tmp_path: Path
) -> None:
    try:
        socket.create_server(("127.0.0.1", MODEL_BUILDERS_PORT)).close()
    except OSError:
        leave_out(f"port {MODEL_BUILDERS_PORT} is taken, and the SDK's ModelBuilder knows no other")
    iam_of(cloud)
    shutil.copytree(model, tmp_path / "built")
    plan = {"image": pushed, "model_data": str(tmp_path / "built")}
    answers = in_local_mode("model_builder", cloud, plan, tmp_path)
    np.testing.assert_allclose(answers["JSONSerializer"]["predictions"], expected(model), rtol=1e-5)


def iam_of(cloud: Account) -> None:
    """Have the role there, which the SDK looks at first; what it may do is nobody's business."""

    trusted = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [trusted]})
    boto3.client("iam").create_role(RoleName=ROLE.rpartition("/")[2], AssumeRolePolicyDocument=policy)
    cloud.refuse("SimulatePrincipalPolicy", "AccessDenied", "You may not", times=9)
