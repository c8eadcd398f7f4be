"""What SageMaker does with a model's container: starts it from the parameters of `create_model`, and nothing else.

The image by its name, `serve`, the environment, and the archive out of S3, unpacked and read-only in /opt/ml/model;
stricter than SageMaker, nothing else may be written to but /tmp. An update's new container is started beside the
old one, and takes its place when it answers /ping with 200.
"""

import io
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from harness.aws import Account
from harness.sagemaker import Document, RefusedError
from harness.servers import ContainerServer
from harness.targets import MODEL_DIR, PORT
from serving.cloud.storage import located

OK: Final = 200
# SageMaker's name of what a container answers that is no 200, and its status.
MODEL_ERROR: Final = "ModelError"
MODEL_ERROR_STATUS: Final = 424
NO_PING: Final = "The primary container for production variant AllTraffic did not pass the ping health check."
# Of an invocation's headers, those that reach the container.
PASSED_ON: Final = ("Content-Type", "Accept", "X-Amzn-SageMaker-Custom-Attributes", "X-Amzn-SageMaker-Inference-Id")


class Fleet:
    """The containers of one endpoint; `emulation` are options of `docker run` that say which processor it is."""

    def __init__(self, account: Account, folder: Path, emulation: Sequence[str]) -> None:
        self._account = account
        self._folder = folder
        self._emulation = emulation
        self._serving: ContainerServer | None = None
        self._next: ContainerServer | None = None
        # Of every container that was started, its model and the options that it was started with.
        self.started: list[Document] = []

    def start(self, container: Document) -> None:
        """Start one of what `create_model` got."""
        model = self._unpacked(container["ModelDataUrl"])
        variables = [
            part for key, value in container.get("Environment", {}).items() for part in ("-e", f"{key}={value}")
        ]
        limits = ["--read-only", "--tmpfs", "/tmp", "-v", f"{model}:{MODEL_DIR}:ro"]  # noqa: S108 (the container's)
        options = [*self._emulation, *limits, *variables, "-p", f"127.0.0.1::{PORT}", "-d"]
        self._next = ContainerServer(["docker", "run", *options, container["Image"], "serve"], PORT)
        self.started.append(container)

    def state(self, endpoint: str) -> str:
        """What has become of the one that was started last: empty while it starts, InService or Failed."""
        assert self._next, "nothing was started"
        if self._next.ping() == OK:
            if self._serving:
                self._serving.terminate()
                assert self._serving.until_ended() == 0, self._serving.logs()
                self._serving.remove()
            self._serving, self._next = self._next, None
            return "InService"
        if self._next.ended(0.1) is None:
            return ""
        self._account.log_group(endpoint)
        lines = [line for line in self._next.logs().splitlines() if line]
        self._account.log(endpoint, *lines, stream=f"AllTraffic/i-{len(self.started)}")
        self._next.remove()
        self._next = None
        return "Failed"

    def invoke(self, headers: Document, body: bytes) -> tuple[bytes, str]:
        """The container's answer and its type. Raises RefusedError for one that is no 200, as SageMaker would."""
        assert self._serving, "nothing serves"
        given: dict[str, str] = {name: headers[name] for name in PASSED_ON if name in headers}
        answer = self._serving.client.post("/invocations", content=body, headers=given)
        if answer.status_code != OK:
            more: dict[str, Any] = {"OriginalStatusCode": answer.status_code, "OriginalMessage": answer.text}
            text = f"Received client error ({answer.status_code}) from primary and could not load the entire response."
            raise RefusedError(text, MODEL_ERROR, MODEL_ERROR_STATUS, **more)
        return answer.content, answer.headers["content-type"]

    def stop(self) -> None:
        """Stop what runs."""
        for server in (self._serving, self._next):
            if server:
                server.remove()
        self._serving = self._next = None

    def _unpacked(self, address: str) -> Path:
        where = located(address)
        content = self._account.s3.get_object(Bucket=where.bucket, Key=where.key)["Body"].read()
        folder = self._folder / f"model-{len(self.started)}"
        folder.mkdir(mode=0o755)
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
            archive.extractall(folder, filter="data")
        return folder


@contextmanager
def fleet(account: Account, folder: Path, emulation: Sequence[str] = ()) -> Iterator[Fleet]:
    """Have the account's SageMaker run containers; none is left behind."""
    held = Fleet(account, folder, emulation)
    account.sagemaker.fleet = held
    try:
        yield held
    finally:
        held.stop()
