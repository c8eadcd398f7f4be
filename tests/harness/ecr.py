"""ECR for a program that is tested from outside: its API by moto, its registry in front of the one on loopback.

As AWS's does, the registry asks for the token that the API gives, knows only repositories that the API has made, and
keeps an immutable tag. What is pushed through it the API tells of.
"""

import base64
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email.message import Message
from http import HTTPStatus
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from secrets import token_urlsafe
from threading import Thread
from typing import Any, Final, NamedTuple

import boto3
from botocore.awsrequest import AWSPreparedRequest
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.core.models import botocore_stubber as moto_answers

ACCOUNT: Final = "123456789012"
"""moto's, for any credentials."""
REGION: Final = "eu-west-1"
HOST: Final = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
REQUEST: Final = "9d5a0f0e-1c5a-4c58-9a70-4b9e0c2f1a11"
# Repository and rest of a path of the registry's API.
REGISTRY_PATH: Final = re.compile(r"/v2/(?P<name>.+)/(?P<kind>manifests|blobs|tags)/(?P<reference>[^?]*)")
# The region and the service that a request is signed for.
SCOPE: Final = re.compile(r"Credential=[^/]+/\d+/(?P<region>[^/]+)/(?P<service>[^/]+)/")
# Where layers are for whoever has been told their address, as S3 has them for AWS.
LAYERS: Final = "/layers"
HOP_BY_HOP: Final = {"connection", "transfer-encoding", "content-length", "keep-alive"}
MANIFESTS: Final = (
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)


class Answer(NamedTuple):
    """An HTTP answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Ecr:
    """The double; `environment` makes boto3 and the aws command ask it."""

    def __init__(self, upstream: str) -> None:
        self.password = token_urlsafe()
        self.upstream = upstream
        self.client = boto3.client("ecr", region_name=REGION, aws_access_key_id="a", aws_secret_access_key="b")  # noqa: S106
        self.operations: list[str] = []
        self.refusals: dict[str, tuple[str, str]] = {}
        """By operation, the code and the message to refuse it with."""
        self.forgets = False
        """Whether nobody can read a tag back."""
        self._told: set[tuple[str, str, str]] = set()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        self.url = f"http://{self.address}"
        Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to take this for AWS."""
        return {
            "AWS_ENDPOINT_URL_ECR": self.url,
            "AWS_ENDPOINT_URL_STS": self.url,
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "127.0.0.1",
        }

    def close(self) -> None:
        """Answer nobody any more."""
        self._server.shutdown()
        self._server.server_close()

    def describe(self, name: str) -> dict[str, Any] | None:
        """The repository as the API describes it."""
        try:
            found: dict[str, Any] = self.client.describe_repositories(repositoryNames=[name])["repositories"][0]
        except ClientError:
            return None
        return found

    def tags(self, name: str) -> dict[str, str]:
        """The digests of what is in a repository, by tag."""
        if not self.upstream:
            return {}
        listed = self._fetch("GET", f"/v2/{name}/tags/list")
        tags = json.loads(listed.body).get("tags") or [] if listed.status == HTTPStatus.OK else []
        return {tag: self._manifest(name, tag).headers["Docker-Content-Digest"] for tag in tags}

    def answer(self, method: str, path: str, headers: Message, body: bytes) -> Answer:
        """Answer any request."""
        if path.startswith(LAYERS):
            return self._fetch("GET", f"/v2{path.removeprefix(LAYERS)}")
        if path.startswith("/v2"):
            return self.registry(method, path, headers, body)
        return self.api(headers, body)

    def api(self, headers: Message, body: bytes) -> Answer:
        """Answer a call of AWS's API."""
        scope = SCOPE.search(headers["Authorization"])
        assert scope, headers["Authorization"]
        operation = headers.get("X-Amz-Target", "").rpartition(".")[2]
        self.operations.append(operation)
        if operation in self.refusals:
            code, message = self.refusals[operation]
            refused = json.dumps({"__type": code, "message": message}).encode()
            return Answer(400, {"x-amzn-RequestId": REQUEST, "Content-Type": "application/x-amz-json-1.1"}, refused)
        if operation == "GetDownloadUrlForLayer":
            asked = json.loads(body)
            url = f"{self.url}{LAYERS}/{asked['repositoryName']}/blobs/{asked['layerDigest']}"
            return Answer(200, {"Content-Type": "application/json"}, json.dumps({"downloadUrl": url}).encode())
        if operation == "BatchGetImage":
            self._tell_of(json.loads(body)["repositoryName"])
        service = {"ecr": "api.ecr"}.get(scope["service"], scope["service"])
        url = f"https://{service}.{scope['region']}.amazonaws.com/"
        request = AWSPreparedRequest("POST", url, headers, body, stream_output=False)
        answer = moto_answers("", request)
        assert answer is not None
        text = answer.content.replace(HOST.encode(), self.address.encode())
        if operation == "GetAuthorizationToken":
            token = base64.b64encode(f"AWS:{self.password}".encode()).decode()
            text = json.dumps(
                {"authorizationData": [{"authorizationToken": token, "proxyEndpoint": self.url}]}
            ).encode()
        return Answer(answer.status_code, {"x-amzn-RequestId": REQUEST, "Content-Type": "application/json"}, text)

    def registry(self, method: str, path: str, headers: Message, body: bytes) -> Answer:
        """Answer a request of the registry's API."""
        expected = base64.b64encode(f"AWS:{self.password}".encode()).decode()
        if headers.get("Authorization") != f"Basic {expected}":
            return Answer(401, {"WWW-Authenticate": f'Basic realm="{self.url}/",service="ecr.amazonaws.com"'}, b"")
        match = REGISTRY_PATH.match(path)
        if match:
            repository = self.describe(match["name"])
            if repository is None:
                return _refused(404, "NAME_UNKNOWN", "The repository does not exist in the registry")
            immutable = repository["imageTagMutability"] == "IMMUTABLE"
            is_push = method == "PUT" and match["kind"] == "manifests" and not match["reference"].startswith("sha256:")
            if immutable and is_push and match["reference"] in self.tags(match["name"]):
                return _refused(400, "TAG_INVALID", f"The image tag '{match['reference']}' already exists")
            if self.forgets and method == "GET" and match["kind"] == "manifests":
                return _refused(404, "MANIFEST_UNKNOWN", "Requested image not found")
        return self._fetch(method, path, headers, body)

    def _tell_of(self, name: str) -> None:
        """Put what is in the registry into moto."""
        if self.describe(name) is None:
            return
        for tag, digest in self.tags(name).items():
            if (name, tag, digest) in self._told:
                continue
            self._told.add((name, tag, digest))
            found = self._manifest(name, tag)
            self.client.put_image(
                repositoryName=name,
                imageTag=tag,
                imageManifest=found.body.decode(),
                imageManifestMediaType=found.headers["Content-Type"],
                imageDigest=digest,
            )

    def _manifest(self, name: str, tag: str) -> Answer:
        return self._fetch("GET", f"/v2/{name}/manifests/{tag}", {"Accept": ", ".join(MANIFESTS)})

    def _fetch(
        self, method: str, path: str, headers: Mapping[str, str] | Message | None = None, body: bytes = b""
    ) -> Answer:
        """Ask the registry behind; under our own name, which it puts into the addresses that it answers with."""
        # A name may come several times: docker pull tells each format that it takes in a line of its own.
        given: dict[str, list[str]] = {}
        for name, value in (headers or {}).items():
            given.setdefault(name, []).append(value)
        passed = {name: ", ".join(values) for name, values in given.items() if name.lower() not in HOP_BY_HOP}
        passed["Host"] = self.address
        passed.pop("Authorization", None)
        connection = HTTPConnection(self.upstream)
        try:
            connection.request(method, path, body, passed)
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            connection.close()


def _refused(status: int, code: str, message: str) -> Answer:
    body = json.dumps({"errors": [{"code": code, "message": message}]}).encode()
    return Answer(status, {"Content-Type": "application/json"}, body)


def _handler(double: Ecr) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            answer = double.answer(self.command, self.path, self.headers, self._body())
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                if name.lower() not in HOP_BY_HOP or (name.lower() == "content-length" and self.command == "HEAD"):
                    self.send_header(name, value)
            if self.command != "HEAD":
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)
            else:
                self.end_headers()

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815 (the standard library's names)

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))
            chunks = []
            while size := int(self.rfile.readline().partition(b";")[0], 16):
                chunks.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(chunks)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the standard library's name)
            """Write no line for each request."""

    return Handler


@contextmanager
def ecr(upstream: str = "") -> Iterator[Ecr]:
    """The double, in front of a registry at `upstream` (HOST:PORT), or of none for the API alone."""
    with mock_aws(config={"core": {"mock_credentials": False}}):
        double = Ecr(upstream)
        try:
            yield double
        finally:
            double.close()
