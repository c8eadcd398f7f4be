"""The commands on AWS as operators meet them: what is printed, exit statuses, one line for what stands in the way."""

import json

import pytest

from cloud.conftest import Command
from harness.aws import BUCKET, IMAGE, MODEL, ROLE, Account
from harness.sagemaker import REQUEST, scaled
from serving.cloud.session import ATTEMPTS

SCALE = ("--autoscale", "1:4", "--target", "600")
ABSENT = "There is no endpoint digits in eu-west-1"


def test_a_dry_run_prints_the_calls_as_json_and_makes_none(aws: Account, deploy: Command) -> None:
    done = deploy("--dry-run", "json")
    assert done.status == 0, done.err
    printed = json.loads(done.out)
    methods = ["create_model", "create_endpoint_config", "create_endpoint"]
    assert [(each["service"], each["method"]) for each in printed] == [("sagemaker", method) for method in methods]
    assert aws.sagemaker.made() == []
    assert printed[0]["parameters"]["PrimaryContainer"] == {"Image": IMAGE, "ModelDataUrl": MODEL}


def test_the_printed_program_runs_and_makes_what_deploy_makes(
    aws: Account, deploy: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)  # boto3's waiter waits for half a minute
    options = ("--env", 'A=it\'s "quoted"', "--async", "s3://bucket/queue", *SCALE)
    done = deploy("--dry-run", "python", *options)
    assert done.status == 0, done.err
    exec(compile(done.out, "printed", "exec"), {})  # noqa: S102 (this is the promise)
    printed = {name: aws.sagemaker.last(name) for name in aws.sagemaker.made()}
    assert scaled()
    assert list(printed) == ["CreateModel", "CreateEndpointConfig", "CreateEndpoint"]
    own = printed["CreateModel"]["ModelName"]
    clients = aws.clients.client("sagemaker")
    clients.delete_endpoint(EndpointName="digits")
    assert deploy(*options).status == 0
    for name, given in printed.items():
        made = json.dumps(aws.sagemaker.last(name))
        assert json.loads(made.replace(aws.sagemaker.last("CreateModel")["ModelName"], own)) == given


def test_a_dry_run_of_an_update_prints_the_update(aws: Account, deploy: Command) -> None:
    deploy(*SCALE)
    before = aws.sagemaker.made()
    done = deploy("--dry-run")
    assert aws.sagemaker.made() == before
    document, _, program = done.out.partition("\nimport boto3\n")
    assert json.loads(document)[2]["method"] == "update_endpoint"
    assert json.loads(document)[2]["parameters"]["RetainAllVariantProperties"] is True
    assert "sagemaker.update_endpoint(" in program


def test_the_printed_program_of_another_instance_type_runs_too(
    aws: Account, deploy: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    deploy(*SCALE)
    done = deploy("--dry-run", "python", "--instance-type", "ml.c8g.large")
    assert done.status == 0, done.err
    exec(compile(done.out, "printed", "exec"), {})  # noqa: S102 (this is the promise)
    assert aws.sagemaker.made()[-1] == "UpdateEndpoint"
    (config,) = [each for each in aws.sagemaker.held["endpoint-config"].values() if each["Made"] and "c8g" in str(each)]
    assert aws.sagemaker.held["endpoint"]["digits"]["EndpointConfigName"] == config["EndpointConfigName"]
    assert (scaled()[0]["MinCapacity"], scaled()[0]["MaxCapacity"]) == (1, 4)


def test_a_dry_run_without_checks_asks_nobody(aws: Account, deploy: Command) -> None:
    done = deploy("--dry-run", "json", "--no-check")
    assert done.status == 0
    assert aws.sagemaker.calls == []


def test_a_dry_run_with_a_directory_uploads_nothing(aws: Account, deploy: Command) -> None:
    done = deploy("--dry-run", "json", "--model-data", "examples/digits/model", "--bucket", BUCKET)
    assert done.status == 0, done.err
    where = json.loads(done.out)[0]["parameters"]["PrimaryContainer"]["ModelDataUrl"]
    assert f"The archive would be uploaded to {where} first." in done.err
    assert aws.keys() == {"models/model.tar.gz"}


def test_many_models_are_one_prefix(aws: Account, deploy: Command) -> None:
    done = deploy("--dry-run", "json", "--no-check", "--multi-model", "--model-data", "s3://bucket/models/")
    container = json.loads(done.out)[0]["parameters"]["PrimaryContainer"]
    assert container == {"Image": IMAGE, "ModelDataUrl": "s3://bucket/models/", "Mode": "MultiModel"}
    assert aws.sagemaker.made() == []


def test_status_tells_what_there_is(aws: Account, deploy: Command, command: Command) -> None:
    deploy(*SCALE)
    done = command("status", "--name", "digits")
    assert done.status == 0
    (name,) = aws.sagemaker.held["model"]
    assert done.out.splitlines() == [
        f"digits: InService, configuration {name}",
        "AllTraffic: 1 of 2 instances, the-image",
        "scaled between 1 and 4 instances",
    ]


def test_status_of_a_failed_endpoint_tells_why(aws: Account, deploy: Command, command: Command) -> None:
    aws.sagemaker.outcome, aws.sagemaker.polls = "Failed", 0
    deploy("--no-wait")
    aws.log_group("digits")
    aws.log("digits", "the model is broken")
    done = command("status", "--name", "digits")
    assert done.status == 1
    assert "digits: Failed" in done.out
    assert "did not pass the ping health check" in done.out
    assert done.out.endswith("  the model is broken\n")


def test_delete_removes_what_deploy_made_and_nothing_else(aws: Account, deploy: Command, command: Command) -> None:
    deploy("--model-data", "examples/digits/model", "--bucket", BUCKET, *SCALE)
    for key in ("graviton-serving/digits/mine", "graviton-serving/digits-2/model.tar.gz"):
        aws.put(key)
    theirs = {"Tags": [{"Key": "graviton-serving:endpoint", "Value": "digits-2"}]}
    for kind in ("model", "endpoint-config"):
        aws.sagemaker.held[kind] |= {"digits-2": theirs, "my-digits-00000000": {}}
    aws.sagemaker.held["endpoint"]["digits-2"] = {"Status": "InService", "EndpointConfigName": "digits-2"}
    aws.log_group("digits")
    aws.log("digits", "a line")
    done = command("delete", "--name", "digits")
    assert done.status == 0, done.err
    assert (
        set(aws.sagemaker.held["model"])
        == set(aws.sagemaker.held["endpoint-config"])
        == {
            "digits-2",
            "my-digits-00000000",
        }
    )
    assert set(aws.sagemaker.held["endpoint"]) == {"digits-2"}
    assert aws.keys() == {
        "models/model.tar.gz",
        "graviton-serving/digits/mine",
        "graviton-serving/digits-2/model.tar.gz",
    }
    assert not scaled()
    removed = [line.split()[1] for line in done.err.splitlines() if line.startswith("removed: ")]
    assert len(removed) == 5
    again = command("delete", "--name", "digits")
    assert again.status == 1
    assert ABSENT in again.err


def test_delete_removes_what_is_left_of_an_endpoint_that_is_gone(
    aws: Account, deploy: Command, command: Command
) -> None:
    deploy()
    del aws.sagemaker.held["endpoint"]["digits"]
    assert command("delete", "--name", "digits").status == 0
    assert not any(aws.sagemaker.held.values())


def test_delete_of_an_endpoint_on_its_way_leaves_and_names_all(aws: Account, deploy: Command, command: Command) -> None:
    aws.sagemaker.polls = 10
    deploy("--no-wait", "--model-data", "examples/digits/model", "--bucket", BUCKET)
    (name,), keys = aws.sagemaker.held["model"], aws.keys()
    done = command("delete", "--name", "digits")
    assert done.status == 1
    assert (
        "Not removed: endpoint digits (sagemaker delete_endpoint: ValidationException: Cannot update in-pro" in done.err
    )
    assert (
        f"So this is left, too: endpoint config {name}, model {name}, s3://bucket/graviton-serving/digits/" in done.err
    )
    assert all(aws.sagemaker.held.values())
    assert aws.keys() == keys


def test_delete_removes_an_endpoint_that_is_stuck_in_failed(aws: Account, deploy: Command, command: Command) -> None:
    aws.sagemaker.outcome, aws.sagemaker.polls = "Failed", 0
    deploy("--no-wait", "--model-data", "examples/digits/model", "--bucket", BUCKET)
    assert command("status", "--name", "digits").status == 1
    assert command("delete", "--name", "digits").status == 0
    assert not any(aws.sagemaker.held.values())
    assert aws.keys() == {"models/model.tar.gz"}


def test_delete_names_what_it_could_not_remove(aws: Account, deploy: Command, command: Command) -> None:
    deploy("--model-data", "examples/digits/model", "--bucket", BUCKET)
    aws.refuse("DeleteObject", "AccessDenied", "Access Denied")
    aws.sagemaker.refuse("DeleteEndpointConfig", "AccessDeniedException", "You may not")
    done = command("delete", "--name", "digits")
    assert done.status == 1
    (config,) = aws.sagemaker.held["endpoint-config"]
    assert f"Not removed: endpoint config {config} (" in done.err
    assert "Run this again when the cause is gone" in done.err
    assert "; s3://bucket/graviton-serving/digits/" in done.err


def test_delete_does_not_touch_others_endpoints(aws: Account, command: Command) -> None:
    aws.sagemaker.held["endpoint"]["digits"] = {"Status": "InService", "EndpointConfigName": "theirs"}
    done = command("delete", "--name", "digits")
    assert done == (1, "", "`deploy` has not made the endpoint digits, so nothing was removed.\n")
    assert aws.sagemaker.made() == []


@pytest.mark.parametrize("words", [("status",), ("delete",), ("invoke", "-")])
@pytest.mark.usefixtures("aws")
def test_an_endpoint_that_is_not_there_is_told(command: Command, words: tuple[str, ...]) -> None:
    done = command(*words, "--name", "digits")
    assert (done.status, done.out) == (1, "")
    assert ABSENT in done.err


def test_no_credentials_are_told_with_what_to_do(
    aws: Account, deploy: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    done = deploy("--no-check")
    assert done.status == 1
    (line,) = done.err.splitlines()
    assert "no AWS credentials were found. Sign in" in line
    assert aws.sagemaker.calls == []
    # The checks, each of which would ask AWS, do not repeat it.
    checked = deploy().err
    assert checked.count("no AWS credentials were found") == 1
    assert "of the checks 1 failed" in checked


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--region", "eu-west-99"), "The region 'eu-west-99' is none of SageMaker's. Correct it"),
        (("--profile", "nobody"), "The config profile (nobody) could not be found"),
    ],
)
@pytest.mark.usefixtures("aws")
def test_a_wrong_region_or_profile_is_told(command: Command, options: tuple[str, ...], reason: str) -> None:
    done = command("status", "--name", "digits", *options)
    assert done.status == 1
    assert reason in done.err
    assert len(done.err.splitlines()) == 1


@pytest.mark.usefixtures("aws")
def test_no_region_is_told(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    done = command("status", "--name", "digits")
    assert (done.status, done.err.partition(":")[0]) == (1, "No region is known")


def test_the_region_of_the_command_line_counts(aws: Account, command: Command) -> None:
    done = command("status", "--name", "digits", "--region", "us-east-2")
    assert "There is no endpoint digits in us-east-2." in done.err
    assert aws.sagemaker.calls


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        ("AccessDeniedException", "Give this identity the permission"),
        ("ExpiredTokenException", "Sign in again."),
        ("UnrecognizedClientException", "Check the credentials"),
        ("InternalFailure", "(request id"),
    ],
)
def test_aws_refusal_is_one_line_with_its_request(
    aws: Account, command: Command, code: str, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    aws.sagemaker.refuse("DescribeEndpoint", code, "This\nis why.", times=ATTEMPTS)
    done = command("status", "--name", "digits")
    (line,) = done.err.splitlines()
    assert line.startswith(f"sagemaker describe_endpoint: {code}: This is why.")
    assert advice in line
    assert line.endswith(f"(request id {REQUEST})")


def test_a_validation_error_is_not_an_absent_endpoint(aws: Account, command: Command) -> None:
    aws.sagemaker.refuse("DescribeEndpoint", "ValidationException", "Something else is wrong")
    done = command("delete", "--name", "digits")
    assert "Something else is wrong" in done.err
    assert aws.sagemaker.made() == []


def test_without_boto3_it_is_told_how_to_get_it(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.cloud.arguments.find_spec", lambda _: None)
    done = command("status", "--name", "digits")
    assert done.status == 1
    assert "needs boto3" in done.err


@pytest.mark.parametrize(
    ("option", "reason"),
    [
        (("--env", "A"), "expected NAME=VALUE, got 'A'"),
        (("--env", "=B"), "expected NAME=VALUE"),
        (("--autoscale", "4"), "expected MIN:MAX, two whole numbers, got '4'"),
        (("--autoscale", "a:b"), "expected MIN:MAX"),
        (("--dry-run", "xml"), "invalid choice: 'xml'"),
    ],
)
def test_a_wrong_call_is_told(
    deploy: Command, option: tuple[str, ...], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as raised:
        deploy(*option)
    assert raised.value.code == 2
    assert reason in capsys.readouterr().err


def test_the_role_and_the_rest_reach_the_calls(aws: Account, deploy: Command) -> None:
    done = deploy("--dry-run", "json", "--instance-type", "ml.m8g.large", "--instance-count", "3")
    _, config, _ = json.loads(done.out)
    (variant,) = config["parameters"]["ProductionVariants"]
    assert (variant["InstanceType"], variant["InitialInstanceCount"]) == ("ml.m8g.large", 3)
    assert json.loads(done.out)[0]["parameters"]["ExecutionRoleArn"] == ROLE
    assert aws.sagemaker.made() == []
