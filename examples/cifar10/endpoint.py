"""The walk-through's endpoint in plain boto3: upload, create_model, create_endpoint_config, create_endpoint, clean up.

Credentials and region are boto3's own: AWS_PROFILE, AWS_REGION, or what `aws configure` wrote.
"""

import argparse
from pathlib import Path
from typing import Any, NamedTuple

import boto3

NAME = "graviton-cifar10"
# Graviton3, 4 vCPUs: the smallest that the post uses. The image runs on every arm64 type, and tunes itself to it.
INSTANCE_TYPE = "ml.c7g.xlarge"


class Clients(NamedTuple):
    """The two services that are talked to."""

    s3: Any
    sagemaker: Any


def main(arguments: list[str] | None = None) -> None:
    """Create or delete."""
    options = _parser().parse_args(arguments)
    clients = Clients(boto3.client("s3"), boto3.client("sagemaker"))
    if options.command == "create":
        create(
            clients, options.image, options.role, options.bucket, options.archive, instance_type=options.instance_type
        )
    else:
        delete(clients)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("create", help="upload the archive and create the endpoint")
    make.add_argument("--image", required=True, help="as pushed: ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME:TAG")
    make.add_argument("--role", required=True, help="ARN of a role that SageMaker may take on")
    make.add_argument("--bucket", required=True, help="S3 bucket for the archive, in the same region")
    make.add_argument("--archive", type=Path, default=Path("build/cifar10/model.tar.gz"), help="default: %(default)s")
    make.add_argument("--instance-type", default=INSTANCE_TYPE, help="default: %(default)s")
    commands.add_parser("delete", help="delete the endpoint, its configuration and its model")
    return parser


def create(clients: Clients, image: str, role: str, bucket: str, archive: Path, *, instance_type: str) -> None:
    """Create the endpoint and wait until it is in service; what it costs begins here."""
    key = f"{NAME}/model.tar.gz"
    print(f"uploading {archive} to s3://{bucket}/{key}")
    with archive.open("rb") as file:
        clients.s3.put_object(Bucket=bucket, Key=key, Body=file)
    clients.sagemaker.create_model(
        ModelName=NAME,
        ExecutionRoleArn=role,
        PrimaryContainer={"Image": image, "ModelDataUrl": f"s3://{bucket}/{key}"},
    )
    clients.sagemaker.create_endpoint_config(
        EndpointConfigName=NAME,
        ProductionVariants=[
            {
                "VariantName": "AllTraffic",
                "ModelName": NAME,
                "InstanceType": instance_type,
                "InitialInstanceCount": 1,
            }
        ],
    )
    clients.sagemaker.create_endpoint(EndpointName=NAME, EndpointConfigName=NAME)
    print(f"creating the endpoint {NAME} on {instance_type}; this takes some minutes …")
    clients.sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=NAME)
    print(f"in service: {NAME}")


def delete(clients: Clients) -> None:
    """Delete what `create` made, but for the archive in S3."""
    clients.sagemaker.delete_endpoint(EndpointName=NAME)
    clients.sagemaker.delete_endpoint_config(EndpointConfigName=NAME)
    clients.sagemaker.delete_model(ModelName=NAME)
    print(f"deleted: {NAME}")


if __name__ == "__main__":
    main()
