"""The whole road: pack, deploy, invoke, update and delete, with the very container that SageMaker is told to start.

The program runs in processes of its own, against the account's doubles; SageMaker's starts the image by the name that
`create_model` got, with its environment and the archive out of S3, and asks it what `invoke` sends.
"""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from assets.digits import digit_probabilities
from harness.aws import BUCKET, REGISTRY, REPOSITORY, ROLE, Account, account
from harness.engine import docker
from harness.fleet import Fleet, fleet
from harness.gateway import gateway
from harness.targets import ROOT, Image, Target

pytestmark = [pytest.mark.container, pytest.mark.any_graviton]

NAME: Final = "digits"
SAMPLE: Final = ROOT / "examples/digits/sample.json"
INSTANCES: Final = {"amd64": "ml.c7i.large", "arm64": "ml.c7g.large"}
TAG: Final = "road"
DIGIT: Final = 2
"""What the sample is."""

Run = Callable[..., subprocess.CompletedProcess[str]]


class Road(NamedTuple):
    """The account, its containers, the image by the name that it has in ECR, and the program.

    `run` runs a command in a process of its own, which knows of no AWS but the doubles.
    """

    cloud: Account
    hosts: Fleet
    image: str
    run: Run

    def deploy(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run `deploy`, on an instance of the image's architecture."""
        architecture = self.image.partition(f":{TAG}-")[2].partition("-")[0]
        where = ("--role", ROLE, "--bucket", BUCKET, "--instance-type", INSTANCES[architecture])
        return self.run("deploy", "--name", NAME, "--image", self.image, *where, "--model-data", *words)


@pytest.fixture
def road(target: Target, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Road]:
    assert isinstance(target, Image)
    with account(monkeypatch) as cloud, fleet(cloud, tmp_path, target.emulation) as hosts:
        image = pushed(cloud, target)
        with gateway(cloud) as environment:

            def run(*words: str) -> subprocess.CompletedProcess[str]:
                program = [sys.executable, "-c", PROGRAM, *words]
                return subprocess.run(program, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

            yield Road(cloud, hosts, image, run)
    docker("image", "rm", "--no-prune", image)


def pushed(cloud: Account, target: Image) -> str:
    """The built image as in ECR: by name on this machine, by its architecture and labels in the double."""
    tag = f"{TAG}-{target.name}"
    inspected = docker("image", "inspect", "--format", "{{.Architecture}} {{json .Config.Labels}}", target.image)
    architecture, _, labels = inspected.partition(" ")
    cloud.push(tag, architecture, json.loads(labels))
    docker("tag", target.image, f"{REGISTRY}/{REPOSITORY}:{tag}")
    return f"{REGISTRY}/{REPOSITORY}:{tag}"


# As `python -m serving`, asking the double more often than one asks AWS.
PROGRAM: Final = """
import sys
from serving import cli
from serving.cloud import endpoints
endpoints.POLL_SECONDS = 0.2
sys.exit(cli.run())
"""


def test_from_a_folder_to_an_endpoint_to_a_newer_one_and_back(road: Road, tmp_path: Path) -> None:
    before = road.cloud.keys()
    packed = road.run("pack", "examples/digits/model", "--output", str(tmp_path / "model.tar.gz"))
    assert packed.returncode == 0, packed.stderr
    made = road.deploy(str(tmp_path / "model.tar.gz"), "--env", "SERVING_BATCH=off")
    assert made.returncode == 0, made.stderr
    assert made.stderr.endswith("digits is in service.\n")
    answer = road.run("invoke", str(SAMPLE), "--name", NAME)
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout)["predictions"][0]["label"] == DIGIT

    # What the model refuses is told in its own words.
    (tmp_path / "wrong.json").write_text('{"instances": [[1, 2]]}')
    refused = road.run("invoke", str(tmp_path / "wrong.json"), "--name", NAME)
    assert refused.returncode == 1
    assert re.match(r'The model answered 400: \{"code":"wrong_dimension".* \(request id .*\)$', refused.stderr)

    # A newer model, which is one output of the former: the old container goes when the new one serves.
    (tmp_path / "newer").mkdir()
    digit_probabilities(tmp_path / "newer/model.onnx")
    updated = road.deploy(str(tmp_path / "newer"))
    assert updated.returncode == 0, updated.stderr
    answer = road.run("invoke", str(SAMPLE), "--name", NAME, "--accept", "text/csv")
    assert answer.returncode == 0, answer.stderr
    chances = [float(text) for text in answer.stdout.split(",")]
    assert chances.index(max(chances)) == DIGIT
    assert [each["Image"] for each in road.hosts.started] == [road.image, road.image]
    assert [each.get("Environment", {}) for each in road.hosts.started] == [{"SERVING_BATCH": "off"}, {}]
    assert len(road.cloud.keys() - before) == 1

    assert road.run("delete", "--name", NAME).returncode == 0
    assert not any(road.cloud.sagemaker.held.values())
    assert road.cloud.keys() == before


def test_a_container_that_ends_is_told_with_its_own_words_and_what_served_serves_on(
    road: Road, target: Target, tmp_path: Path
) -> None:
    if target.emulated:
        pytest.skip("the processor makes no difference to it")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/model.onnx").write_bytes(b"no model")
    failed = road.deploy(str(tmp_path / "broken"))
    assert failed.returncode == 1
    assert "/opt/ml/model/model.onnx" in failed.stderr
    assert "failed: The primary container for production variant AllTraffic did not pass" in failed.stderr
    assert "All that this run made was removed." in failed.stderr
    assert not any(road.cloud.sagemaker.held.values())

    assert road.deploy("examples/digits/model").returncode == 0
    rolled_back = road.deploy(str(tmp_path / "broken"))
    assert rolled_back.returncode == 1
    assert "was rolled back to what it was" in rolled_back.stderr
    assert "/opt/ml/model/model.onnx" in rolled_back.stderr
    answer = road.run("invoke", str(SAMPLE), "--name", NAME)
    assert json.loads(answer.stdout)["predictions"][0]["label"] == DIGIT
    assert {len(held) for held in road.cloud.sagemaker.held.values()} == {1}
    assert len(road.hosts.started) == 3
    assert road.run("delete", "--name", NAME).returncode == 0
