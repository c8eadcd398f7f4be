"""An AWS account within the test's process: moto's doubles, our own SageMaker, an image and a model in their places."""

import hashlib
import io
import json
import os
import tarfile
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from time import time
from typing import Final

import boto3
import botocore.handlers
import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.loaders import Loader, create_loader
from moto import mock_aws
from moto.core.models import botocore_stubber as moto_answers

from harness.sagemaker import REGION, REQUEST, Document, Raw, SageMaker
from serving.cloud.session import Clients

BUCKET: Final = "bucket"
REPOSITORY: Final = "serving"
REGISTRY: Final = f"123456789012.dkr.ecr.{REGION}.amazonaws.com"
IMAGE: Final = f"{REGISTRY}/{REPOSITORY}:1.0"
ROLE: Final = "arn:aws:iam::123456789012:role/serving"
MODEL: Final = f"s3://{BUCKET}/models/model.tar.gz"
DOCKER: Final = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST: Final = "application/vnd.docker.distribution.manifest.list.v2+json"
OCI: Final = "application/vnd.oci.image.manifest.v1+json"
SURROUNDINGS: Final = {
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}
# How the program's own calls are told from the tests'.
OURS: Final = b"graviton-serving"
OCI_INDEX: Final = "application/vnd.oci.image.index.v1+json"


class Account:
    """What is in the account, and ways to put more there."""

    clients: Clients

    def __init__(self) -> None:
        self.sagemaker = SageMaker()
        self.blobs: dict[str, bytes] = {}
        # Those that the program has asked for, by service.
        self.operations: set[tuple[str, str]] = set()
        self._refusals: dict[str, list[tuple[str, str, int]]] = {}
        self.s3 = boto3.client("s3", region_name=REGION)
        self.ecr = boto3.client("ecr", region_name=REGION)

    def put(self, key: str, content: bytes = b"") -> None:
        """Put an object into the bucket."""
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=content)

    def keys(self) -> set[str]:
        """The objects in the bucket."""
        return {found["Key"] for found in self.s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])}

    def push(
        self, tag: str, architecture: str, labels: Mapping[str, str] | None = None, media_type: str = DOCKER
    ) -> Document:
        """Push an image; returns its descriptor, as lists of images hold it."""
        configuration = json.dumps({"architecture": architecture, "config": {"Labels": labels}}).encode()
        layer = f"sha256:{hashlib.sha256(configuration).hexdigest()}"
        self.blobs[layer] = configuration
        digest = self._put(tag, {"mediaType": media_type, "config": {"digest": layer, "size": len(configuration)}})
        platform = {"architecture": architecture, "os": "linux"}
        return {"mediaType": media_type, "digest": digest, "size": 1, "platform": platform}

    def push_list(self, tag: str, *descriptors: Document, media_type: str = DOCKER_LIST) -> None:
        """Push a list of images."""
        self._put(tag, {"mediaType": media_type, "manifests": descriptors})

    def _put(self, tag: str, manifest: Document) -> str:
        text = json.dumps({"schemaVersion": 2, **manifest})
        digest = f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
        self.ecr.put_image(repositoryName=REPOSITORY, imageTag=tag, imageManifest=text, imageDigest=digest)
        return digest

    def log_group(self, endpoint: str) -> str:
        """The place for the logs of an endpoint, which outlives it."""
        group, logs = f"/aws/sagemaker/Endpoints/{endpoint}", boto3.client("logs", region_name=REGION)
        with suppress(logs.exceptions.ResourceAlreadyExistsException):
            logs.create_log_group(logGroupName=group)
        return group

    def log(self, endpoint: str, *lines: str, stream: str = "AllTraffic/i-1") -> None:
        """What a container of an endpoint has written; the group has to be there."""
        logs, group = boto3.client("logs", region_name=REGION), f"/aws/sagemaker/Endpoints/{endpoint}"
        logs.create_log_stream(logGroupName=group, logStreamName=stream)
        events = [{"timestamp": int(time() * 1000) + at, "message": line} for at, line in enumerate(lines)]
        logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)

    def refuse(self, operation: str, code: str, message: str, times: int = 1, status: int = 400) -> None:
        """Refuse the next calls of an operation of any service but SageMaker's."""
        self._refusals.setdefault(operation, []).extend([(code, message, status)] * times)

    def answer(self, request: AWSPreparedRequest, event_name: str, **_more: object) -> AWSResponse | None:
        """Answer a request instead of AWS: botocore's handler of `before-send`."""
        _, service, operation = event_name.split(".")
        if OURS in bytes(request.headers["User-Agent"]):
            self.operations.add((service, operation))
        if service in ("sagemaker", "sagemaker-runtime"):
            return self.sagemaker.answer_to(request, service, operation)
        if self._refusals.get(operation):
            return self._refusal(request, service, *self._refusals[operation].pop(0))
        if operation == "DeregisterScalableTarget":
            self._forget_policies()
        if operation == "GetDownloadUrlForLayer":
            return self._download_url(request)
        answer: AWSResponse | None = moto_answers(event_name, request)
        return answer

    def _refusal(self, request: AWSPreparedRequest, service: str, code: str, message: str, status: int) -> AWSResponse:
        body = json.dumps({"__type": code, "message": message})
        if service == "s3":
            body = f"<Error><Code>{code}</Code><Message>{message}</Message><RequestId>{REQUEST}</RequestId></Error>"
        elif service == "iam":
            error = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
            body = f"<ErrorResponse>{error}<RequestId>{REQUEST}</RequestId></ErrorResponse>"
        return AWSResponse(request.url, status, {"x-amzn-RequestId": REQUEST}, Raw(body.encode()))

    def _forget_policies(self) -> None:
        """A target's policies go with it, which moto leaves out."""
        scaling = boto3.client("application-autoscaling", region_name=REGION)
        for policy in scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]:
            which = {key: policy[key] for key in ("PolicyName", "ServiceNamespace", "ResourceId", "ScalableDimension")}
            scaling.delete_scaling_policy(**which)

    def _download_url(self, request: AWSPreparedRequest) -> AWSResponse:
        """ECR's address of a layer, which moto has not: it holds the bytes themselves."""
        layer = self.blobs[json.loads(request.body)["layerDigest"]]
        answer = {"downloadUrl": f"data:application/json;base64,{b64encode(layer).decode()}"}
        return AWSResponse(request.url, 200, {}, Raw(json.dumps(answer).encode()))


@contextmanager
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    """An account with an image for both architectures and a model's archive."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in SURROUNDINGS.items():
        monkeypatch.setenv(name, value)
    # Parsing AWS's models takes longer than all else here.
    monkeypatch.setattr("botocore.session.create_loader", shared_loader)
    # No session with these keys is to outlive the account.
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    with mock_aws(config={"core": {"mock_credentials": False}}):
        held = Account()
        others = [entry for entry in botocore.handlers.BUILTIN_HANDLERS if entry[1] is not moto_answers]
        monkeypatch.setattr(botocore.handlers, "BUILTIN_HANDLERS", [*others, ("before-send", held.answer)])
        # Clients of sessions that are made from here on are answered by ours.
        monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
        held.clients = Clients(REGION)
        held.s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        held.ecr.create_repository(repositoryName=REPOSITORY)
        held.push_list("1.0", held.push("1.0-arm64", "arm64"), held.push("1.0-amd64", "amd64"))
        held.put("models/model.tar.gz", archive("model.onnx"))
        yield held


@cache
def shared_loader(data_path: str | None = None) -> Loader:
    """One that keeps what it has read for all sessions."""
    return create_loader(data_path)


def archive(*names: str) -> bytes:
    """An archive of empty files."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as packed:
        for name in names:
            packed.addfile(tarfile.TarInfo(name))
    return stream.getvalue()
