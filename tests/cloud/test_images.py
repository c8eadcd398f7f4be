"""An image that SageMaker would refuse, or that would not start, is found out by what ECR says of it."""

import pytest

from harness.aws import DOCKER, DOCKER_LIST, OCI, OCI_INDEX, REGISTRY, REPOSITORY, Account
from serving.cloud import instances, registry
from serving.cloud.images import MULTI_MODEL_LABEL, problems
from serving.cloud.registry import Address
from serving.cloud.session import CloudError

LABEL = {MULTI_MODEL_LABEL: "true"}
ARM64 = [name for name in instances.endpoint_types() if instances.architecture(name) == "arm64"]


def told(aws: Account, tag: str, architecture: str = "arm64", *, multi_model: bool = False) -> list[str]:
    image = tag if "/" in tag else f"{REGISTRY}/{REPOSITORY}:{tag}"
    return list(problems(aws.clients, image, architecture, multi_model=multi_model))


@pytest.mark.parametrize("tag", ["1.0", "1.0-arm64"])
def test_an_image_for_graviton_is_taken_on_every_arm64_instance(aws: Account, tag: str) -> None:
    assert len(ARM64) == 95
    assert all(told(aws, tag, instances.architecture(name)) == [] for name in ARM64)


def test_an_image_for_x86_is_refused_on_every_arm64_instance(aws: Account) -> None:
    for architecture in {instances.architecture(name) for name in ARM64}:
        (line,) = told(aws, "1.0-amd64", architecture)
        assert line.startswith("The image is for amd64: expected arm64, which the instance type is.")


def test_an_image_for_graviton_is_refused_on_x86(aws: Account) -> None:
    assert told(aws, "1.0-arm64", instances.architecture("ml.c7i.xlarge"))
    assert told(aws, "1.0-amd64", instances.architecture("ml.c7i.xlarge")) == []


def test_a_list_without_the_architecture_is_refused(aws: Account) -> None:
    aws.push_list("x86", aws.push("x86-only", "amd64"))
    (line,) = told(aws, "x86")
    assert "The image is for amd64: expected arm64" in line


@pytest.mark.parametrize("media_type", [OCI, "application/vnd.docker.distribution.manifest.v1+prettyjws"])
def test_only_dockers_manifests_are_taken(aws: Account, media_type: str) -> None:
    aws.push("other", "arm64", media_type=media_type)
    (line,) = told(aws, "other")
    assert line.startswith(f"The image's manifest is {media_type}, which SageMaker refuses: expected Docker's")
    assert "./buildx.sh" in line


def test_an_oci_index_is_refused(aws: Account) -> None:
    aws.push_list("index", aws.push("in-index", "arm64", media_type=OCI), media_type=OCI_INDEX)
    (line,) = told(aws, "index")
    assert OCI_INDEX in line


def test_an_oci_manifest_in_dockers_list_is_refused(aws: Account) -> None:
    aws.push_list("mixed", aws.push("in-list", "arm64", media_type=OCI), media_type=DOCKER_LIST)
    (line,) = told(aws, "mixed")
    assert OCI in line
    assert DOCKER in line


def test_many_models_need_the_label_on_the_image_that_would_run(aws: Account) -> None:
    aws.push_list("labelled", aws.push("l-arm64", "arm64", LABEL), aws.push("l-amd64", "amd64"))
    assert told(aws, "labelled", multi_model=True) == []
    assert told(aws, "l-arm64", multi_model=True) == []
    aws.push("denied", "arm64", {MULTI_MODEL_LABEL: "false"})
    for tag, architecture in (("labelled", "amd64"), ("1.0", "arm64"), ("1.0-arm64", "arm64"), ("denied", "arm64")):
        (line,) = told(aws, tag, architecture, multi_model=True)
        assert f"lacks the label {MULTI_MODEL_LABEL}=true" in line


@pytest.mark.parametrize(
    "image", ["graviton-serving:1.0", "docker.io/library/nginx:1", f"{REGISTRY}/UPPER:1", f"{REGISTRY}/{'a' * 240}:1"]
)
def test_what_is_not_in_ecr_is_refused(aws: Account, image: str) -> None:
    assert "expected ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME:TAG" in "".join(
        problems(aws.clients, image, "arm64", multi_model=False)
    )


def test_an_image_in_another_region_is_refused(aws: Account) -> None:
    (line,) = told(aws, f"123456789012.dkr.ecr.us-east-1.amazonaws.com/{REPOSITORY}:1.0")
    assert line.startswith("--image is in us-east-1: expected the endpoint's region, eu-west-1.")


def test_a_tag_that_is_not_there_is_told_with_the_request(aws: Account) -> None:
    with pytest.raises(CloudError, match=r"serving:2\.0 is not in ECR: ImageNotFound: .*request id \w+"):
        told(aws, "2.0")


def test_a_repository_that_is_not_there_is_told_with_the_request(aws: Account) -> None:
    with pytest.raises(CloudError, match=r"RepositoryNotFoundException.*Create the repository.*request id \w+"):
        told(aws, f"{REGISTRY}/nowhere:1.0")


def test_a_configuration_that_cannot_be_fetched_is_told(aws: Account) -> None:
    aws.blobs = dict.fromkeys(aws.blobs, b"no json")
    with pytest.raises(CloudError, match="could not be fetched"):
        told(aws, "1.0-arm64")


@pytest.mark.parametrize(
    ("rest", "reference"),
    [
        (":1.0", {"imageTag": "1.0"}),
        ("", {"imageTag": "latest"}),
        (f"@sha256:{'0' * 64}", {"imageDigest": f"sha256:{'0' * 64}"}),
        (f":1.0@sha256:{'0' * 64}", {"imageDigest": f"sha256:{'0' * 64}"}),
    ],
)
def test_an_address_names_a_tag_or_a_digest(rest: str, reference: dict[str, str]) -> None:
    parsed = registry.parse(f"{REGISTRY}/team/serving{rest}")
    assert parsed == Address("123456789012", "eu-west-1", "team/serving", reference)
