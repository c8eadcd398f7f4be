"""`deploy`: an endpoint is made, updated without downtime, or all of it taken back; what is left is named."""

import re
import time
from pathlib import Path

import boto3
import pytest

from assets import onnx_models
from cloud.conftest import Command
from harness.aws import BUCKET, IMAGE, MODEL, ROLE, Account
from harness.sagemaker import REGION, REQUEST, scaled
from serving.cloud import archives

SCALE = ("--autoscale", "1:4", "--target", "600")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model that is not in S3 yet."""
    (tmp_path / "model").mkdir()
    onnx_models.identity(tmp_path / "model" / "model.onnx")
    return tmp_path / "model"


def names(aws: Account) -> list[set[str]]:
    """Of the models, of the configurations and of the endpoints."""
    return [set(aws.sagemaker.held[kind]) for kind in ("model", "endpoint-config", "endpoint")]


def policies() -> dict[str, dict[str, object]]:
    client = boto3.client("application-autoscaling", region_name=REGION)
    found = client.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    return {each["PolicyName"]: each["TargetTrackingScalingPolicyConfiguration"] for each in found}


def test_an_endpoint_is_made(aws: Account, deploy: Command) -> None:
    done = deploy("--env", "SERVING_BATCH=off", "SERVING_FPMATH=strict", "--tags", "team=vision")
    assert done.status == 0, done.err
    assert aws.sagemaker.made() == ["CreateModel", "CreateEndpointConfig", "CreateEndpoint"]
    model = aws.sagemaker.last("CreateModel")
    name = model["ModelName"]
    assert name.startswith("digits-")
    assert model["ExecutionRoleArn"] == ROLE
    assert model["PrimaryContainer"] == {
        "Image": IMAGE,
        "ModelDataUrl": MODEL,
        "Environment": {"SERVING_BATCH": "off", "SERVING_FPMATH": "strict"},
    }
    tags = [{"Key": "graviton-serving:endpoint", "Value": "digits"}, {"Key": "team", "Value": "vision"}]
    assert model["Tags"] == tags
    config = aws.sagemaker.last("CreateEndpointConfig")
    variant = {"VariantName": "AllTraffic", "ModelName": name, "InstanceType": "ml.c7g.xlarge"}
    assert config["ProductionVariants"] == [variant | {"InitialInstanceCount": 1}]
    assert aws.sagemaker.last("CreateEndpoint") == {
        "EndpointName": "digits",
        "EndpointConfigName": name,
        "Tags": tags,
    }
    assert "Creating" in done.err
    assert done.err.endswith("digits is in service.\n")
    assert not scaled()


def test_a_directory_is_packed_and_uploaded_and_its_model_knows_where_to(
    aws: Account, deploy: Command, folder: Path
) -> None:
    done = deploy("--model-data", str(folder), "--bucket", BUCKET)
    assert done.status == 0, done.err
    assert re.search(r"\nuploaded [\d,]+ bytes\n", done.err)
    (key,) = aws.keys() - {"models/model.tar.gz"}
    assert key.startswith("graviton-serving/digits/")
    model = aws.sagemaker.last("CreateModel")
    assert model["PrimaryContainer"]["ModelDataUrl"] == f"s3://{BUCKET}/{key}"
    assert {"Key": "graviton-serving:archive", "Value": f"s3://{BUCKET}/{key}"} in model["Tags"]


def test_without_a_bucket_an_archive_goes_to_sagemakers_own(aws: Account, deploy: Command, folder: Path) -> None:
    bucket = f"sagemaker-{REGION}-123456789012"
    refused = deploy("--model-data", str(folder))
    assert refused.status == 1
    assert f"The bucket {bucket}" in refused.err
    aws.s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    assert deploy("--model-data", str(folder)).status == 0


def test_an_update_moves_the_endpoint_and_removes_what_it_replaces(aws: Account, deploy: Command, folder: Path) -> None:
    deploy("--model-data", str(folder), "--bucket", BUCKET)
    first, old = names(aws), aws.keys()
    onnx_models.identity(folder / "model.onnx", columns=5)
    # Others' things under names like ours stay.
    aws.put("graviton-serving/digits/mine.tar.gz")
    others = {"ModelName": "digits-mine", "Tags": [{"Key": "graviton-serving:endpoint", "Value": "digits-2"}]}
    aws.sagemaker.held["model"]["digits-mine"] = others
    aws.sagemaker.held["endpoint-config"]["digits-mine"] = {}
    done = deploy("--model-data", str(folder), "--bucket", BUCKET, "--instance-type", "ml.c8g.large")
    assert done.status == 0, done.err
    update = aws.sagemaker.last("UpdateEndpoint")
    assert "RetainAllVariantProperties" not in update
    assert aws.sagemaker.made()[3:] == [
        "CreateModel",
        "CreateEndpointConfig",
        "UpdateEndpoint",
        "DeleteEndpointConfig",
        "DeleteModel",
    ]
    new = update["EndpointConfigName"]
    assert names(aws) == [{new, "digits-mine"}, {new, "digits-mine"}, {"digits"}]
    assert new not in first[0]
    kept = aws.keys()
    assert "graviton-serving/digits/mine.tar.gz" in kept
    assert len(kept) == 3
    assert len(kept & old) == 1  # models/model.tar.gz


def test_an_update_with_the_same_model_keeps_its_archive(aws: Account, deploy: Command, folder: Path) -> None:
    deploy("--model-data", str(folder), "--bucket", BUCKET)
    before = aws.keys()
    done = deploy("--model-data", str(folder), "--bucket", BUCKET, "--instance-count", "2")
    assert done.status == 0, done.err
    assert "uploading" not in done.err
    assert aws.keys() == before


def test_an_archive_given_by_its_address_is_kept(aws: Account, deploy: Command, folder: Path) -> None:
    deploy("--model-data", str(folder), "--bucket", BUCKET)
    before = aws.keys()
    serving = aws.sagemaker.last("CreateModel")["PrimaryContainer"]["ModelDataUrl"]
    assert deploy("--model-data", serving).status == 0
    assert aws.keys() == before


def test_an_update_that_fails_at_once_keeps_the_archive_that_serves(
    aws: Account, deploy: Command, folder: Path
) -> None:
    deploy("--model-data", str(folder), "--bucket", BUCKET)
    before = aws.keys(), names(aws)
    aws.sagemaker.refuse("UpdateEndpoint", "ResourceLimitExceeded", "The account-level limit is 0")
    done = deploy("--model-data", str(folder), "--bucket", BUCKET)
    assert done.status == 1
    assert (aws.keys(), names(aws)) == before


@pytest.mark.parametrize("operation", ["CreateModel", "CreateEndpointConfig", "CreateEndpoint"])
def test_what_a_failed_run_has_made_is_removed(aws: Account, deploy: Command, folder: Path, operation: str) -> None:
    before = aws.keys()
    aws.sagemaker.refuse(operation, "ResourceLimitExceeded", "The account-level service limit is 0 Instances")
    done = deploy("--model-data", str(folder), "--bucket", BUCKET)
    assert done.status == 1
    assert names(aws) == [set(), set(), set()]
    assert aws.keys() == before
    (line,) = [line for line in done.err.splitlines() if "ResourceLimitExceeded" in line]
    assert "service limit is 0" in line
    assert "Ask for a higher quota" in line
    assert f"request id {REQUEST}" in line
    assert "Left behind" not in done.err


def test_what_cannot_be_removed_again_is_named(aws: Account, deploy: Command, folder: Path) -> None:
    aws.sagemaker.refuse("CreateEndpoint", "ResourceLimitExceeded", "The limit is 0")
    aws.sagemaker.refuse("DeleteModel", "AccessDeniedException", "You may not sagemaker:DeleteModel")
    done = deploy("--model-data", str(folder), "--bucket", BUCKET)
    assert done.status == 1
    (model,) = aws.sagemaker.held["model"]
    assert f"Left behind: model {model} (" in done.err
    assert "You may not sagemaker:DeleteModel" in done.err


def test_an_interrupted_run_takes_back_what_it_made(aws: Account, deploy: Command) -> None:
    def interrupt(operation: str) -> None:
        if operation == "CreateEndpoint":
            raise KeyboardInterrupt

    aws.sagemaker.before = interrupt
    done = deploy()
    assert done.status == 130
    assert done.err.endswith("Interrupted.\n")
    assert names(aws) == [set(), set(), set()]


def test_an_interrupted_wait_says_that_the_endpoint_goes_on(aws: Account, deploy: Command) -> None:
    def interrupt(operation: str) -> None:
        if operation == "DescribeEndpoint" and aws.sagemaker.held["endpoint"]:
            raise KeyboardInterrupt

    aws.sagemaker.before = interrupt
    done = deploy()
    assert done.status == 1
    assert "The endpoint digits goes on being made." in done.err
    assert [len(each) for each in names(aws)] == [1, 1, 1]


def test_an_endpoint_that_fails_is_removed_with_its_logs_last_lines_told(
    aws: Account, deploy: Command, folder: Path
) -> None:
    aws.sagemaker.outcome = "Failed"
    aws.log_group("digits")
    writes_when(aws, "CreateEndpoint", *(f"line {number}" for number in range(30)))
    before = aws.keys()
    done = deploy("--model-data", str(folder), "--bucket", BUCKET)
    assert done.status == 1
    assert "did not pass the ping health check" in done.err
    assert "  line 29\n" in done.err
    assert "  line 10\n" in done.err
    assert "line 9\n" not in done.err
    assert "All that this run made was removed." in done.err
    assert aws.sagemaker.made()[3:] == ["DeleteEndpoint", "DeleteEndpointConfig", "DeleteModel"]
    assert names(aws) == [set(), set(), set()]
    assert aws.keys() == before


def writes_when(aws: Account, operation: str, *lines: str, stream: str = "AllTraffic/i-1") -> None:
    """Have the container write, once the operation is called."""

    def written(called: str) -> None:
        if called == operation:
            aws.log("digits", *lines, stream=stream)

    aws.sagemaker.before = written


def test_a_log_that_cannot_be_read_does_not_hide_the_failure(aws: Account, deploy: Command) -> None:
    aws.sagemaker.outcome = "Failed"
    aws.refuse("DescribeLogStreams", "AccessDeniedException", "You may not")
    done = deploy()
    assert "The container's log cannot be read: logs describe_log_streams: AccessDeniedException" in done.err
    assert "did not pass the ping health check" in done.err


@pytest.mark.parametrize("group", [True, False], ids=("a group", "no group"))
def test_a_container_that_has_written_nothing_is_told(aws: Account, deploy: Command, *, group: bool) -> None:
    aws.sagemaker.outcome = "Failed"
    if group:
        aws.log_group("digits")
    assert "  The container has written nothing: see in the reason above" in deploy().err


def test_the_log_of_an_endpoint_that_had_the_name_before_is_not_told(aws: Account, deploy: Command) -> None:
    aws.sagemaker.outcome = "Failed"
    aws.log_group("digits")
    aws.log("digits", "a line of old")
    aws.sagemaker.now = lambda: time.time() + 60
    done = deploy()
    assert "a line of old" not in done.err
    assert "The container has written nothing" in done.err


def until_the_next_millisecond() -> None:
    """In milliseconds CloudWatch tells which was made first."""
    before = int(time.time() * 1000)
    while int(time.time() * 1000) <= before:
        pass


def test_of_several_logs_that_of_the_newest_instance_is_told(aws: Account, deploy: Command) -> None:
    deploy()
    aws.log_group("digits")
    aws.log("digits", "the old instance serves", stream="AllTraffic/i-old")
    until_the_next_millisecond()
    aws.log("digits", "the new instance fails", stream="AllTraffic/i-new")
    aws.log("digits", "the queue's own", stream="AllTraffic/i-new/data-log")
    # Its last line is the latest of all.
    until_the_next_millisecond()
    logs = boto3.client("logs", region_name=REGION)
    late = [{"timestamp": int(time.time() * 1000) + 9, "message": "the old instance still serves"}]
    group = "/aws/sagemaker/Endpoints/digits"
    logs.put_log_events(logGroupName=group, logStreamName="AllTraffic/i-old", logEvents=late)
    aws.sagemaker.now = lambda: 0
    aws.sagemaker.outcome = "RolledBack"
    done = deploy()
    assert "  the new instance fails\n" in done.err
    assert "still serves" not in done.err


def test_an_update_that_is_rolled_back_leaves_what_was(aws: Account, deploy: Command, folder: Path) -> None:
    deploy(*SCALE)
    before = names(aws), aws.keys(), scaled()[0]["MaxCapacity"], policies()
    aws.sagemaker.outcome = "RolledBack"
    done = deploy(
        "--model-data", str(folder), "--bucket", BUCKET, "--instance-type", "ml.c8g.large", "--autoscale", "2:9",
        "--target", "1",
    )  # fmt: skip
    assert done.status == 1
    assert "was rolled back to what it was: The container did not pass" in done.err
    assert (names(aws), aws.keys(), scaled()[0]["MaxCapacity"], policies()) == before


@pytest.mark.parametrize("outcome", ["Failed", "UpdateRollbackFailed"])
def test_an_update_that_ends_badly_is_left_and_named(aws: Account, deploy: Command, outcome: str) -> None:
    deploy()
    aws.sagemaker.outcome = outcome
    done = deploy()
    assert done.status == 1
    assert "It was left as it is." in done.err
    assert [len(each) for each in names(aws)] == [2, 2, 1]


def test_an_endpoint_that_never_comes_is_left_and_named(
    aws: Account, deploy: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.cloud.endpoints.WAIT_SECONDS", 0.0)
    aws.sagemaker.polls = 10**6
    done = deploy()
    assert done.status == 1
    assert "still Creating" in done.err
    assert "It was left as it is." in done.err
    assert [len(each) for each in names(aws)] == [1, 1, 1]


def test_others_endpoints_are_not_touched(aws: Account, deploy: Command) -> None:
    aws.sagemaker.held["endpoint"]["digits"] = {"Status": "InService", "EndpointConfigName": "theirs"}
    done = deploy()
    assert done.status == 1
    assert done.err.endswith("There is an endpoint digits that `deploy` has not made. Take another --name.\n")
    assert aws.sagemaker.made() == []


def test_an_endpoint_on_its_way_is_not_updated(aws: Account, deploy: Command) -> None:
    aws.sagemaker.polls = 2
    assert deploy("--no-wait").status == 0
    done = deploy()
    assert done.status == 1
    assert "is Creating (no reason given): expected InService. Wait and run this again." in done.err


def test_a_failed_endpoint_is_to_be_deleted_first(aws: Account, deploy: Command) -> None:
    aws.sagemaker.outcome = "Failed"
    aws.sagemaker.polls = 0
    assert deploy("--no-wait").status == 0
    done = deploy()
    assert "Run `graviton-serving delete --name digits`" in done.err


def test_without_waiting_the_next_run_removes_what_was_replaced(aws: Account, deploy: Command) -> None:
    deploy()
    done = deploy("--no-wait")
    assert done.status == 0
    assert "Not waiting" in done.err
    assert [len(each) for each in names(aws)] == [2, 2, 1]
    aws.sagemaker.polls = 0
    aws.clients.client("sagemaker").describe_endpoint(EndpointName="digits")
    aws.clients.client("sagemaker").describe_endpoint(EndpointName="digits")
    assert deploy().status == 0
    assert [len(each) for each in names(aws)] == [1, 1, 1]


@pytest.mark.usefixtures("aws")
def test_scaling_is_set_when_the_endpoint_is_in_service(deploy: Command) -> None:
    done = deploy(*SCALE)
    assert done.status == 0, done.err
    (target,) = scaled()
    assert target["ResourceId"] == "endpoint/digits/variant/AllTraffic"
    assert (target["MinCapacity"], target["MaxCapacity"]) == (1, 4)
    metric = {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"}
    assert policies() == {"digits-target": {"TargetValue": 600.0, "PredefinedMetricSpecification": metric}}


def test_an_asynchronous_endpoint_is_scaled_by_its_queue(aws: Account, deploy: Command) -> None:
    done = deploy("--async", "s3://bucket/queue/", *SCALE)
    assert done.status == 0, done.err
    places = {"S3OutputPath": "s3://bucket/queue/answers", "S3FailurePath": "s3://bucket/queue/failures"}
    assert aws.sagemaker.last("CreateEndpointConfig")["AsyncInferenceConfig"] == {"OutputConfig": places}
    metric = policies()["digits-target"]["CustomizedMetricSpecification"]
    assert metric == {
        "MetricName": "ApproximateBacklogSizePerInstance",
        "Namespace": "AWS/SageMaker",
        "Dimensions": [{"Name": "EndpointName", "Value": "digits"}],
        "Statistic": "Average",
    }


def test_an_update_keeps_the_scaling_and_the_number_of_instances(aws: Account, deploy: Command) -> None:
    deploy(*SCALE)
    before = scaled(), policies()
    done = deploy("--env", "SERVING_BATCH=off")
    assert done.status == 0, done.err
    assert aws.sagemaker.last("UpdateEndpoint")["RetainAllVariantProperties"] is True
    assert (scaled(), policies()) == before


@pytest.mark.usefixtures("aws")
def test_another_instance_type_takes_the_scaling_away_and_puts_it_back(deploy: Command) -> None:
    deploy(*SCALE)
    client = boto3.client("application-autoscaling", region_name=REGION)
    target = {key: scaled()[0][key] for key in ("ServiceNamespace", "ResourceId", "ScalableDimension")}
    tracking = {"TargetValue": 50.0, "CustomizedMetricSpecification": {"MetricName": "CPU", "Namespace": "N"}}
    tracking["CustomizedMetricSpecification"] |= {"Statistic": "Average"}  # type: ignore[operator]
    client.put_scaling_policy(
        PolicyName="mine",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration=tracking,
        **target,
    )
    before = policies()
    done = deploy("--instance-type", "ml.c8g.large", "--autoscale", "2:9", "--target", "300")
    assert done.status == 0, done.err
    (found,) = scaled()
    assert (found["MinCapacity"], found["MaxCapacity"]) == (2, 9)
    assert policies()["digits-target"]["TargetValue"] == 300.0
    assert policies()["mine"] == before["mine"]


def test_another_instance_type_of_a_scaled_endpoint_must_be_waited_for(aws: Account, deploy: Command) -> None:
    deploy(*SCALE)
    before = names(aws), scaled()
    done = deploy("--instance-type", "ml.c8g.large", "--no-wait")
    assert done.status == 1
    assert "Deploy without --no-wait." in done.err
    assert (names(aws), scaled()) == before


def test_scaling_without_waiting_is_refused_at_once(aws: Account, deploy: Command) -> None:
    done = deploy(*SCALE, "--no-wait")
    assert done.status == 1
    assert "only an endpoint in service can be scaled" in done.err
    assert aws.sagemaker.made() == []


@pytest.mark.parametrize("operation", ["RegisterScalableTarget", "PutScalingPolicy"])
def test_an_endpoint_that_could_not_be_scaled_is_named(aws: Account, deploy: Command, operation: str) -> None:
    aws.refuse(operation, "ValidationException", "No such thing")
    done = deploy(*SCALE)
    assert done.status == 1
    assert "ValidationException: No such thing" in done.err
    assert "The endpoint digits is in service, but not scaled as was asked" in done.err
    assert [len(each) for each in names(aws)] == [1, 1, 1]


def test_scaling_that_cannot_be_put_back_is_named(aws: Account, deploy: Command) -> None:
    deploy(*SCALE)
    aws.sagemaker.outcome = "RolledBack"
    aws.refuse("RegisterScalableTarget", "ValidationException", "No such thing")
    done = deploy("--instance-type", "ml.c8g.large")
    assert done.status == 1
    assert "Left behind: the endpoint without its scaling (application-autoscaling register_scalable_target" in done.err


def test_an_upload_that_fails_leaves_nothing(aws: Account, deploy: Command, folder: Path) -> None:
    before = aws.keys()
    aws.refuse("PutObject", "AccessDenied", "Access Denied")
    done = deploy("--model-data", str(folder), "--bucket", BUCKET)
    assert done.status == 1
    assert "could not be uploaded to s3://bucket/graviton-serving/digits/" in done.err
    assert "AccessDenied" in done.err
    assert (aws.keys(), aws.sagemaker.made()) == (before, [])


def test_a_bucket_that_may_not_be_read_is_told_before_anything_is_made(
    aws: Account, deploy: Command, folder: Path
) -> None:
    aws.refuse("HeadObject", "403", "Forbidden")
    done = deploy("--model-data", str(folder), "--bucket", BUCKET)
    assert done.status == 1
    assert "could not be looked for: 403: Forbidden. Give this identity the permission to read it." in done.err
    assert aws.sagemaker.made() == []


def test_a_tag_that_someone_has_changed_removes_nothing_else(aws: Account, deploy: Command) -> None:
    deploy()
    (model,) = aws.sagemaker.held["model"].values()
    model["Tags"].append({"Key": "graviton-serving:archive", "Value": "bucket/models/model.tar.gz"})
    done = deploy()
    assert done.status == 1
    assert "'bucket/models/model.tar.gz' is no address in S3" in done.err
    assert aws.keys() == {"models/model.tar.gz"}


def test_what_an_update_could_not_remove_is_named(aws: Account, deploy: Command) -> None:
    deploy()
    (old,) = aws.sagemaker.held["model"]
    aws.sagemaker.refuse("DeleteModel", "AccessDeniedException", "You may not")
    done = deploy()
    assert done.status == 1
    assert f"is in service, but this is left of what it was: model {old} (" in done.err


@pytest.mark.parametrize("outcome", ["Failed", "UpdateRollbackFailed"])
def test_scaling_that_went_for_an_update_that_ends_badly_is_named(aws: Account, deploy: Command, outcome: str) -> None:
    deploy(*SCALE)
    aws.sagemaker.outcome = outcome
    done = deploy("--instance-type", "ml.c8g.large")
    assert done.status == 1
    assert "Its scaling between 1 and 4 instances was taken away for this and is not back" in done.err
    assert not scaled()


def test_scaling_that_went_for_an_update_that_is_interrupted_is_named(aws: Account, deploy: Command) -> None:
    deploy(*SCALE)

    def interrupt(operation: str) -> None:
        if operation == "DescribeEndpoint" and "UpdateEndpoint" in aws.sagemaker.made():
            raise KeyboardInterrupt

    aws.sagemaker.before = interrupt
    done = deploy("--instance-type", "ml.c8g.large")
    assert done.status == 1
    assert "goes on being made. Its scaling between 1 and 4 instances was taken away" in done.err


def test_a_state_that_lasts_is_told_each_minute(aws: Account, deploy: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter(range(0, 10_000, 25))
    monkeypatch.setattr("serving.cloud.endpoints.time.monotonic", lambda: float(next(ticks)))
    aws.sagemaker.polls = 8
    done = deploy()
    assert done.status == 0, done.err
    told = [line for line in done.err.splitlines() if line.endswith("Creating")]
    assert 3 <= len(told) <= 4


@pytest.mark.parametrize(
    ("options", "count"),
    [((), 1), (("--instance-count", "2"), 2), (SCALE, 1), (("--autoscale", "3:4", "--target", "9"), 3)],
)
def test_an_endpoint_begins_with_as_many_instances_as_it_may_have(
    aws: Account, deploy: Command, options: tuple[str, ...], count: int
) -> None:
    assert deploy(*options).status == 0
    (variant,) = aws.sagemaker.last("CreateEndpointConfig")["ProductionVariants"]
    assert variant["InitialInstanceCount"] == count


def test_an_archive_that_is_here_is_uploaded(aws: Account, deploy: Command, folder: Path, tmp_path: Path) -> None:
    packed = archives.pack(folder, tmp_path / "mine.tar.gz", lambda _: None)
    done = deploy("--model-data", str(packed.path), "--bucket", BUCKET)
    assert done.status == 0, done.err
    where = f"graviton-serving/digits/{packed.sha256}/model.tar.gz"
    assert aws.s3.get_object(Bucket=BUCKET, Key=where)["Body"].read() == packed.path.read_bytes()
    # Packed by itself, it is the same model.
    assert "uploading" not in deploy("--model-data", str(folder), "--bucket", BUCKET).err


def test_model_data_that_is_not_here_is_told(aws: Account, deploy: Command, tmp_path: Path) -> None:
    done = deploy("--model-data", str(tmp_path / "none"))
    assert done.status == 1
    assert "which is not here: expected a directory, an archive as `pack` makes it, or s3://BUCKET/KEY." in done.err
    (tmp_path / "no.tar.gz").write_bytes(b"no archive")
    assert "no.tar.gz cannot be read as .tar.gz" in deploy("--model-data", str(tmp_path / "no.tar.gz")).err
    assert aws.sagemaker.made() == []


def test_throttling_is_waited_out(aws: Account, deploy: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("time.sleep", waits.append)
    aws.sagemaker.refuse("CreateModel", "ThrottlingException", "Rate exceeded", times=3)
    assert deploy().status == 0
    assert len([each for each in waits if each > 0]) == 3


def test_throttling_without_end_is_told(aws: Account, deploy: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    aws.sagemaker.refuse("CreateModel", "ThrottlingException", "Rate exceeded", times=8)
    done = deploy()
    assert done.status == 1
    assert "ThrottlingException: Rate exceeded" in done.err
    assert "Run the command again in a minute." in done.err
