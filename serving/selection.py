"""What a request asks for besides its body: which model, which version, which signature.

Two ways to ask, both TensorFlow Serving's: the custom attributes of AWS's TensorFlow container, a header of
`name=value` pairs with commas between, and the REST API's path:

    X-Amzn-SageMaker-Custom-Attributes: tfs-model-name=half,tfs-model-version=2,tfs-method=predict
    POST /v1/models/half/versions/2:predict

A signature may be named in a JSON body (`signature_name`), or, for the other formats, by a custom attribute
of ours, `tfs-signature-name`. Other attributes in the header are somebody else's and are passed over.
"""

from typing import NamedTuple

from serving.errors import InvalidAttributeError, quoted

HEADER = "x-amzn-sagemaker-custom-attributes"
NAME, VERSION, METHOD, SIGNATURE = "tfs-model-name", "tfs-model-version", "tfs-method", "tfs-signature-name"
PREDICT = "predict"
METHODS = (PREDICT, "classify", "regress")


class Selection(NamedTuple):
    """What is asked for; None where nothing is, which means the default. `method` is one of METHODS."""

    model: str | None = None
    version: int | None = None
    signature: str | None = None
    method: str = PREDICT


def of_attributes(header: str) -> Selection:
    """Read the custom attributes' header. Raises InvalidAttributeError."""
    pairs = (part.partition("=") for part in header.split(","))
    attributes = {name.strip().lower(): value.strip() for name, _, value in pairs}
    return Selection(
        attributes.get(NAME) or None,
        _version(attributes[VERSION]) if VERSION in attributes else None,
        attributes.get(SIGNATURE) or None,
        _method(attributes[METHOD]) if METHOD in attributes else PREDICT,
    )


def of_path(model: str, version: str | None, method: str) -> Selection:
    """Read the parts of `/v1/models/{model}[/versions/{version}]:{method}`. Raises InvalidAttributeError."""
    return Selection(model, None if version is None else _version(version), None, _method(method))


def _version(text: str) -> int:
    if text.isascii() and text.isdecimal():
        return int(text)
    raise InvalidAttributeError(f"{VERSION}: expected a number, got {quoted(text)}")


def _method(text: str) -> str:
    if text in METHODS:
        return text
    raise InvalidAttributeError(f"{METHOD}: expected one of {', '.join(METHODS)}, got {quoted(text)}")
