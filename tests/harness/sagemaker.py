"""SageMaker as far as `deploy` uses it, answering boto3's own HTTP requests within the test's process.

moto's double refuses Graviton instance types and has no UpdateEndpoint. This one keeps AWS's rules that matter
here: what does not exist cannot be used, what exists cannot be made again, an endpoint that is on its way cannot
be touched, one that is scaled keeps its instance type. Parameters have passed botocore's model of the API when
they come here; answers are held against it, too.
"""

import json
import time
from collections.abc import Callable
from io import BytesIO
from typing import Any, Final, Protocol

import boto3
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.session import Session
from botocore.validate import validate_parameters

REGION: Final = "eu-west-1"
ARN: Final = f"arn:aws:sagemaker:{REGION}:123456789012"
REQUEST: Final = "11111111-2222-3333-4444-555555555555"
# What becomes of an endpoint on its way, and the words that AWS finds for the bad cases.
ENDS: Final = {
    "InService": "",
    "RolledBack": "The container did not pass the ping health check.",
    "Failed": "The primary container for production variant AllTraffic did not pass the ping health check.",
    "UpdateRollbackFailed": "Unable to roll back.",
}
PREFIX: Final = "X-Amzn-SageMaker-"
Document = dict[str, Any]


class RefusedError(Exception):
    """What AWS would refuse: its code and its text."""

    def __init__(self, message: str, code: str = "ValidationException", status: int = 400, **more: object) -> None:
        super().__init__(message)
        self.status = status
        self.document: Document = {"__type": code, "message": message, "Message": message, **more}
        self.code = code


class Hosts(Protocol):
    """What runs a model's containers, where any are run at all."""

    def start(self, container: Document) -> None:
        """Start one of what `create_model` got."""

    def state(self, endpoint: str) -> str:
        """Of the one that was started last: empty while it starts, InService or Failed."""

    def invoke(self, headers: Document, body: bytes) -> tuple[bytes, str]:
        """Its answer and its type."""

    def stop(self) -> None:
        """Stop what runs."""


class Raw(BytesIO):
    """A body as botocore's HTTP session gives it."""

    def stream(self, **_: object) -> list[bytes]:
        return [self.read()]


class SageMaker:
    """Its resources by kind and name, and the calls that were made of it, in order."""

    def __init__(self) -> None:
        self.held: dict[str, dict[str, Document]] = {"model": {}, "endpoint-config": {}, "endpoint": {}}
        self.calls: list[tuple[str, Document]] = []
        self.outcome = "InService"
        self.polls = 1
        self.answer = b"[]"
        self.before: Callable[[str], None] = lambda _: None
        self.fleet: Hosts | None = None
        # In whole seconds, so that nothing is told to be made after what followed it.
        self.now: Callable[[], float] = lambda: int(time.time())
        self._refusals: dict[str, list[RefusedError]] = {}
        session = Session()
        self._models = {name: session.get_service_model(name) for name in ("sagemaker", "sagemaker-runtime")}

    def refuse(self, operation: str, code: str, message: str, times: int = 1, **more: Any) -> None:  # noqa: ANN401
        """Refuse the next calls of an operation."""
        self._refusals.setdefault(operation, []).extend([RefusedError(message, code, **more)] * times)

    def made(self) -> list[str]:
        """The operations that changed something, in order."""
        return [name for name, _ in self.calls if not name.startswith(("Describe", "List", "Invoke"))]

    def last(self, operation: str) -> Document:
        """The parameters of the last such call."""
        return next(given for name, given in reversed(self.calls) if name == operation)

    def answer_to(self, request: AWSPreparedRequest, service: str, operation: str) -> AWSResponse:
        """Answer a request of SageMaker, or of its runtime."""
        given = {"body": request.body, **dict(request.headers)}
        if service == "sagemaker":
            given = json.loads(request.body)
        self.calls.append((operation, given))
        headers = {"x-amzn-RequestId": REQUEST, "Content-Type": "application/json"}
        try:
            self.before(operation)
            if self._refusals.get(operation):
                raise self._refusals[operation].pop(0)
            if operation == "InvokeEndpoint":
                answered = self.answer
                if self.fleet:
                    answered, headers["Content-Type"] = self.fleet.invoke(given, given["body"])
                return AWSResponse(request.url, 200, headers, Raw(answered))
            answer = getattr(self, f"_{operation}")(given)
            if service == "sagemaker":
                shape = self._models[service].operation_model(operation).output_shape
                if shape:
                    validate_parameters(answer, shape)
            else:
                headers |= answer.pop("headers")
        except RefusedError as refusal:
            headers["x-amzn-ErrorType"] = refusal.code
            body = Raw(json.dumps(refusal.document).encode())
            return AWSResponse(request.url, refusal.status, headers, body)
        return AWSResponse(request.url, 200, headers, Raw(json.dumps(answer).encode()))

    def _find(self, kind: str, name: str) -> Document:
        if name not in self.held[kind]:
            words = {"endpoint-config": "endpoint configuration"}.get(kind, kind)
            raise RefusedError(f'Could not find {words} "{ARN}:{kind}/{name}".')
        return self.held[kind][name]

    def _add(self, kind: str, name: str, given: Document) -> str:
        if name in self.held[kind]:
            raise RefusedError(f'Cannot create already existing {kind} "{ARN}:{kind}/{name}".')
        self.held[kind][name] = given | {"Made": self.now()}
        return f"{ARN}:{kind}/{name}"

    def _CreateModel(self, given: Document) -> Document:  # noqa: N802 (AWS's name)
        return {"ModelArn": self._add("model", given["ModelName"], given)}

    def _CreateEndpointConfig(self, given: Document) -> Document:  # noqa: N802
        for variant in given["ProductionVariants"]:
            self._find("model", variant["ModelName"])
        return {"EndpointConfigArn": self._add("endpoint-config", given["EndpointConfigName"], given)}

    def _CreateEndpoint(self, given: Document) -> Document:  # noqa: N802
        self._start(self._find("endpoint-config", given["EndpointConfigName"]))
        arn = self._add("endpoint", given["EndpointName"], given | {"Status": "Creating", "Polls": self.polls})
        return {"EndpointArn": arn}

    def _UpdateEndpoint(self, given: Document) -> Document:  # noqa: N802
        endpoint = self._find("endpoint", given["EndpointName"])
        new = self._find("endpoint-config", given["EndpointConfigName"])
        if endpoint["Status"] != "InService":
            raise RefusedError("Cannot update in-progress endpoint.")
        old = self.held["endpoint-config"].get(endpoint["EndpointConfigName"], new)
        types = {each["ProductionVariants"][0]["InstanceType"] for each in (old, new)}
        if len(types) > 1 and scaled():
            raise RefusedError(
                "The variant(s) must be deregistered as a scalable target before updating instance type."
            )
        self._start(new)
        endpoint |= {"Status": "Updating", "Polls": self.polls, "Next": given["EndpointConfigName"]}
        return {"EndpointArn": f"{ARN}:endpoint/{given['EndpointName']}"}

    def _DescribeEndpoint(self, given: Document) -> Document:  # noqa: N802
        endpoint = self._find("endpoint", given["EndpointName"])
        if endpoint["Status"] in {"Creating", "Updating"}:
            endpoint["Polls"] -= 1
            if self.fleet:
                self._follow(self.fleet, endpoint)
            elif endpoint["Polls"] < 0:
                self._arrive(endpoint)
        config = self.held["endpoint-config"].get(endpoint["EndpointConfigName"], {})
        told = {
            "EndpointName": given["EndpointName"],
            "EndpointArn": f"{ARN}:endpoint/{given['EndpointName']}",
            "EndpointStatus": endpoint["Status"],
            "EndpointConfigName": endpoint["EndpointConfigName"],
            "CreationTime": endpoint.get("Made", 0),
            "LastModifiedTime": endpoint.get("Made", 0),
        }
        if "Reason" in endpoint:
            told["FailureReason"] = endpoint["Reason"]
        if "AsyncInferenceConfig" in config:
            told["AsyncInferenceConfig"] = config["AsyncInferenceConfig"]
        if endpoint["Status"] == "InService":
            image = {"SpecifiedImage": "the-image"}
            variant = {"VariantName": "AllTraffic", "DeployedImages": [image]}
            told["ProductionVariants"] = [variant | {"CurrentInstanceCount": 1, "DesiredInstanceCount": 2}]
        return told

    def _start(self, config: Document) -> None:
        if self.fleet:
            model = self._find("model", config["ProductionVariants"][0]["ModelName"])
            self.fleet.start(model["PrimaryContainer"])

    def _follow(self, hosts: Hosts, endpoint: Document) -> None:
        state = hosts.state(endpoint["EndpointName"])
        if state:
            updating = endpoint["Status"] == "Updating"
            self.outcome = "RolledBack" if state == "Failed" and updating else state
            self._arrive(endpoint)

    def _arrive(self, endpoint: Document) -> None:
        endpoint["Status"] = {"RolledBack": "InService"}.get(self.outcome, self.outcome)
        if ENDS[self.outcome]:
            endpoint["Reason"] = ENDS[self.outcome]
        if self.outcome == "InService":
            endpoint["EndpointConfigName"] = endpoint.get("Next", endpoint["EndpointConfigName"])

    def _DescribeEndpointConfig(self, given: Document) -> Document:  # noqa: N802
        config = self._find("endpoint-config", given["EndpointConfigName"])
        arn = f"{ARN}:endpoint-config/{given['EndpointConfigName']}"
        told = {key: value for key, value in config.items() if key not in {"Tags", "Made"}}
        return told | {"EndpointConfigArn": arn, "CreationTime": config["Made"]}

    def _DeleteEndpoint(self, given: Document) -> Document:  # noqa: N802
        if self._find("endpoint", given["EndpointName"])["Status"] in {"Creating", "Updating"}:
            raise RefusedError("Cannot update in-progress endpoint.")
        del self.held["endpoint"][given["EndpointName"]]
        if self.fleet:
            self.fleet.stop()
        return {}

    def _DeleteEndpointConfig(self, given: Document) -> Document:  # noqa: N802
        self._find("endpoint-config", given["EndpointConfigName"])
        del self.held["endpoint-config"][given["EndpointConfigName"]]
        return {}

    def _DeleteModel(self, given: Document) -> Document:  # noqa: N802
        self._find("model", given["ModelName"])
        del self.held["model"][given["ModelName"]]
        return {}

    def _ListModels(self, given: Document) -> Document:  # noqa: N802
        return self._page("model", "Model", "Models", given)

    def _ListEndpointConfigs(self, given: Document) -> Document:  # noqa: N802
        return self._page("endpoint-config", "EndpointConfig", "EndpointConfigs", given)

    def _page(self, kind: str, part: str, listed: str, given: Document) -> Document:
        """One on each page, so that every list is read through."""
        names = [name for name in sorted(self.held[kind]) if given["NameContains"] in name]
        at = int(given.get("NextToken", "0"))
        found = [
            {f"{part}Name": name, f"{part}Arn": f"{ARN}:{kind}/{name}", "CreationTime": 0} for name in names[at:][:1]
        ]
        more = {"NextToken": str(at + 1)} if len(names) > at + 1 else {}
        return {listed: found, **more}

    def _ListTags(self, given: Document) -> Document:  # noqa: N802
        kind, _, name = given["ResourceArn"].removeprefix(f"{ARN}:").partition("/")
        tags = self._find(kind, name).get("Tags", [])
        at = int(given.get("NextToken", "0"))
        more = {"NextToken": str(at + 1)} if len(tags) > at + 1 else {}
        return {"Tags": tags[at:][:1], **more}

    def _InvokeEndpointAsync(self, _given: Document) -> Document:  # noqa: N802
        """Accepted; the answer, or the failure, is for the test to put there."""
        output = "s3://bucket/queue/answers/one.out"
        headers = {f"{PREFIX}OutputLocation": output, f"{PREFIX}FailureLocation": f"{output}-failed"}
        return {"InferenceId": "1", "headers": headers}


def scaled() -> list[Document]:
    """The scalable targets of SageMaker's that there are."""
    client = boto3.client("application-autoscaling", region_name=REGION)
    found: list[Document] = client.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    return found
