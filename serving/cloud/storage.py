"""S3: addresses; reading, sending and removing single objects."""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import IO, Any, NamedTuple
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from serving.cloud.archives import SUFFIX
from serving.cloud.progress import Counted, Progress, Say
from serving.cloud.session import Clients, CloudError, told

# In which S3 tells where a bucket is, even to those who may not list it.
REGION_HEADER = "x-amz-bucket-region"
# What HeadObject says of a key that is not there; it has no body that could say more.
ABSENT = "404"


class Place(NamedTuple):
    """A bucket and a key in it."""

    bucket: str
    key: str

    @property
    def uri(self) -> str:
        """As AWS writes it: s3://bucket/key."""
        return f"s3://{self.bucket}/{self.key}"


def place(uri: str) -> Place | None:
    """The parts of an s3:// address; None for anything else."""
    parts = urlsplit(uri)
    return Place(parts.netloc, parts.path.removeprefix("/")) if parts.scheme == "s3" and parts.netloc else None


def located(uri: str) -> Place:
    """The same of an address that must be one. Raises CloudError."""
    where = place(uri)
    if where is None:
        raise CloudError(f"{uri!r} is no address in S3: expected s3://BUCKET/KEY.")
    return where


@contextmanager
def stream(clients: Clients, where: Place, say: Say = lambda _: None) -> Iterator[IO[bytes]]:
    """An object's bytes, to be read within the context; tells how far it is. Raises CloudError, also from reading."""
    with told(f"{where.uri} could not be read"):
        answer: Any = clients.client("s3").get_object(Bucket=where.bucket, Key=where.key)
        with answer["Body"] as body:
            counted: Any = Counted(body, Progress(say, f"read {where.uri},", answer["ContentLength"]))
            yield counted


def exists(clients: Clients, where: Place) -> bool:
    """Whether there is such an object. Raises CloudError."""
    try:
        with told(f"{where.uri} could not be looked for"):
            clients.client("s3").head_object(Bucket=where.bucket, Key=where.key)
    except CloudError as error:
        if error.code == ABSENT:
            return False
        raise
    return True


def default_bucket(clients: Clients) -> str:
    """The bucket that SageMaker's own tools use in this account and region. Raises CloudError."""
    with told("The account could not be looked up"):
        account = clients.client("sts").get_caller_identity()["Account"]
    return f"sagemaker-{clients.region}-{account}"


def send(clients: Clients, path: Path, where: Place, say: Say) -> None:
    """Upload a file, telling how far it is. Raises CloudError."""
    size = path.stat().st_size
    say(f"uploading {where.uri}")
    with told(f"{path} could not be uploaded to {where.uri}"):
        progress = Progress(say, "uploaded", size)
        clients.client("s3").upload_file(str(path), where.bucket, where.key, Callback=progress)
    say(f"uploaded {size:,} bytes")


def archives_below(clients: Clients, where: Place) -> Iterator[Place]:
    """The archives below a prefix. Raises CloudError."""
    with told(f"{where.uri} could not be listed"):
        pages = clients.client("s3").get_paginator("list_objects_v2").paginate(Bucket=where.bucket, Prefix=where.key)
        for page in pages:
            for found in page.get("Contents", []):
                if found["Key"].endswith(SUFFIX):
                    yield Place(where.bucket, found["Key"])


def check_bucket(clients: Clients, bucket: str, purpose: str, *, listed: bool) -> None:
    """Raises CloudError unless the bucket, which is for `purpose`, is there and in the endpoint's region.

    `listed` says that this identity has to be allowed to list it; to read an object it has not.
    """
    with told(f"The bucket {bucket}, for {purpose}, cannot be used"):
        try:
            answer: Any = clients.client("s3").head_bucket(Bucket=bucket)
        except ClientError as error:
            answer = error.response
            if listed or answer["ResponseMetadata"].get("HTTPStatusCode") != HTTPStatus.FORBIDDEN:
                raise
    region = answer["ResponseMetadata"].get("HTTPHeaders", {}).get(REGION_HEADER, clients.region)
    if region != clients.region:
        raise CloudError(
            f"The bucket {bucket}, for {purpose}, is in {region}: expected the endpoint's region, {clients.region}. "
            f"Take a bucket there, or deploy with --region {region}."
        )


def remove(clients: Clients, uri: str) -> None:
    """Remove an object. Raises CloudError."""
    where = located(uri)
    with told(f"{uri} could not be removed"):
        clients.client("s3").delete_object(Bucket=where.bucket, Key=where.key)
