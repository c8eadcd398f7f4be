"""AWS API calls as values: to make them, and to print them as JSON or as a program for boto3."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pprint import pformat
from typing import Any

from serving.cloud.session import Clients, told

SAGEMAKER = "sagemaker"
SCALING = "application-autoscaling"
ROLLOUTS = frozenset({"create_endpoint", "update_endpoint"})
# Columns of the printed program.
WIDTH = 100


@dataclass(frozen=True, slots=True)
class Call:
    """One call: boto3's names of the service and of its method, and the parameters."""

    service: str
    method: str
    parameters: Mapping[str, Any]

    def make(self, clients: Clients) -> dict[str, Any]:
        """Make the call. Raises CloudError."""
        with told(f"{self.service} {self.method}"):
            answer: dict[str, Any] = getattr(clients.client(self.service), self.method)(**self.parameters)
            return answer


def as_json(calls: Sequence[Call]) -> str:
    """The calls in order, a JSON array."""
    listed = [{"service": c.service, "method": c.method, "parameters": c.parameters} for c in calls]
    return json.dumps(listed, indent=2)


def as_code(calls: Sequence[Call], region: str) -> str:
    """A program that makes the calls, waiting for the endpoint where a later call needs it."""
    lines = ["import boto3", ""]
    names = {service: service.replace("-", "_") for service in dict.fromkeys(call.service for call in calls)}
    lines += [f"{name} = boto3.client({service!r}, region_name={region!r})" for service, name in names.items()]
    # The endpoint that is on its way by then: only one in service can be scaled.
    awaited = ""
    for call in calls:
        if call.service == SCALING and awaited:
            lines += ["", f"sagemaker.get_waiter('endpoint_in_service').wait(EndpointName={awaited!r})"]
            awaited = ""
        if call.method in ROLLOUTS:
            awaited = call.parameters["EndpointName"]
        arguments = (f"    {name}={_indented(value)}," for name, value in call.parameters.items())
        lines += ["", f"{names[call.service]}.{call.method}(", *arguments, ")"]
    return "\n".join(lines)


def _indented(value: object) -> str:
    return pformat(value, width=WIDTH, sort_dicts=False).replace("\n", "\n    ")
