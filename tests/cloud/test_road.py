"""The road to an endpoint as the pages tell it: the README's commands, and the permissions that they need."""

import json
import re
import shlex
from pathlib import Path
from typing import Final

import pytest

from cloud.conftest import Command
from harness.aws import BUCKET, IMAGE, Account
from harness.targets import ROOT
from serving.commands import parser

PYTHON: Final = [".venv/bin/python", "-m", "serving"]
README: Final = (ROOT / "README.md").read_text()
PAGE: Final = (ROOT / "docs/deploying.md").read_text()
EXAMPLE: Final = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/graviton-serving:1.0"
# IAM's services and actions, where they are not called as in the API.
SERVICES: Final = {
    "cloudwatch-logs": "logs",
    "sagemaker-runtime": "sagemaker",
    "application-auto-scaling": "application-autoscaling",
}
ACTIONS: Final = {
    "s3:HeadBucket": "s3:ListBucket",
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:HeadObject": "s3:GetObject",
}


def commands(page: str) -> list[list[str]]:
    """Every line of a page's shell blocks, in words."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    return [shlex.split(line) for block in blocks for line in block.replace("\\\n", "").splitlines()]


def test_the_readmes_road_leads_to_an_endpoint_and_back(
    aws: Account, command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    road = [words[len(PYTHON) :] for words in commands(README) if words[: len(PYTHON)] == PYTHON]
    assert [words[0] for words in road] == ["pack", "deploy", "invoke", "delete"]
    (pushed,) = [words for words in commands(README) if "--push" in words]
    assert f"{pushed[-3]}:{pushed[-1]}" == EXAMPLE
    aws.sagemaker.answer = b'{"predictions": []}'
    before = aws.keys()
    known = {"my-models": BUCKET, EXAMPLE: IMAGE}
    printed = []
    for words in road:
        done = command(*(known.get(word, word) for word in words))
        assert done.status == 0, done.err
        printed.append(done.out)
    assert printed == ["", "", '{"predictions": []}', ""]
    assert "CreateEndpoint" in aws.sagemaker.made()
    assert not any(aws.sagemaker.held.values())
    assert aws.keys() == before


def test_the_pages_commands_are_ones_that_the_program_takes() -> None:
    ours = [words[3:] for words in commands(PAGE) if words[:3] == ["python", "-m", "serving"]]
    assert [words[0] for words in ours] == ["pack", "deploy", "invoke", "delete"]
    for words in ours:
        parser().parse_args(words)


def test_the_page_names_every_option_of_deploy(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(["deploy", "--help"])
    options = set(re.findall(r"--(?:no-)?[a-z-]+", capsys.readouterr().out)) - {"--help", "--check", "--wait"}
    assert len(options) > 15
    assert not {option for option in options if option not in PAGE}


def test_the_policy_allows_every_call_that_is_made_and_no_other(
    aws: Account, deploy: Command, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    folder = ("--model-data", "examples/digits/model", "--bucket", BUCKET)
    scale = ("--autoscale", "1:4", "--target", "600")
    invoke = ("invoke", "examples/digits/sample.json", "--name", "digits")
    assert deploy(*folder, *scale, "--image", f"{IMAGE}-arm64").status == 0
    assert command(*invoke).status == 0
    # Another archive, whose bucket and contents are looked at, by the queue and on another instance type.
    aws.push("labelled", "arm64", {"com.amazonaws.sagemaker.capabilities.multi-models": "true"})
    many = ("--multi-model", "--model-data", "s3://bucket/models/", "--image", f"{IMAGE.partition(':')[0]}:labelled")
    assert deploy(*many, "--async", "s3://bucket/queue", "--instance-type", "ml.c8g.large").status == 0
    monkeypatch.setattr("serving.cloud.invocation.WAIT_SECONDS", 0.05)
    assert command(*invoke).status == 1
    assert command("delete", "--name", "digits").status == 0
    aws.sagemaker.outcome = "Failed"
    aws.sagemaker.now = lambda: 0
    aws.log_group("digits")
    aws.log("digits", "a line")
    assert deploy().status == 1
    (text,) = re.findall(r"^```json\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    listed = [statement["Action"] for statement in json.loads(text)["Statement"]]
    allowed = {action for each in listed for action in ([each] if isinstance(each, str) else each)}
    made = {f"{SERVICES.get(service, service)}:{operation}" for service, operation in aws.operations}
    needed = {ACTIONS.get(action, action) for action in made}
    # What AWS asks for besides the calls' own names: tags, the container's role, and what scaling does in one's name.
    beside = {
        "sagemaker:AddTags",
        "s3:AbortMultipartUpload",
        "iam:PassRole",
        "iam:CreateServiceLinkedRole",
        "sagemaker:UpdateEndpointWeightsAndCapacities",
        "cloudwatch:PutMetricAlarm",
        "cloudwatch:DescribeAlarms",
        "cloudwatch:DeleteAlarms",
    }
    assert needed | beside == allowed
