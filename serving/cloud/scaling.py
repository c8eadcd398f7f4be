"""Application Auto Scaling of an endpoint: as many instances as keep what each one gets near a target."""

from typing import Any

from serving.cloud.calls import SCALING, Call
from serving.cloud.session import Clients

VARIANT = "AllTraffic"
DIMENSION = "sagemaker:variant:DesiredInstanceCount"
NAMESPACE = "sagemaker"
TARGET = ("ServiceNamespace", "ResourceId", "ScalableDimension", "MinCapacity", "MaxCapacity", "SuspendedState")
POLICY = ("PolicyName", "ServiceNamespace", "ResourceId", "ScalableDimension", "PolicyType")


def registration(name: str, minimum: int, maximum: int, target: float, *, asynchronous: bool = False) -> list[Call]:
    """The calls that scale between `minimum` and `maximum` instances.

    `target` is what one instance is to get: invocations a minute; where they are asynchronous, requests that
    wait, for invocations are counted only when they are taken, so that they cannot tell of a queue.
    """
    tracking: dict[str, object] = {"TargetValue": target}
    if asynchronous:
        tracking["CustomizedMetricSpecification"] = {
            "MetricName": "ApproximateBacklogSizePerInstance",
            "Namespace": "AWS/SageMaker",
            "Dimensions": [{"Name": "EndpointName", "Value": name}],
            "Statistic": "Average",
        }
    else:
        metric = "SageMakerVariantInvocationsPerInstance"
        tracking["PredefinedMetricSpecification"] = {"PredefinedMetricType": metric}
    policy = {"PolicyName": f"{name}-target", "PolicyType": "TargetTrackingScaling"}
    return [
        Call(SCALING, "register_scalable_target", _which(name) | {"MinCapacity": minimum, "MaxCapacity": maximum}),
        Call(
            SCALING,
            "put_scaling_policy",
            policy | _which(name) | {"TargetTrackingScalingPolicyConfiguration": tracking},
        ),
    ]


def removal(name: str) -> Call:
    """The call that stops the scaling, its policies with it."""
    return Call(SCALING, "deregister_scalable_target", _which(name))


def current(clients: Clients, name: str) -> list[Call]:
    """The calls that would make the present scaling again; none where there is none. Raises CloudError."""
    targets = Call(SCALING, "describe_scalable_targets", {"ServiceNamespace": NAMESPACE, "ResourceIds": [_id(name)]})
    policies = Call(SCALING, "describe_scaling_policies", {"ServiceNamespace": NAMESPACE, "ResourceId": _id(name)})
    calls = [
        Call(SCALING, "register_scalable_target", _only(found, TARGET))
        for found in targets.make(clients)["ScalableTargets"]
    ]
    if not calls:
        return []
    for found in policies.make(clients)["ScalingPolicies"]:
        configuration = tuple(key for key in found if key.endswith("PolicyConfiguration"))
        calls.append(Call(SCALING, "put_scaling_policy", _only(found, POLICY + configuration)))
    return calls


def _id(name: str) -> str:
    """What Auto Scaling calls the endpoint's one variant."""
    return f"endpoint/{name}/variant/{VARIANT}"


def _which(name: str) -> dict[str, Any]:
    return {"ServiceNamespace": NAMESPACE, "ResourceId": _id(name), "ScalableDimension": DIMENSION}


def _only(found: dict[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    return {key: found[key] for key in keys if key in found}
