"""How AWS is asked where boto3 may be missing: by boto3, else by the `aws` command."""

import json
import os
import re
import shutil
import subprocess
from importlib.util import find_spec
from typing import Any, Protocol

from serving.cloud.failure import NO_CREDENTIALS, UNKNOWN, CloudError, refusal

NEITHER = (
    "Neither boto3 nor the aws command is there to ask ECR with: expected one of them. `make venv` installs boto3 "
    "where this looks for it; AWS's own page is https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html."
)
# What the command writes to stderr for an answer that is an error; the id of the request is not in it.
REFUSAL = re.compile(
    r"An error occurred \((?P<code>\w+)\) when calling the \w+ operation[^:]*: (?P<text>.*)", re.DOTALL
)


class Caller(Protocol):
    """Makes one call: `doing` begins the error, names are boto3's. Raises CloudError."""

    def __call__(self, doing: str, service: str, operation: str, **parameters: object) -> dict[str, Any]:
        """Make the call and return its answer."""


def caller(region: str) -> Caller:
    """One for a region. boto3 comes first: it tells the requests' ids. Raises CloudError where there is neither."""
    if find_spec("boto3"):
        return _by_boto3(region)
    if shutil.which("aws"):
        return _by_command(region)
    raise CloudError(NEITHER)


def _by_boto3(region: str) -> Caller:
    from serving.cloud.session import Clients, told  # noqa: PLC0415 (boto3 is known to be there now)

    clients = Clients(region)

    def call(doing: str, service: str, operation: str, **parameters: object) -> dict[str, Any]:
        with told(doing):
            answer: dict[str, Any] = getattr(clients.client(service), operation)(**parameters)
            return answer

    return call


def _by_command(region: str) -> Caller:
    def call(doing: str, service: str, operation: str, **parameters: object) -> dict[str, Any]:
        command = ["aws", service, operation.replace("_", "-"), "--region", region, "--output", "json"]
        done = subprocess.run(  # noqa: S603 (no shell, and the parameters are one word)
            [*command, "--cli-input-json", json.dumps(parameters)],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "AWS_PAGER": ""},
        )
        if done.returncode != 0:
            raise _refused(doing, done.stderr.strip())
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    return call


def _refused(doing: str, text: str) -> CloudError:
    match = REFUSAL.search(text)
    if match:
        return refusal(doing, match["code"], match["text"], UNKNOWN)
    if "Unable to locate credentials" in text:
        return CloudError(f"{doing}: {NO_CREDENTIALS}")
    return CloudError(f"{doing}: {text}")
