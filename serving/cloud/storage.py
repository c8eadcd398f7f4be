"""S3: addresses; reading, sending and removing single objects."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple
from urllib.parse import urlsplit

from serving.cloud.session import Clients, CloudError, told

PERCENT = 100
# Progress is told in steps of this many percent.
STEP = 10
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
def stream(clients: Clients, where: Place) -> Iterator[IO[bytes]]:
    """An object's bytes, to be read within the context. Raises CloudError, also where reading fails."""
    with told(f"{where.uri} could not be read"):
        body: Any = clients.client("s3").get_object(Bucket=where.bucket, Key=where.key)["Body"]
        with body:
            yield body


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


def send(clients: Clients, path: Path, where: Place, say: Callable[[str], None]) -> None:
    """Upload a file, telling how far it is. Raises CloudError."""
    size, sent, last = path.stat().st_size, 0, 0

    def progress(more: int) -> None:
        nonlocal sent, last
        sent += more
        percent = sent * PERCENT // max(size, 1)
        if percent >= last + STEP:
            last = percent - percent % STEP
            say(f"uploaded {last} % of {size:,} bytes")

    say(f"uploading {where.uri}")
    with told(f"{path} could not be uploaded to {where.uri}"):
        clients.client("s3").upload_file(str(path), where.bucket, where.key, Callback=progress)


def has_archives(clients: Clients, where: Place) -> bool:
    """Whether a prefix holds an archive among its first thousand objects. Raises CloudError."""
    with told(f"{where.uri} could not be listed"):
        listed = clients.client("s3").list_objects_v2(Bucket=where.bucket, Prefix=where.key)
    return any(found["Key"].endswith(".tar.gz") for found in listed.get("Contents", []))


def check_bucket(clients: Clients, bucket: str) -> None:
    """Raises CloudError unless the bucket is there and may be used."""
    with told(f"The bucket {bucket}, for the archive (--bucket names another), cannot be used"):
        clients.client("s3").head_bucket(Bucket=bucket)


def remove(clients: Clients, uri: str) -> None:
    """Remove an object. Raises CloudError."""
    where = located(uri)
    with told(f"{uri} could not be removed"):
        clients.client("s3").delete_object(Bucket=where.bucket, Key=where.key)
