"""Whether SageMaker takes an image: in the endpoint's region, in Docker's format, for the processor, with the label."""

from collections.abc import Iterable, Iterator

from serving.cloud import registry
from serving.cloud.registry import MANIFEST, MANIFEST_LIST, Address, Manifest
from serving.cloud.session import Clients

ADDRESS_LIMIT = 255  # characters that create_model takes
MULTI_MODEL_LABEL = "com.amazonaws.sagemaker.capabilities.multi-models"


def problems(clients: Clients, image: str, architecture: str, *, multi_model: bool) -> Iterator[str]:
    """What of the image would make the endpoint fail, a line each. Raises CloudError if ECR cannot be asked."""
    address = registry.parse(image)
    if address is None or len(image) > ADDRESS_LIMIT:
        yield (
            f"--image is {image!r}: expected ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME:TAG of at most "
            f"{ADDRESS_LIMIT} characters. Push the image to ECR and name it so."
        )
    elif address.region != clients.region:
        yield (
            f"--image is in {address.region}: expected the endpoint's region, {clients.region}. Push it there, or "
            f"deploy with --region {address.region}."
        )
    else:
        yield from _of_manifest(clients, address, architecture, multi_model=multi_model)


def _of_manifest(clients: Clients, address: Address, architecture: str, *, multi_model: bool) -> Iterator[str]:
    manifest = registry.manifest_of(clients, address, address.reference)
    if manifest.media_type not in (MANIFEST, MANIFEST_LIST):
        yield _refused(manifest.media_type)
        return
    if manifest.media_type == MANIFEST_LIST:
        children = {
            each.get("platform", {}).get("architecture", "unknown"): each for each in manifest.document["manifests"]
        }
        if architecture not in children:
            yield _mismatch(children, architecture)
            return
        if children[architecture]["mediaType"] != MANIFEST:
            yield _refused(children[architecture]["mediaType"])
            return
        if not multi_model:
            return
        manifest = registry.manifest_of(clients, address, {"imageDigest": children[architecture]["digest"]})
    yield from _of_configuration(clients, address, manifest, architecture, multi_model=multi_model)


def _of_configuration(
    clients: Clients, address: Address, manifest: Manifest, architecture: str, *, multi_model: bool
) -> Iterator[str]:
    configuration = registry.configuration_of(clients, address, manifest)
    held = configuration.get("architecture", "unknown")
    if held != architecture:
        yield _mismatch((held,), architecture)
    labels = configuration.get("config", {}).get("Labels") or {}
    if multi_model and labels.get(MULTI_MODEL_LABEL) != "true":
        yield f"The image lacks the label {MULTI_MODEL_LABEL}=true, without which --multi-model is refused."


def _refused(media_type: str) -> str:
    return (
        f"The image's manifest is {media_type}, which SageMaker refuses: expected Docker's ({MANIFEST}). Build and "
        "push it with ./buildx.sh, or with `docker buildx build --provenance=false --output "
        "type=registry,oci-mediatypes=false`."
    )


def _mismatch(held: Iterable[str], architecture: str) -> str:
    return (
        f"The image is for {', '.join(sorted(held))}: expected {architecture}, which the instance type is. Build "
        f"it for linux/{architecture}, or take another instance type."
    )
