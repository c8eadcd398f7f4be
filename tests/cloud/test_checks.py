"""What AWS would find out after minutes is found out before anything is created, a line for each."""

from dataclasses import replace
from pathlib import Path

import boto3
import pytest
from botocore.session import Session

from cloud.conftest import Command
from harness.aws import IMAGE, MODEL, ROLE, Account, archive
from serving.cloud import checks, images
from serving.cloud.deployment import Deployment, prefix

WANTED = Deployment("digits", IMAGE, MODEL, ROLE, "ml.c7g.xlarge", "0" * 8)


def problems(aws: Account, **changed: object) -> list[str]:
    return checks.problems(aws.clients, replace(WANTED, **changed), lambda _: None)  # type: ignore[arg-type]


def test_what_is_right_has_no_problems(aws: Account) -> None:
    assert problems(aws) == []


def test_the_limits_are_those_of_the_apis_own_model() -> None:
    model = Session().get_service_model("sagemaker")

    def limits(shape: str) -> dict[str, object]:
        held: dict[str, object] = model.shape_for(shape).metadata
        return held

    assert limits("EndpointName")["pattern"] == checks.NAME.pattern
    assert limits("EndpointName")["max"] == 63
    assert limits("RoleArn")["pattern"] == checks.ROLE.pattern
    assert limits("EnvironmentKey")["pattern"] == checks.VARIABLE.pattern
    assert limits("EnvironmentKey")["max"] == limits("EnvironmentValue")["max"] == checks.LONGEST_VARIABLE
    assert limits("EnvironmentMap")["max"] == checks.MOST_VARIABLES
    assert limits("ContainerImage")["max"] == images.ADDRESS_LIMIT


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"name": "a" * 64}, "aaa', of 64 characters: expected up to 63 letters"),
        ({"name": "-digits"}, "expected up to 63 letters, digits and hyphens"),
        ({"name": "my_digits"}, "expected up to 63 letters"),
        ({"role": "serving"}, "--role is 'serving': expected an IAM role's ARN"),
        ({"role": "arn:aws:iam::123456789012:user/me"}, "expected an IAM role's ARN"),
        ({"role": "arn:aws:iam::12345:role/serving"}, "expected an IAM role's ARN"),
        ({"instance_type": "ml.m7g.large"}, "SageMaker has no endpoints on it"),
        ({"instance_type": "c7g.xlarge"}, "SageMaker has no endpoints on it"),
        ({"instance_count": 0}, "--instance-count is 0: expected 1 or more"),
        ({"autoscale": (3, 2), "target": 1.0}, "--autoscale is 3:2: expected MIN:MAX"),
        ({"autoscale": (0, 2), "target": 1.0}, "with 1 <= MIN <= MAX"),
        ({"autoscale": (1, 2)}, "--autoscale needs --target"),
        ({"target": 600.0}, "--target is 600, which is for --autoscale MIN:MAX"),
        ({"async_output": "bucket/queue"}, "--async is 'bucket/queue'"),
        ({"tags": {"graviton-serving:endpoint": "x"}}, "this tag is set by deploy itself"),
        ({"environment": {f"V{number}": "" for number in range(101)}}, "101 variables; SageMaker takes 100"),
        ({"environment": {"1ST": "x"}}, "--env '1ST': expected a name"),
        ({"environment": {"A": "x" * 1025}}, "--env A: 1025 characters; SageMaker takes 1024"),
        ({"environment": {"A" * 1025: "x"}}, "1025 characters; SageMaker takes 1024"),
        ({"environment": {f"V{number:02}": "x" * 1022 for number in range(33)}}, "33825 bytes in all; SageMaker takes"),
        ({"model_data": "model.tar.gz"}, "expected s3://BUCKET/"),
        ({"model_data": "s3://bucket/models/"}, "SageMaker unpacks only"),
        ({"model_data": "s3://bucket/gone.tar.gz"}, "s3://bucket/gone.tar.gz could not be read: NoSuchKey"),
        ({"model_data": "s3://nowhere/model.tar.gz"}, "The bucket nowhere, for --model-data, cannot be used: 404"),
        # A request's id is always told, and if it is only that nobody knows it.
        ({"model_data": "s3://nowhere/model.tar.gz"}, "(request id unknown)"),
        ({"async_output": "s3://nowhere/queue"}, "The bucket nowhere, for --async, cannot be used: 404"),
        ({"model_data": "s3://elsewhere/model.tar.gz"}, "is in us-east-2: expected the endpoint's region, eu-west-1."),
        ({"async_output": "s3://elsewhere/queue"}, "The bucket elsewhere, for --async, is in us-east-2"),
        ({"environment": {"SERVING_BATCH": "perhaps"}}, "--env: SERVING_BATCH is 'perhaps'; it takes on or off."),
        ({"instance_count": 5, "autoscale": (1, 4), "target": 1.0}, "expected one that --autoscale 1:4 allows"),
        ({"instance_count": 1, "autoscale": (2, 4), "target": 1.0}, "expected one that --autoscale 2:4 allows"),
        ({"multi_model": True}, "expects a prefix of archives, ending in a slash"),
        ({"multi_model": True, "model_data": "s3://bucket/none/"}, "No .tar.gz was found below s3://bucket/none/"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(aws: Account, changed: dict[str, object], reason: str) -> None:
    other = boto3.client("s3", region_name="us-east-2")
    other.create_bucket(Bucket="elsewhere", CreateBucketConfiguration={"LocationConstraint": "us-east-2"})
    found = problems(aws, **changed)
    (line,) = [line for line in found if reason in line]
    assert "\n" not in line
    assert aws.sagemaker.made() == []


def test_limits_are_reached_without_a_complaint(aws: Account) -> None:
    exact = {f"V{number:02}": "x" * 1021 for number in range(32)}
    assert problems(aws, name="a" * 63, environment=exact, autoscale=(1, 1), target=0.5) == []


def test_names_of_the_longest_endpoint_fit() -> None:
    for name in ("a" * 63, "a" * 53 + "-" + "b" * 9):
        part = replace(WANTED, name=name).part_name
        assert len(part) <= 63
        assert checks.NAME.fullmatch(part)
        assert part.startswith(prefix(name))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"no archive", "s3://bucket/models/model.tar.gz cannot be read as .tar.gz"),
        (archive("model.onnx")[:-30], "cannot be read as .tar.gz"),
        (archive("model.pt"), "s3://bucket/models/model.tar.gz: No model was found in the archive"),
        (archive("a/b/model.onnx"), "No model was found in the archive"),
        (archive("m/model.onnx", "m/code/inference.py"), "expected code/inference.py at the archive's root"),
    ],
    ids=("no archive", "cut off", "other framework", "nested twice", "nested script"),
)
def test_an_archive_that_no_backend_takes_is_found_out(aws: Account, content: bytes, reason: str) -> None:
    aws.put("models/model.tar.gz", content)
    (line,) = problems(aws)
    assert reason in line


def test_a_prefix_of_archives_is_what_many_models_need(aws: Account) -> None:
    label = {images.MULTI_MODEL_LABEL: "true"}
    aws.push_list("1.0", aws.push("1.0-arm64", "arm64", label))
    assert problems(aws, multi_model=True, model_data="s3://bucket/models/") == []


def test_one_of_many_models_is_looked_into(aws: Account) -> None:
    aws.push_list("1.0", aws.push("1.0-arm64", "arm64", {images.MULTI_MODEL_LABEL: "true"}))
    # More than S3 lists at once, before the first archive.
    for number in range(1001):
        aws.put(f"many/{number:04}.txt")
    aws.put("many/9.tar.gz", archive("model.pt"))
    (line,) = problems(aws, multi_model=True, model_data="s3://bucket/many/")
    assert line.startswith("s3://bucket/many/9.tar.gz: No model was found in the archive")


def test_a_bucket_that_may_not_be_listed_is_read_all_the_same(aws: Account) -> None:
    aws.refuse("HeadBucket", "403", "Forbidden", status=403)
    assert problems(aws) == []


def test_all_that_is_wrong_is_told_at_once(aws: Account, deploy: Command, tmp_path: Path) -> None:
    done = deploy("--role", "me", "--instance-type", "ml.x.large", "--model-data", "s3://bucket/gone.tar.gz")
    assert done.status == 1
    assert len([line for line in done.err.splitlines() if line.startswith("* ")]) == 3
    assert "Nothing was created, for of the checks 3 failed.\n" in done.err
    assert aws.sagemaker.made() == []
    dry = deploy("--role", "me", "--dry-run")
    assert "Nothing was created, for of the checks 1 failed. --no-check prints the calls all the same.\n" in dry.err
    empty = deploy("--model-data", str(tmp_path))
    assert empty.status == 1
    assert f"{tmp_path}: No model was found" in empty.err


def test_checks_can_be_left_out(aws: Account, deploy: Command) -> None:
    assert deploy("--no-check", "--model-data", "s3://bucket/gone.tar.gz").status == 0
    assert aws.sagemaker.made() == ["CreateModel", "CreateEndpointConfig", "CreateEndpoint"]
