"""An endpoint as SageMaker tells of it: what it is, what became of it, and what its container wrote last."""

import time
from collections.abc import Callable, Mapping
from datetime import datetime
from enum import Enum
from typing import Any

from serving.cloud.calls import SAGEMAKER, Call
from serving.cloud.progress import Say
from serving.cloud.session import Clients, CloudError

# An endpoint takes three to ten minutes; DescribeEndpoint is the only way to ask.
POLL_SECONDS = 15.0
# SageMaker itself gives up within an hour.
WAIT_SECONDS = 3600.0
# A state that lasts is told again that often.
REPEAT_SECONDS = 60.0
UNDER_WAY = frozenset({"Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"})
IN_SERVICE = "InService"
FAILED = "Failed"
LOG_LINES = 20
# As many as CloudWatch lists at once.
LOG_STREAMS = 50
# How the stream is called in which SageMaker itself tells of an asynchronous endpoint's requests.
DATA = "/data-log"
NO_GROUP = "ResourceNotFoundException"
NOT_WRITTEN = "The container has written nothing: see in the reason above whether it was started at all."

Pause = Callable[[float], None]


class Outcome(Enum):
    """What became of an endpoint that was waited for."""

    IN_SERVICE = "is in service"
    FAILED = "failed"
    ROLLED_BACK = "was rolled back to what it was"
    OPEN = "is in a state that this program does not undo"


def describe(clients: Clients, name: str) -> dict[str, Any] | None:
    """What SageMaker says of an endpoint; None where there is none. Raises CloudError."""
    try:
        return Call(SAGEMAKER, "describe_endpoint", {"EndpointName": name}).make(clients)
    except CloudError as error:
        if error.missing:
            return None
        raise


def existing(clients: Clients, name: str) -> dict[str, Any]:
    """What SageMaker says of an endpoint. Raises CloudError, also where there is none."""
    found = describe(clients, name)
    if found is None:
        raise CloudError(f"There is no endpoint {name} in {clients.region}.")
    return found


def tags(clients: Clients, arn: str) -> dict[str, str]:
    """The tags of a resource. Raises CloudError."""
    parameters: dict[str, Any] = {"ResourceArn": arn}
    held: dict[str, str] = {}
    while True:
        page = Call(SAGEMAKER, "list_tags", parameters).make(clients)
        held |= {tag["Key"]: tag["Value"] for tag in page["Tags"]}
        if not page.get("NextToken"):
            return held
        parameters["NextToken"] = page["NextToken"]


def await_outcome(clients: Clients, name: str, config: str, say: Say, pause: Pause = time.sleep) -> tuple[Outcome, str]:
    """Wait for an endpoint that is on its way to a configuration, telling its state at each change and each minute.

    Returns what became of it, and the reason that SageMaker gives. Raises CloudError if that cannot be asked.
    """
    started, last, told = time.monotonic(), "", 0.0
    while True:
        found = describe(clients, name) or {"EndpointStatus": "gone"}
        status = found["EndpointStatus"]
        elapsed = time.monotonic() - started
        if status != last or elapsed >= told + REPEAT_SECONDS:
            say(f"{elapsed:5.0f} s  {status}")
            last, told = status, elapsed
        if status not in UNDER_WAY:
            break
        if elapsed > WAIT_SECONDS:
            return Outcome.OPEN, f"it is still {status} after {elapsed:.0f} s"
        pause(POLL_SECONDS)
    reason = found.get("FailureReason", "SageMaker gives no reason")
    if status == IN_SERVICE:
        outcome = Outcome.IN_SERVICE if found["EndpointConfigName"] == config else Outcome.ROLLED_BACK
        return outcome, reason
    return (Outcome.FAILED, reason) if status == FAILED else (Outcome.OPEN, f"it is {status}: {reason}")


def made_at(clients: Clients, config: str) -> datetime:
    """When a configuration was made, by AWS's clock. Raises CloudError."""
    made: datetime = _describe_config(clients, config)["CreationTime"]
    return made


def instance_type(clients: Clients, config: str) -> str:
    """The instance type of a configuration's one variant. Raises CloudError."""
    found: str = _describe_config(clients, config)["ProductionVariants"][0]["InstanceType"]
    return found


def _describe_config(clients: Clients, config: str) -> dict[str, Any]:
    return Call(SAGEMAKER, "describe_endpoint_config", {"EndpointConfigName": config}).make(clients)


def last_log_lines(clients: Clients, name: str, since: datetime) -> list[str]:
    """What the container wrote last that was started latest, after `since`; if that cannot be read, why, in a line."""
    group = f"/aws/sagemaker/Endpoints/{name}"
    newest = {"logGroupName": group, "orderBy": "LastEventTime", "descending": True, "limit": LOG_STREAMS}
    earliest = since.timestamp() * 1000
    try:
        found = Call("logs", "describe_log_streams", newest).make(clients)["logStreams"]
        # While an update fails, the old instances go on writing; and a log outlives its endpoint.
        own = [each for each in found if each["creationTime"] >= earliest and not each["logStreamName"].endswith(DATA)]
        if not own:
            return [NOT_WRITTEN]
        which = {"logGroupName": group, "logStreamName": max(own, key=_created)["logStreamName"], "limit": LOG_LINES}
        events = Call("logs", "get_log_events", which | {"startFromHead": False}).make(clients)["events"]
        return [event["message"].rstrip() for event in events] or [NOT_WRITTEN]
    except CloudError as error:
        if error.code == NO_GROUP:
            return [NOT_WRITTEN]
        return [f"The container's log cannot be read: {error}"]


def _created(stream: Mapping[str, Any]) -> int:
    created: int = stream["creationTime"]
    return created
