"""Ask an endpoint on SageMaker, or a container on this machine, what is on pictures of CIFAR-10.

The request is the same for both: a picture's pixels, 0 to 255, as `input_image.tolist()` in JSON.
"""

import argparse
import json
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
CONTENT_TYPE = "application/json"
# SageMaker gives an invocation 60 s, and its guide says to wait a little longer than that.
SECONDS = 70

Invoke = Callable[[str], bytes]


def main(arguments: list[str] | None = None) -> None:
    """Classify every picture of a file, and count those that are right."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pictures", type=Path, help="pictures.npz, as make_archive.py writes it")
    either = parser.add_mutually_exclusive_group(required=True)
    either.add_argument("--url", help="of a container, like http://127.0.0.1:8080")
    either.add_argument("--endpoint", help="name of an endpoint; credentials and region as for the AWS CLI")
    options = parser.parse_args(arguments)
    invoke = through_http(options.url) if options.url else through_sagemaker(options.endpoint)
    with np.load(options.pictures) as file:
        pixels, classes = file["pixels"], file["classes"]
    found = [classify(invoke, picture) for picture in pixels]
    for number, (one, right) in enumerate(zip(found, classes, strict=True)):
        print(f"{number:2}  {CLASSES[one]:<10}  {'right' if one == right else 'wrong: ' + CLASSES[right]}")
    print(f"{sum(found == classes)} of {len(classes)} right")


def classify(invoke: Invoke, picture: Any) -> int:  # noqa: ANN401 (an array)
    """The class of a picture, uint8 [32, 32, 3]: the one with the highest score."""
    input_image = picture[np.newaxis].astype(np.float32)
    answer = json.loads(invoke(json.dumps(input_image.tolist())))
    return int(np.argmax(answer["predictions"][0]))


def through_http(url: str) -> Invoke:
    """What SageMaker does with an invocation: POST /invocations to the container."""

    def invoke(body: str) -> bytes:
        request = urllib.request.Request(  # noqa: S310 (the address is the user's own)
            f"{url}/invocations", body.encode(), {"Content-Type": CONTENT_TYPE}
        )
        with urllib.request.urlopen(request, timeout=SECONDS) as response:  # noqa: S310 (see above)
            content: bytes = response.read()
        return content

    return invoke


def through_sagemaker(endpoint: str, client: Any = None) -> Invoke:  # noqa: ANN401 (boto3 is not typed)
    """The same request as an API call."""
    if client is None:
        import boto3  # noqa: PLC0415 (a container on this machine needs no AWS)

        client = boto3.client("sagemaker-runtime")

    def invoke(body: str) -> bytes:
        response = client.invoke_endpoint(EndpointName=endpoint, ContentType=CONTENT_TYPE, Body=body)
        content: bytes = response["Body"].read()
        return content

    return invoke


if __name__ == "__main__":
    main()
