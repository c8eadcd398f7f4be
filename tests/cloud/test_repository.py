"""An ECR repository to push to: what stands in the way is one line, before anything is built."""

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from shutil import which
from typing import NamedTuple

import pytest

from harness.ecr import HOST, REGION, REQUEST, Ecr, ecr
from harness.targets import ROOT
from serving.cloud import repository
from serving.cloud.failure import CloudError

NAME = "team/serving"
ADDRESS = f"{HOST}/{NAME}"
TAGS = ["1.2.0-arm64", "1.2.0-amd64", "1.2.0"]
MANIFEST = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json"})
DOCKER = """#!/bin/sh
printf '%s ' "$@" >>"$LOGIN"
cat >>"$LOGIN"
test -z "$NO_LOGIN" || { echo "$NO_LOGIN" >&2; exit 1; }
"""


class Done(NamedTuple):
    """What came of a command; `login` is what `docker` got, words and standard input."""

    status: int
    out: str
    err: str
    login: str


class Repository:
    """Runs the program as buildx.sh does, against ECR's double, with a `docker` that only writes down its login."""

    def __init__(self, folder: Path, double: Ecr, way: str) -> None:
        self.double = double
        self.folder = folder
        program = folder / "docker"
        program.write_text(DOCKER)
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        path = os.environ["PATH"]
        if way == "aws":
            # A package that fails to be found, as where boto3 is not installed.
            (folder / "sitecustomize.py").write_text("import sys\nsys.modules['boto3'] = None\n")
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
            **double.environment,
            "PATH": f"{folder}:{path}",
            "PYTHONPATH": f"{folder}:{ROOT}",
            "LOGIN": str(folder / "login"),
        }

    def __call__(self, *words: str, **environment: str) -> Done:
        command = [sys.executable, "-m", "serving.cloud.repository", *words]
        login = self.folder / "login"
        login.write_text("")
        surroundings = self.environment | environment
        done = subprocess.run(command, env=surroundings, cwd=ROOT, capture_output=True, text=True, check=False)
        assert self.double.password not in done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return Done(done.returncode, done.stdout, done.stderr, login.read_text())

    def check(self, *words: str, **environment: str) -> Done:
        return self("check", ADDRESS, *words, "--tags", *TAGS, **environment)


@pytest.fixture
def double() -> Iterator[Ecr]:
    with ecr() as held:
        yield held


@pytest.fixture
def push(tmp_path: Path, double: Ecr) -> Repository:
    return Repository(tmp_path, double, "boto3")


@pytest.fixture(params=["boto3", "aws"])
def either(request: pytest.FixtureRequest, tmp_path: Path, double: Ecr) -> Repository:
    """By both ways to ask, for what their answers differ in."""
    if request.param == "aws" and not which("aws"):
        pytest.skip("the aws command is not installed")
    return Repository(tmp_path, double, request.param)


def test_it_logs_in_and_tells_where_to_either(either: Repository) -> None:
    either.double.client.create_repository(repositoryName=NAME)
    done = either.check()
    assert (done.status, done.out) == (0, f"{either.double.address}/{NAME}\n"), done.err
    # The words first; the password came through standard input, and is in nothing else.
    words = f"login --username AWS --password-stdin {either.double.address} "
    assert done.login == words + either.double.password


def test_a_failed_login_is_said(push: Repository) -> None:
    push.double.client.create_repository(repositoryName=NAME)
    done = push.check(NO_LOGIN="error saving credentials: pass not initialized")
    assert done.status == 1
    assert f"docker login to {push.double.address} failed: error saving credentials" in done.err


def test_amazons_credential_helper_needs_no_login(push: Repository) -> None:
    push.double.client.create_repository(repositoryName=NAME)
    done = push.check(
        NO_LOGIN="Error saving credentials: error storing credentials - err: exit status 1, not implemented"
    )
    assert (done.status, done.out) == (0, f"{push.double.address}/{NAME}\n"), done.err


def test_a_missing_repository_is_said_before_the_build(either: Repository) -> None:
    done = either.check()
    assert (done.status, done.out, done.login) == (1, "", "")
    (line,) = done.err.splitlines()
    assert f"There is no repository {NAME} in account 123456789012, region {REGION}" in line
    assert "--create-repository" in line


def test_a_repository_is_made_only_after_the_checks(either: Repository) -> None:
    done = either.check("--create-repository")
    assert (done.status, done.out, done.login) == (0, "\n", ""), done.err
    assert either.double.describe(NAME) is None
    done = either("create", ADDRESS, "--immutable-tags")
    assert (done.status, done.out) == (0, f"{either.double.address}/{NAME}\n"), done.err
    assert done.login.endswith(either.double.password)
    made = either.double.describe(NAME)
    assert made is not None
    assert made["imageScanningConfiguration"] == {"scanOnPush": True}
    assert made["imageTagMutability"] == "IMMUTABLE"


def test_a_quota_is_said(push: Repository) -> None:
    push.double.refusals["CreateRepository"] = ("LimitExceededException", "Too many repositories")
    done = push("create", ADDRESS, AWS_MAX_ATTEMPTS="2")
    assert done.status == 1
    assert push.double.operations.count("CreateRepository") == 2
    (line,) = done.err.splitlines()
    assert f"The repository {NAME} in account 123456789012, region {REGION} was not created: LimitExceeded" in line
    assert f"Ask for a higher quota (Service Quotas), or remove what is not needed. (request id {REQUEST})" in line


def test_one_that_was_made_meanwhile_is_taken(push: Repository) -> None:
    push.double.client.create_repository(repositoryName=NAME)
    done = push("create", ADDRESS)
    assert (done.status, done.out) == (0, f"{push.double.address}/{NAME}\n"), done.err


@pytest.mark.parametrize(("mutability", "status"), [("IMMUTABLE", 1), ("MUTABLE", 0)])
def test_a_taken_tag_is_refused_where_it_cannot_be_moved(either: Repository, mutability: str, status: int) -> None:
    either.double.client.create_repository(repositoryName=NAME, imageTagMutability=mutability)
    either.double.client.put_image(repositoryName=NAME, imageTag="1.2.0-amd64", imageManifest=MANIFEST)
    done = either.check()
    assert done.status == status, done.err
    if status:
        assert "whose tags are immutable: 1.2.0-amd64. Expected tags that are free" in done.err
        assert done.login == ""


def test_immutable_tags_are_expected_where_they_are_asked_for(push: Repository) -> None:
    push.double.client.create_repository(repositoryName=NAME)
    done = push.check("--immutable-tags")
    assert done.status == 1
    assert "can be overwritten: expected immutable ones" in done.err
    assert "put-image-tag-mutability" in done.err


@pytest.mark.parametrize(
    ("operation", "code", "options"),
    [
        ("DescribeRepositories", "AccessDeniedException", ()),
        ("GetAuthorizationToken", "AccessDeniedException", ("--create-repository",)),
        ("DescribeRepositories", "UnrecognizedClientException", ()),
        ("DescribeRepositories", "ExpiredTokenException", ()),
    ],
)
def test_what_aws_refuses_is_one_line_with_advice(
    push: Repository, operation: str, code: str, options: tuple[str, ...]
) -> None:
    push.double.refusals[operation] = (code, "The reason")
    done = push.check(*options)
    assert done.status == 1
    (line,) = done.err.splitlines()
    assert f"{code}: The reason. " in line
    assert line.startswith("buildx.sh: ")


def test_boto3_tells_the_id_of_the_request(tmp_path: Path, double: Ecr) -> None:
    double.refusals["DescribeRepositories"] = ("AccessDeniedException", "The reason")
    assert f"(request id {REQUEST})" in Repository(tmp_path, double, "boto3").check().err


def test_credentials_of_another_account_are_named(push: Repository) -> None:
    done = push("check", f"999999999999.dkr.ecr.{REGION}.amazonaws.com/{NAME}", "--tags", "1")
    assert done.status == 1
    assert "in account 999999999999" in done.err
    assert "The credentials are those of account 123456789012." in done.err


def test_missing_credentials_are_said(either: Repository) -> None:
    done = either.check(AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="", HOME=str(either.folder))
    assert done.status == 1
    (line,) = done.err.splitlines()
    assert "no AWS credentials were found. Sign in" in line


def test_with_neither_way_to_ask_it_says_what_to_install(tmp_path: Path, double: Ecr) -> None:
    done = Repository(tmp_path, double, "aws").check(PATH=str(tmp_path))
    assert done.status == 1
    assert "expected one of them. `make venv` installs boto3" in done.err


@pytest.mark.parametrize(
    ("address", "complaint"),
    [
        (f"12345.dkr.ecr.{REGION}.amazonaws.com/serving", "an account of 12 digits"),
        (f"{HOST}/{'a' * 257}", "has 257 characters: expected 2 to 256"),
        (f"{HOST}/a", "has 1 characters"),
        (f"{HOST}/Serving", "expected lower-case letters"),
        (f"{HOST}/team//serving", "expected lower-case letters"),
    ],
)
def test_an_address_that_ecr_cannot_have(address: str, complaint: str) -> None:
    with pytest.raises(CloudError, match=complaint):
        repository.parse(address)


def test_a_region_that_is_none(tmp_path: Path, double: Ecr) -> None:
    done = Repository(tmp_path, double, "boto3")("check", f"123456789012.dkr.ecr.eu-wst-1.amazonaws.com/{NAME}")
    assert done.status == 1
    assert "'eu-wst-1'" in done.err


@pytest.mark.parametrize(
    ("mutability", "tag", "locked"),
    [
        ("IMMUTABLE", "1.0", True),
        ("MUTABLE", "1.0", False),
        ("IMMUTABLE_WITH_EXCLUSION", "1.0", True),
        ("IMMUTABLE_WITH_EXCLUSION", "dev-arm64", False),
        ("MUTABLE_WITH_EXCLUSION", "1.0", False),
        ("MUTABLE_WITH_EXCLUSION", "dev-arm64", True),
    ],
)
def test_tags_that_are_excepted(mutability: str, tag: str, *, locked: bool) -> None:
    filters = [{"filterType": "WILDCARD", "filter": "dev-*"}]
    described = {"imageTagMutability": mutability, "imageTagMutabilityExclusionFilters": filters}
    assert repository.locked(described, tag) == locked
