"""An endpoint as SageMaker tells of it: what it is, what became of it, and what its container wrote last."""

import time
from collections.abc import Callable
from enum import Enum
from typing import Any

from serving.cloud.calls import SAGEMAKER, Call
from serving.cloud.session import Clients, CloudError

# An endpoint takes three to ten minutes; DescribeEndpoint is the only way to ask.
POLL_SECONDS = 15.0
# SageMaker itself gives up within an hour.
WAIT_SECONDS = 3600.0
UNDER_WAY = frozenset({"Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"})
IN_SERVICE = "InService"
FAILED = "Failed"
LOG_LINES = 20

Say = Callable[[str], None]
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
    """Wait for an endpoint that is on its way to a configuration, telling each change of its state.

    Returns what became of it, and the reason that SageMaker gives. Raises CloudError if that cannot be asked.
    """
    started, last = time.monotonic(), ""
    while True:
        found = describe(clients, name) or {"EndpointStatus": "gone"}
        status = found["EndpointStatus"]
        elapsed = time.monotonic() - started
        if status != last:
            say(f"{elapsed:5.0f} s  {status}")
            last = status
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


def last_log_lines(clients: Clients, name: str) -> list[str]:
    """What the container wrote last; where that cannot be read, a line that says why."""
    group = f"/aws/sagemaker/Endpoints/{name}"
    newest = {"logGroupName": group, "orderBy": "LastEventTime", "descending": True, "limit": 1}
    try:
        for found in Call("logs", "describe_log_streams", newest).make(clients)["logStreams"]:
            which = {"logGroupName": group, "logStreamName": found["logStreamName"], "limit": LOG_LINES}
            events = Call("logs", "get_log_events", which | {"startFromHead": False}).make(clients)["events"]
            return [event["message"].rstrip() for event in events]
    except CloudError as error:
        return [f"The container's log cannot be read: {error}"]
    return ["The container has written nothing."]
