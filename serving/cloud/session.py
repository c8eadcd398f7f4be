"""AWS's clients, and its errors as one line each."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
from boto3.exceptions import Boto3Error
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from serving.cloud.failure import NO_CREDENTIALS, UNKNOWN, CloudError, refusal

__all__ = ["Clients", "CloudError", "told"]

# botocore waits between attempts, longer each time: throttling ends within some ten seconds or is a quota. AWS's own
# variable for it counts where it is set, which a configuration given to a client would override.
ATTEMPTS, ATTEMPTS_VARIABLE = 8, "AWS_MAX_ATTEMPTS"
# SageMaker answers an invocation within 60 s; its guide asks callers to wait for 70.
READ_SECONDS = 70


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
                f"The region {self.region!r} is none of SageMaker's. Correct it, or update boto3 if it is newer."
            )
        self._clients: dict[str, Any] = {}

    def _regions(self) -> set[str]:
        partitions = self._session.get_available_partitions()
        return {name for each in partitions for name in self._session.get_available_regions("sagemaker", each)}

    def signed_in(self) -> bool:
        """Whether there are credentials; whether AWS takes them is not asked. Raises CloudError."""
        with told("The AWS credentials could not be read"):
            return self._session.get_credentials() is not None

    def client(self, service: str) -> Any:  # noqa: ANN401 (boto3 makes its clients at run time)
        """The client of a service, by boto3's name for it. Raises CloudError."""
        if service not in self._clients:
            with told(f"The client for {service} could not be made"):
                retries: Any = {"mode": "standard"}
                if ATTEMPTS_VARIABLE not in os.environ:
                    retries["total_max_attempts"] = ATTEMPTS
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
        raise refusal(doing, *_parts(error)) from error
    except NoCredentialsError as error:
        raise CloudError(f"{doing}: {NO_CREDENTIALS}") from error
    except (BotoCoreError, Boto3Error) as error:
        raise CloudError(f"{doing}: {error}") from error


def _parts(error: ClientError) -> tuple[str, str, str]:
    response: Any = error.response
    found = response.get("Error", {})
    request = response.get("ResponseMetadata", {}).get("RequestId") or UNKNOWN
    return str(found.get("Code", "")), str(found.get("Message", error)), str(request)
