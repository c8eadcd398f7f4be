"""AWS's clients, and its errors as one line each."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
from boto3.exceptions import Boto3Error
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

# botocore waits between attempts, longer each time: throttling ends within some ten seconds or is a quota.
ATTEMPTS = 8
# SageMaker answers an invocation within 60 s; its guide asks callers to wait for 70.
READ_SECONDS = 70
# SageMaker's code for whatever is wrong with a call; that something does not exist is told by the text alone.
INVALID = "ValidationException"
NOT_FOUND = "Could not find"
# What to do about errors whose own text does not say it.
ADVICE = {
    "AccessDenied": "Give this identity the permission that the message names.",
    "AccessDeniedException": "Give this identity the permission that the message names.",
    "ExpiredToken": "Sign in again.",
    "ExpiredTokenException": "Sign in again.",
    "InvalidAccessKeyId": "Check the credentials or --profile.",
    "InvalidClientTokenId": "Check the credentials or --profile.",
    "InvalidSignatureException": "Check the secret key, and this machine's clock.",
    "SignatureDoesNotMatch": "Check the secret key, and this machine's clock.",
    "UnrecognizedClientException": "Check the credentials, and that --region is enabled for the account.",
    "RepositoryNotFoundException": "Create the repository and push the image, or correct --image and --region.",
    "NoSuchBucket": "Create the bucket, or name another.",
    "NoSuchKey": "Upload it, or correct the address.",
    "404": "Create or upload it, or correct the address.",
    "403": "Give this identity the permission to read it.",
    "ResourceLimitExceeded": "Ask for a higher quota (Service Quotas), or take another instance type.",
    "ThrottlingException": "Run the command again in a minute.",
}


class CloudError(Exception):
    """What AWS refused or what stands in the way of asking it: one line for the operator.

    `code` is AWS's own, empty where the error is not AWS's. `missing` says that a thing of SageMaker's does
    not exist.
    """

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(" ".join(message.split()))
        self.code = code
        self.missing = code == INVALID and NOT_FOUND in message


class Clients:
    """One client a service, of one region and one identity."""

    def __init__(self, region: str | None = None, profile: str | None = None) -> None:
        with told("The AWS session could not be made"):
            self._session = boto3.Session(region_name=region, profile_name=profile)
        if not self._session.region_name:
            raise CloudError("No region is known: expected --region, AWS_DEFAULT_REGION or one in the configuration.")
        self.region: str = self._session.region_name
        if self.region not in self._regions():
            raise CloudError(
                f"The region {self.region!r} is none of SageMaker's. Correct --region, or update boto3 if it is newer."
            )
        self._clients: dict[str, Any] = {}

    def _regions(self) -> set[str]:
        partitions = self._session.get_available_partitions()
        return {name for each in partitions for name in self._session.get_available_regions("sagemaker", each)}

    def client(self, service: str) -> Any:  # noqa: ANN401 (boto3 makes its clients at run time)
        """The client of a service, by boto3's name for it. Raises CloudError."""
        if service not in self._clients:
            with told(f"The client for {service} could not be made"):
                retries: Any = {"mode": "standard", "total_max_attempts": ATTEMPTS}
                config = Config(retries=retries, read_timeout=READ_SECONDS, user_agent_extra="graviton-serving")
                make: Any = self._session.client
                self._clients[service] = make(service, config=config)
        return self._clients[service]


@contextmanager
def told(doing: str) -> Iterator[None]:
    """Raise CloudError, beginning with `doing`, for whatever boto3 raises inside."""
    try:
        yield
    except ClientError as error:
        code, text, request = _parts(error)
        advice = ADVICE.get(code, "")
        raise CloudError(f"{doing}: {code}: {text.rstrip('.')}. {advice} (request id {request})", code) from error
    except NoCredentialsError as error:
        raise CloudError(
            f"{doing}: no AWS credentials were found. Sign in (`aws configure`, `aws sso login`), or name a --profile."
        ) from error
    except (BotoCoreError, Boto3Error) as error:
        raise CloudError(f"{doing}: {error}") from error


def _parts(error: ClientError) -> tuple[str, str, str]:
    response: Any = error.response
    found = response.get("Error", {})
    request = response.get("ResponseMetadata", {}).get("RequestId", "unknown")
    return str(found.get("Code", "")), str(found.get("Message", error)), str(request)
