"""ECR: an image's address, its manifest and its configuration."""

import json
import re
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from serving.cloud.session import Clients, CloudError, told

ADDRESS = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.(?:com|com\.cn|eu)"
    r"/(?P<repository>[a-z0-9][a-z0-9._/-]*)(?::(?P<tag>[\w][\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
MANIFEST_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
# The configuration is a small JSON file; ECR answers with an address to fetch it from.
FETCH_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Address:
    """An image's place in ECR; `reference` is its tag or its digest, as ECR's API takes it."""

    account: str
    region: str
    repository: str
    reference: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Manifest:
    """An image's manifest, or a list of several images', with its media type."""

    media_type: str
    document: Mapping[str, Any]


def parse(image: str) -> Address | None:
    """The parts of an address in ECR; None for anything else."""
    match = ADDRESS.fullmatch(image)
    if not match:
        return None
    digest = match["digest"]
    reference = {"imageDigest": digest} if digest else {"imageTag": match["tag"] or "latest"}
    return Address(match["account"], match["region"], match["repository"], reference)


def manifest_of(clients: Clients, address: Address, reference: Mapping[str, str]) -> Manifest:
    """The manifest as it was pushed. Raises CloudError, also where there is none."""
    name = f"{address.repository}:{next(iter(reference.values()))}"
    with told(f"The image {name} could not be looked at"):
        answer = clients.client("ecr").batch_get_image(
            registryId=address.account,
            repositoryName=address.repository,
            imageIds=[dict(reference)],
            acceptedMediaTypes=[MANIFEST, MANIFEST_LIST, OCI_MANIFEST, OCI_INDEX],
        )
    if not answer["images"]:
        reason = "; ".join(f"{f.get('failureCode')}: {f.get('failureReason')}" for f in answer.get("failures", []))
        request = answer["ResponseMetadata"].get("RequestId", "unknown")
        raise CloudError(
            f"The image {name} is not in ECR: {reason}. Push it, or correct --image (request id {request})."
        )
    found = answer["images"][0]
    document = json.loads(found["imageManifest"])
    return Manifest(found.get("imageManifestMediaType") or document.get("mediaType", "unknown"), document)


def configuration_of(clients: Clients, address: Address, manifest: Manifest) -> Mapping[str, Any]:
    """The image's configuration, which has its architecture and its labels. Raises CloudError."""
    with told("The image's configuration could not be read"):
        url = clients.client("ecr").get_download_url_for_layer(
            registryId=address.account,
            repositoryName=address.repository,
            layerDigest=manifest.document["config"]["digest"],
        )["downloadUrl"]
    try:
        with urllib.request.urlopen(url, timeout=FETCH_SECONDS) as answer:  # noqa: S310 (ECR's own answer)
            configuration: Mapping[str, Any] = json.load(answer)
            return configuration
    except (OSError, ValueError) as error:
        raise CloudError(f"The image's configuration could not be fetched: {error}.") from error
