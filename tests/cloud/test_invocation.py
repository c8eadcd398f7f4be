"""`invoke`: a file or standard input, the type it is sent as, and an asynchronous endpoint's way through S3."""

import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cloud.conftest import Command
from harness.aws import Account
from harness.sagemaker import PREFIX, REQUEST
from serving.cloud.invocation import CONTENT_TYPES

QUEUE = ("--async", "s3://bucket/queue")


@pytest.fixture
def endpoint(aws: Account, deploy: Command) -> Account:
    assert deploy().status == 0
    return aws


@pytest.fixture
def asynchronous(aws: Account, deploy: Command) -> Account:
    assert deploy(*QUEUE).status == 0
    return aws


def sent(aws: Account, operation: str = "InvokeEndpoint") -> dict[str, object]:
    headers = aws.sagemaker.last(operation)
    return {
        name: value.decode() if isinstance(value, bytes) and name != "body" else value
        for name, value in headers.items()
    }


@pytest.mark.parametrize(("suffix", "media_type"), CONTENT_TYPES.items())
def test_a_file_is_sent_as_its_name_says(
    endpoint: Account, command: Command, tmp_path: Path, suffix: str, media_type: str
) -> None:
    body = tmp_path / f"request{suffix.upper()}"
    body.write_bytes(b"\x00\xff body")
    endpoint.sagemaker.answer = b"the answer"
    done = command("invoke", str(body), "--name", "digits")
    assert (done.status, done.out, done.err) == (0, "the answer", "")
    given = sent(endpoint)
    assert (given["body"], given["Content-Type"]) == (b"\x00\xff body", media_type)
    assert "Accept" not in given


def test_standard_input_is_json_unless_it_is_said_otherwise(
    endpoint: Account, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    for options, media_type in (((), "application/json"), (("--content-type", "text/csv"), "text/csv")):
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"1,2")))
        assert command("invoke", "-", "--name", "digits", *options).status == 0
        given = sent(endpoint)
        assert (given["body"], given["Content-Type"]) == (b"1,2", media_type)


def test_what_invoke_endpoint_takes_is_passed_on(endpoint: Account, command: Command, tmp_path: Path) -> None:
    body = tmp_path / "request.bin"
    body.write_bytes(b"x")
    options = ("--content-type", "image/jpeg", "--accept", "text/csv", "--target-model", "a.tar.gz")
    done = command("invoke", str(body), "--name", "digits", *options, "--custom-attributes", "tfs-model-name=half")
    assert done.status == 0, done.err
    given = sent(endpoint)
    assert given["Content-Type"] == "image/jpeg"
    assert given["Accept"] == "text/csv"
    assert given[f"{PREFIX}Target-Model"] == "a.tar.gz"
    assert given[f"{PREFIX}Custom-Attributes"] == "tfs-model-name=half"


def test_a_name_that_tells_no_type_is_refused(endpoint: Account, command: Command, tmp_path: Path) -> None:
    (tmp_path / "picture.png").touch()
    done = command("invoke", str(tmp_path / "picture.png"), "--name", "digits")
    assert done.status == 1
    assert "its name tells no content type. Expected *.json" in done.err
    assert "InvokeEndpoint" not in [name for name, _ in endpoint.sagemaker.calls]


def test_a_file_that_is_not_there_is_told(endpoint: Account, command: Command, tmp_path: Path) -> None:
    done = command("invoke", str(tmp_path / "none.json"), "--name", "digits")
    assert done.status == 1
    assert "No such file" in done.err
    assert endpoint.sagemaker.held["endpoint"]


def test_the_models_own_refusal_is_told(endpoint: Account, command: Command, tmp_path: Path) -> None:
    (tmp_path / "request.json").write_text("[]")
    said = '{"code": "wrong_rank", "error": "expected shape [N, 4]"}'
    more: dict[str, Any] = {"OriginalStatusCode": 400, "OriginalMessage": said, "status": 424}
    endpoint.sagemaker.refuse("InvokeEndpoint", "ModelError", "Received client error (400)", **more)
    done = command("invoke", str(tmp_path / "request.json"), "--name", "digits")
    assert (done.status, done.out) == (1, "")
    assert done.err == f"The model answered 400: {said} (request id {REQUEST})\n"


def test_sagemakers_own_refusal_is_told(endpoint: Account, command: Command, tmp_path: Path) -> None:
    (tmp_path / "request.json").write_text("[]")
    endpoint.sagemaker.refuse("InvokeEndpoint", "ValidationError", "Endpoint digits has no variant")
    done = command("invoke", str(tmp_path / "request.json"), "--name", "digits")
    assert done.status == 1
    assert "ValidationError: Endpoint digits has no variant" in done.err


def test_an_asynchronous_answer_comes_through_s3(asynchronous: Account, command: Command, tmp_path: Path) -> None:
    (tmp_path / "request.json").write_text("[1]")
    inputs: list[tuple[str, bytes]] = []

    def answered(operation: str) -> None:
        if operation == "InvokeEndpointAsync":
            where = sent(asynchronous, operation)[f"{PREFIX}InputLocation"]
            key = str(where).removeprefix("s3://bucket/")
            inputs.append((key, asynchronous.s3.get_object(Bucket="bucket", Key=key)["Body"].read()))
            asynchronous.put("queue/answers/one.out", json.dumps({"predictions": [7]}).encode())

    asynchronous.sagemaker.before = answered
    before = asynchronous.keys()
    done = command("invoke", str(tmp_path / "request.json"), "--name", "digits")
    assert done.status == 0, done.err
    assert json.loads(done.out) == {"predictions": [7]}
    ((key, body),) = inputs
    assert key.startswith("queue/answers/inputs/")
    assert body == b"[1]"
    assert asynchronous.keys() - before == {"queue/answers/one.out"}


def test_an_asynchronous_failure_is_told(asynchronous: Account, command: Command, tmp_path: Path) -> None:
    (tmp_path / "request.json").write_text("[1]")
    before = asynchronous.keys()

    def failed(operation: str) -> None:
        if operation == "InvokeEndpointAsync":
            asynchronous.put("queue/answers/one.out-failed", b"the model did not like it")

    asynchronous.sagemaker.before = failed
    done = command("invoke", str(tmp_path / "request.json"), "--name", "digits")
    assert done.status == 1
    assert done.err == "The model failed: the model did not like it\n"
    assert asynchronous.keys() - before == {"queue/answers/one.out-failed"}


def test_an_answer_that_never_comes_is_given_up(
    asynchronous: Account, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "request.json").write_text("[1]")
    monkeypatch.setattr("serving.cloud.invocation.WAIT_SECONDS", 0.2)
    before = asynchronous.keys()
    done = command("invoke", str(tmp_path / "request.json"), "--name", "digits")
    assert done.status == 1
    assert "No answer came to s3://bucket/queue/answers/one.out within" in done.err
    assert asynchronous.keys() == before


def test_an_answer_that_may_not_be_read_is_told_at_once(
    asynchronous: Account, command: Command, tmp_path: Path
) -> None:
    (tmp_path / "request.json").write_text("[1]")
    asynchronous.refuse("GetObject", "AccessDenied", "Access Denied")
    done = command("invoke", str(tmp_path / "request.json"), "--name", "digits")
    assert done.status == 1
    assert "could not be read: AccessDenied" in done.err
