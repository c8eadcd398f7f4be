"""An ECR repository to push to: asked about before the build, made where that is wanted, logged in to.

`./buildx.sh --push` runs it as `python -m serving.cloud.repository`. The answer, on stdout, is where to push; progress
and one line for whatever stands in the way go to stderr. Of the package it needs nothing but this folder, so any Python
3.11 will do.
"""

import argparse
import re
import subprocess
import sys
from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from serving.cloud.callers import Caller, caller
from serving.cloud.failure import CloudError

ADDRESS = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.(?:com|com\.cn|eu)/(?P<name>.+)"
)
# ECR's own rules for names: https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html
NAME = re.compile(r"(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*")
NAME_LENGTHS = range(2, 257)
NOT_THERE = "RepositoryNotFoundException"
THERE = "RepositoryAlreadyExistsException"
# Formats of whatever may hold a tag; without them, ECR answers with a converted image or none.
FORMATS = [
    "application/vnd.docker.distribution.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
]
# What `docker login` takes for ECR; the password is a token for twelve hours.
USER = "AWS"
# What Amazon's own credential helper for Docker answers to a login, which it does not need.
HELPER = "not implemented"


@dataclass(frozen=True, slots=True)
class Place:
    """A repository's place in ECR."""

    account: str
    region: str
    name: str

    @property
    def described(self) -> str:
        """For messages."""
        return f"{self.name} in account {self.account}, region {self.region}"


def parse(address: str) -> Place:
    """The place that an address names. Raises CloudError where it cannot be one of ECR's."""
    match = ADDRESS.fullmatch(address)
    if not match:
        raise CloudError(
            f"{address!r} is no repository of ECR: expected ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME, with an account "
            "of 12 digits."
        )
    name = match["name"]
    if len(name) not in NAME_LENGTHS:
        least, most = NAME_LENGTHS[0], NAME_LENGTHS[-1]
        raise CloudError(
            f"The repository's name has {len(name)} characters: expected {least} to {most}, which ECR takes."
        )
    if not NAME.fullmatch(name):
        raise CloudError(
            f"The repository's name is {name!r}: expected lower-case letters and digits, with single '.', '_', '-' "
            "or '/' between them."
        )
    return Place(match["account"], match["region"], name)


def check(call: Caller, place: Place, tags: Sequence[str], *, create: bool, immutable: bool) -> str | None:
    """See that `tags` can be pushed, and log in; returns where to, None where the repository is to be made.

    Raises CloudError: no credentials or permission, no such repository, a tag that is taken for good.
    """
    try:
        found = _find(call, place)
    except CloudError as error:
        if error.code != NOT_THERE or not create:
            raise
        # Whether a token would be given is to be known before a build that takes minutes.
        _token(call, place)
        return None
    loose = [tag for tag in tags if not locked(found, tag)]
    if immutable and loose:
        raise CloudError(
            f"The tags of {place.described} can be overwritten: expected immutable ones, as --immutable-tags says. "
            f"Change that (aws ecr put-image-tag-mutability --region {place.region} --repository-name {place.name} "
            "--image-tag-mutability IMMUTABLE), or leave the option out."
        )
    _refuse_taken(call, place, [tag for tag in tags if tag not in loose])
    return enter(call, place, found)


def make(call: Caller, place: Place, *, immutable: bool) -> str:
    """Make the repository, whose images are scanned when they are pushed, and log in; returns where to push."""
    try:
        answer = call(
            f"The repository {place.described} was not created",
            "ecr",
            "create_repository",
            registryId=place.account,
            repositoryName=place.name,
            imageTagMutability="IMMUTABLE" if immutable else "MUTABLE",
            imageScanningConfiguration={"scanOnPush": True},
        )
    except CloudError as error:
        # Somebody has made it meanwhile.
        if error.code != THERE:
            raise
        return enter(call, place, _find(call, place))
    _say(f"created the repository {place.described}")
    return enter(call, place, answer["repository"])


def locked(repository: Mapping[str, Any], tag: str) -> bool:
    """Whether ECR refuses to move the tag once it is there; `repository` is ECR's description."""
    mutability = repository.get("imageTagMutability", "MUTABLE")
    filters = repository.get("imageTagMutabilityExclusionFilters", [])
    excluded = any(fnmatchcase(tag, each["filter"]) for each in filters)
    return {
        "IMMUTABLE": True,
        "IMMUTABLE_WITH_EXCLUSION": not excluded,
        "MUTABLE_WITH_EXCLUSION": excluded,
    }.get(mutability, False)


def enter(call: Caller, place: Place, repository: Mapping[str, Any]) -> str:
    """Log Docker in to a repository, by ECR's description of it; returns its address."""
    address: str = repository["repositoryUri"]
    host = address.partition("/")[0]
    # Through a pipe: a command's words can be read by every user of the machine.
    done = subprocess.run(  # noqa: S603 (no shell)
        ["docker", "login", "--username", USER, "--password-stdin", host],  # noqa: S607 (Docker from PATH, as in buildx.sh)
        input=_token(call, place),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        _say(f"logged in to {host}")
    elif HELPER in done.stderr:
        _say(f"Docker's credential helper for {host} stores no login: it makes one for each push")
    else:
        raise CloudError(f"docker login to {host} failed: {done.stderr}")
    return address


def _find(call: Caller, place: Place) -> dict[str, Any]:
    """ECR's description of the repository. Raises CloudError, with code NOT_THERE where there is none."""
    try:
        answer = call(
            f"The repository {place.described} could not be looked at",
            "ecr",
            "describe_repositories",
            registryId=place.account,
            repositoryNames=[place.name],
        )
    except CloudError as error:
        text = str(error)
        if error.code == NOT_THERE:
            text = (
                f"There is no repository {place.described}: expected one to push to. Let --create-repository make it, "
                f"or correct --repository (request id {error.request})."
            )
        raise CloudError(text + _identity(call, place, error), error.code, error.request) from error
    found: dict[str, Any] = answer["repositories"][0]
    return found


def _identity(call: Caller, place: Place, error: CloudError) -> str:
    """A sentence about the credentials, where they are another account's; what AWS does not tell is left out."""
    if not error.code:
        return ""  # nobody has answered
    try:
        account = call("Who is asking", "sts", "get_caller_identity")["Account"]
    except CloudError:
        return ""
    return "" if account == place.account else f" The credentials are those of account {account}."


def _refuse_taken(call: Caller, place: Place, tags: Sequence[str]) -> None:
    if not tags:
        return
    answer = call(
        f"The tags of {place.described} could not be looked at",
        "ecr",
        "batch_get_image",
        registryId=place.account,
        repositoryName=place.name,
        imageIds=[{"imageTag": tag} for tag in tags],
        acceptedMediaTypes=FORMATS,
    )
    taken = sorted({image["imageId"]["imageTag"] for image in answer["images"]})
    if taken:
        request = answer.get("ResponseMetadata", {}).get("RequestId", "unknown")
        raise CloudError(
            f"Taken in {place.described}, whose tags are immutable: {', '.join(taken)}. Expected tags that are "
            f"free; choose another --tag (request id {request})."
        )


def _token(call: Caller, place: Place) -> str:
    answer = call(f"ECR gave no token for {place.described}", "ecr", "get_authorization_token")
    user, _, password = b64decode(answer["authorizationData"][0]["authorizationToken"]).decode().partition(":")
    if user != USER or not password:
        raise CloudError(f"ECR's token is for the user {user!r}: expected {USER}, with a password.")
    return password


def _say(line: str) -> None:
    sys.stderr.write(f"==> {line}\n")
    sys.stderr.flush()


def run(arguments: Sequence[str] | None = None) -> int:
    """Run `check` or `create`; the exit status is 1 where something stands in the way."""
    parser = argparse.ArgumentParser(prog="python -m serving.cloud.repository", description=__doc__)
    parser.add_argument("command", choices=("check", "create"))
    parser.add_argument("repository", metavar="ADDRESS")
    parser.add_argument("--tags", nargs="+", default=[], metavar="TAG", help="what is to be pushed")
    parser.add_argument("--create-repository", action="store_true", help="it may be missing")
    parser.add_argument("--immutable-tags", action="store_true", help="its tags must be such, or are made such")
    options = parser.parse_args(arguments)
    try:
        place = parse(options.repository)
        call = caller(place.region)
        if options.command == "create":
            address: str | None = make(call, place, immutable=options.immutable_tags)
        else:
            create, immutable = options.create_repository, options.immutable_tags
            address = check(call, place, options.tags, create=create, immutable=immutable)
    except CloudError as error:
        sys.stderr.write(f"buildx.sh: {error}\n")
        return 1
    sys.stdout.write(f"{address or ''}\n")
    return 0


if __name__ == "__main__":
    sys.exit(run())
