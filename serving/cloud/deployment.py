"""What is to be deployed, and the calls that make it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from serving.cloud import scaling
from serving.cloud.calls import SAGEMAKER, Call
from serving.cloud.storage import Place

# What is ours bears the endpoint's name here, and is removed with it; what bears it not is left alone.
OWNER_TAG = "graviton-serving:endpoint"
# On a model whose archive `deploy` uploaded: where to, so that this very object is removed with the model.
ARCHIVE_TAG = "graviton-serving:archive"
NAME_LIMIT = 63
SUFFIX_LENGTH = 8  # hexadecimal digits of a run's own suffix


@dataclass(frozen=True, slots=True)
class Deployment:
    """One endpoint as it is to be.

    `model_data` is an archive's address, or with `multi_model` a prefix's; `uploaded` is the same as a place
    where the archive is ours to upload. `autoscale` is the least and the most instances, `target` what one of
    them is to get. `instance_count` is how many to begin with, if that was said. `suffix` is this run's own.
    """

    name: str
    image: str
    model_data: str
    role: str
    instance_type: str
    suffix: str
    instance_count: int | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    autoscale: tuple[int, int] | None = None
    target: float = 0
    async_output: str = ""
    multi_model: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)
    uploaded: Place | None = None

    @property
    def instances(self) -> int:
        """How many instances to begin with: those that were asked for, else the least of `autoscale`, else one."""
        if self.instance_count is not None:
            return self.instance_count
        return self.autoscale[0] if self.autoscale else 1

    @property
    def part_name(self) -> str:
        """The name of this run's model and configuration: the endpoint's, cut to fit, and the suffix."""
        return prefix(self.name) + self.suffix


def prefix(name: str) -> str:
    """How the names of an endpoint's models and configurations begin."""
    return f"{name[: NAME_LIMIT - SUFFIX_LENGTH - 1].rstrip('-')}-"


def parts(deployment: Deployment) -> list[Call]:
    """The calls that make the model and the endpoint's configuration."""
    name = deployment.part_name
    container: dict[str, object] = {"Image": deployment.image, "ModelDataUrl": deployment.model_data}
    if deployment.environment:
        container["Environment"] = dict(deployment.environment)
    if deployment.multi_model:
        container["Mode"] = "MultiModel"
    variant = {
        "VariantName": scaling.VARIANT,
        "ModelName": name,
        "InstanceType": deployment.instance_type,
        "InitialInstanceCount": deployment.instances,
    }
    tags = _tags(deployment)
    archive = [{"Key": ARCHIVE_TAG, "Value": deployment.uploaded.uri}] if deployment.uploaded else []
    model = {
        "ModelName": name,
        "ExecutionRoleArn": deployment.role,
        "PrimaryContainer": container,
        "Tags": tags + archive,
    }
    config: dict[str, object] = {"EndpointConfigName": name, "ProductionVariants": [variant], "Tags": tags}
    if deployment.async_output:
        # A failure's text goes beside the answers, or nobody would hear of it.
        output = deployment.async_output.rstrip("/")
        places = {"S3OutputPath": f"{output}/answers", "S3FailurePath": f"{output}/failures"}
        config["AsyncInferenceConfig"] = {"OutputConfig": places}
    return [Call(SAGEMAKER, "create_model", model), Call(SAGEMAKER, "create_endpoint_config", config)]


def creation(deployment: Deployment) -> Call:
    """The call that makes the endpoint."""
    which = {"EndpointName": deployment.name, "EndpointConfigName": deployment.part_name}
    return Call(SAGEMAKER, "create_endpoint", which | {"Tags": _tags(deployment)})


def update(deployment: Deployment, *, scaled: bool) -> Call:
    """The call that moves the endpoint to this run's configuration; one that is scaled keeps its instances' number."""
    which: dict[str, object] = {"EndpointName": deployment.name, "EndpointConfigName": deployment.part_name}
    return Call(SAGEMAKER, "update_endpoint", which | ({"RetainAllVariantProperties": True} if scaled else {}))


def scaling_calls(deployment: Deployment) -> list[Call]:
    """The calls that scale it, none where nobody asked."""
    if not deployment.autoscale:
        return []
    asynchronous = bool(deployment.async_output)
    return scaling.registration(deployment.name, *deployment.autoscale, deployment.target, asynchronous=asynchronous)


def _tags(deployment: Deployment) -> list[dict[str, str]]:
    tags = {OWNER_TAG: deployment.name, **deployment.tags}
    return [{"Key": key, "Value": value} for key, value in tags.items()]
