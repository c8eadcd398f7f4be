"""Calling an endpoint as its users do, at once or through S3."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from secrets import token_hex
from typing import Any

from serving.cloud import storage
from serving.cloud.calls import Call
from serving.cloud.session import Clients, CloudError, told
from serving.cloud.storage import Place

CONTENT_TYPES: Mapping[str, str] = {
    ".json": "application/json",
    ".jsonl": "application/jsonlines",
    ".csv": "text/csv",
    ".npy": "application/x-npy",
    ".npz": "application/x-npz",
}
DEFAULT_TYPE = "application/json"
# S3 tells of a new object only to those who have arranged for it; a model needs seconds to minutes.
POLL_SECONDS = 2.0
# SageMaker gives an asynchronous invocation up to an hour.
WAIT_SECONDS = 3600.0
ABSENT = "NoSuchKey"


def content_type(path: Path | None, given: str | None) -> str:
    """The type that was given, else the one that the file's name tells. Raises CloudError for an unknown name."""
    if given:
        return given
    if path is None:
        return DEFAULT_TYPE
    if path.suffix.lower() not in CONTENT_TYPES:
        known = ", ".join(f"*{suffix}" for suffix in CONTENT_TYPES)
        raise CloudError(f"{path}: its name tells no content type. Expected {known}, or --content-type.")
    return CONTENT_TYPES[path.suffix.lower()]


def invoke(clients: Clients, name: str, body: bytes, parameters: Mapping[str, str]) -> bytes:
    """The endpoint's answer; `parameters` are InvokeEndpoint's own. Raises CloudError."""
    call = Call("sagemaker-runtime", "invoke_endpoint", {"EndpointName": name, "Body": body, **parameters})
    try:
        with told("The answer could not be read"):
            answer: bytes = call.make(clients)["Body"].read()
    except CloudError as error:
        raise _of_the_model(error) from error
    return answer


def _of_the_model(error: CloudError) -> CloudError:
    """With what the container itself said, where it was asked."""
    response: Mapping[str, Any] = getattr(error.__cause__, "response", {})
    if "OriginalStatusCode" not in response:
        return error
    request = response.get("ResponseMetadata", {}).get("RequestId", "unknown")
    said = response.get("OriginalMessage", "nothing")
    return CloudError(f"The model answered {response['OriginalStatusCode']}: {said} (request id {request})", error.code)


def queue(endpoint: Mapping[str, Any]) -> str:
    """Where an asynchronous endpoint, as SageMaker describes it, puts its answers; empty for any other."""
    output: str = endpoint.get("AsyncInferenceConfig", {}).get("OutputConfig", {}).get("S3OutputPath", "")
    return output


def invoke_through_s3(
    clients: Clients,
    name: str,
    body: bytes,
    parameters: Mapping[str, str],
    *,
    output: str,
    pause: Callable[[float], None] = time.sleep,
) -> bytes:
    """An asynchronous endpoint's answer; the input lies beside the answers meanwhile. Raises CloudError."""
    where = storage.located(f"{output.rstrip('/')}/inputs/{token_hex(16)}")
    Call("s3", "put_object", {"Bucket": where.bucket, "Key": where.key, "Body": body}).make(clients)
    try:
        which = {"EndpointName": name, "InputLocation": where.uri, **parameters}
        accepted = Call("sagemaker-runtime", "invoke_endpoint_async", which).make(clients)
        return _await_answer(clients, accepted, pause)
    finally:
        storage.remove(clients, where.uri)


def _await_answer(clients: Clients, accepted: Mapping[str, Any], pause: Callable[[float], None]) -> bytes:
    answered, failed = (storage.place(accepted.get(key, "")) for key in ("OutputLocation", "FailureLocation"))
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        if answered and (answer := _object(clients, answered)) is not None:
            return answer
        if failed and (failure := _object(clients, failed)) is not None:
            raise CloudError(f"The model failed: {failure.decode(errors='replace')}")
        pause(POLL_SECONDS)
    raise CloudError(f"No answer came to {accepted.get('OutputLocation')} within {WAIT_SECONDS:.0f} s.")


def _object(clients: Clients, where: Place) -> bytes | None:
    try:
        with storage.stream(clients, where) as body:
            return body.read()
    except CloudError as error:
        if error.code == ABSENT:
            return None
        raise
