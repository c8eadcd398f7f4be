"""The CIFAR-10 walk-through: its calls are ones that AWS takes, and its commands do what its page says."""

import importlib.util
import json
import re
import shlex
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any, Final, Self

import boto3
import numpy as np
import pytest
from botocore.response import StreamingBody
from botocore.stub import Stubber

from harness import aws
from harness.targets import ROOT
from loggers import restored
from serving.cli import run

FOLDER: Final = ROOT / "examples/cifar10"
PAGE: Final = (FOLDER / "README.md").read_text()
IMAGE: Final = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/graviton-serving:1.0-arm64"
ROLE: Final = "arn:aws:iam::123456789012:role/serving"
ARN: Final = "arn:aws:sagemaker:eu-west-1:123456789012:"
Client = Callable[[str], Any]


def script(name: str) -> ModuleType:
    """A script of the example as a module."""
    spec = importlib.util.spec_from_file_location(f"cifar10_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Client:
    """Makes clients whose calls are checked against AWS's own model of its API."""
    for name, value in (("ACCESS_KEY_ID", "k"), ("SECRET_ACCESS_KEY", "s"), ("DEFAULT_REGION", "eu-west-1")):
        monkeypatch.setenv(f"AWS_{name}", value)
    made: Client = boto3.client
    return made


def test_creating_takes_the_calls_of_the_post(client: Client, tmp_path: Path) -> None:
    endpoint = script("endpoint")
    archive = tmp_path / "model.tar.gz"
    archive.write_bytes(b"archive")
    clients = endpoint.Clients(client("s3"), client("sagemaker"))
    uploads, calls = Stubber(clients.s3), Stubber(clients.sagemaker)
    uploads.add_response("put_object", {})
    container = {"Image": IMAGE, "ModelDataUrl": "s3://bucket/graviton-cifar10/model.tar.gz"}
    calls.add_response(
        "create_model",
        {"ModelArn": ARN + "model/m"},
        {"ModelName": endpoint.NAME, "ExecutionRoleArn": ROLE, "PrimaryContainer": container},
    )
    variant = {"VariantName": "AllTraffic", "ModelName": endpoint.NAME, "InitialInstanceCount": 1}
    calls.add_response(
        "create_endpoint_config",
        {"EndpointConfigArn": ARN + "endpoint-config/c"},
        {
            "EndpointConfigName": endpoint.NAME,
            "ProductionVariants": [variant | {"InstanceType": "ml.c7g.xlarge"}],
        },
    )
    calls.add_response(
        "create_endpoint",
        {"EndpointArn": ARN + "endpoint/e"},
        {"EndpointName": endpoint.NAME, "EndpointConfigName": endpoint.NAME},
    )
    calls.add_response("describe_endpoint", described("InService"), {"EndpointName": endpoint.NAME})
    with uploads, calls:
        endpoint.create(clients, IMAGE, ROLE, "bucket", archive, instance_type=endpoint.INSTANCE_TYPE)
    uploads.assert_no_pending_responses()
    calls.assert_no_pending_responses()


def described(status: str) -> dict[str, object]:
    moment = "2026-11-24T00:00:00Z"
    named: dict[str, object] = {"EndpointName": "graviton-cifar10", "EndpointArn": ARN + "endpoint/e"}
    return named | {"EndpointStatus": status, "CreationTime": moment, "LastModifiedTime": moment}


def test_deleting_takes_away_what_creating_made(client: Client) -> None:
    endpoint = script("endpoint")
    clients = endpoint.Clients(client("s3"), client("sagemaker"))
    calls = Stubber(clients.sagemaker)
    for call, key in (
        ("delete_endpoint", "EndpointName"),
        ("delete_endpoint_config", "EndpointConfigName"),
        ("delete_model", "ModelName"),
    ):
        calls.add_response(call, {}, {key: endpoint.NAME})
    with calls:
        endpoint.delete(clients)
    calls.assert_no_pending_responses()


def test_the_instance_type_is_one_that_endpoints_have(client: Client) -> None:
    types = client("sagemaker").meta.service_model.shape_for("ProductionVariantInstanceType").enum
    assert script("endpoint").INSTANCE_TYPE in types


def test_an_endpoint_is_asked_as_the_container_is(client: Client) -> None:
    classify = script("classify")
    runtime = client("sagemaker-runtime")
    picture = np.full((32, 32, 3), 7, np.uint8)
    answer = json.dumps({"predictions": [[0.0, 0.5, 0.25]]}).encode()
    calls = Stubber(runtime)
    calls.add_response(
        "invoke_endpoint",
        {"Body": StreamingBody(BytesIO(answer), len(answer))},
        {
            "EndpointName": "e",
            "ContentType": "application/json",
            "Body": json.dumps(picture[np.newaxis].astype(np.float32).tolist()),
        },
    )
    with calls:
        assert classify.classify(classify.through_sagemaker("e", runtime), picture) == 1
    calls.assert_no_pending_responses()


def commands() -> list[list[str]]:
    blocks = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return [shlex.split(line) for block in blocks for line in block.splitlines()]


def test_every_command_of_the_page_is_known_here() -> None:
    programs = [words for words in commands() if words[0] == ".venv/bin/python"]
    rest = [words[0] for words in commands() if words not in programs]
    assert rest == ["make", "./buildx.sh", "docker"]
    scripts = {Path(words[1]).name for words in programs if words[1] != "-m"}
    assert scripts == {"make_archive.py", "classify.py", "endpoint.py"}


def test_the_pages_endpoint_is_made_asked_and_deleted_by_the_program(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "build/cifar10/model/1").mkdir(parents=True)
    (tmp_path / "build/cifar10/model/1/saved_model.pb").touch()
    (tmp_path / "build/cifar10/picture.npy").write_bytes(b"a picture")
    known = {"ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME:TAG": aws.IMAGE, "BUCKET": aws.BUCKET}
    known["arn:aws:iam::ACCOUNT:role/ROLE"] = aws.ROLE
    ours = [words[3:] for words in commands() if words[:3] == [".venv/bin/python", "-m", "serving"]]
    assert [words[0] for words in ours] == ["deploy", "invoke", "delete"]
    with aws.account(monkeypatch) as account, restored():
        monkeypatch.setattr("serving.cloud.endpoints.POLL_SECONDS", 0.0)
        for words in ours:
            assert run([known.get(word, word) for word in words]) == 0, capsys.readouterr().err
        assert account.sagemaker.last("InvokeEndpoint")["Content-Type"] == b"application/x-npy"
        assert not any(account.sagemaker.held.values())


@pytest.mark.parametrize(
    "words", [words for words in commands() if "classify.py" in words[1] or "endpoint.py" in words[1]]
)
def test_the_pages_command_lines_are_ones_that_the_scripts_take(
    words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    module = script(Path(words[1]).stem)
    done: list[object] = []
    for name in ("create", "delete", "through_http", "through_sagemaker"):
        monkeypatch.setattr(module, name, lambda *given, **named: done.append((given, named)), raising=False)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    arrays = {"pixels": np.zeros((0, 32, 32, 3), np.uint8), "classes": np.zeros(0, np.int64)}
    monkeypatch.setattr(np, "load", lambda *_: Arrays(arrays))
    module.main(words[2:])
    assert len(done) == 1


class Arrays(dict[str, Any]):
    """What numpy.load gives, closed by `with`."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass
