"""What scripts import of AWS's toolkits, `sagemaker_inference` and `sagemaker_containers`, where they are missing.

AWS's images have them; neither comes as a wheel, so a script's requirements cannot bring them. The names that
scripts use are here: content types, decoding and encoding, the errors with a status, the response.
"""

import io
import json
import sys
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import numpy as np

from serving.scripts.toolkit import ANY, CSV, JSON, NPY, TEXTS, plain

NPZ = "application/x-npz"
INFERENCE, CONTAINERS = "sagemaker_inference", "sagemaker_containers"


class UnsupportedFormatError(Exception):
    """A content type that is not read or written."""

    status_code = 415

    def __init__(self, content_type: str) -> None:
        super().__init__(f"Content type {content_type} is not supported by this framework.")


class BaseInferenceToolkitError(Exception):
    """An error with a status of the script's choice."""

    def __init__(self, status_code: int, message: str, phrase: str) -> None:
        self.status_code, self.message, self.phrase = status_code, message, phrase
        super().__init__(status_code, message, phrase)

    def __str__(self) -> str:
        return self.message


class GenericInferenceToolkitError(BaseInferenceToolkitError):
    """The same, with a text of its own where the script gives none."""

    def __init__(self, status_code: int, message: str | None = None, phrase: str | None = None) -> None:
        told = message or "Invalid Request"
        super().__init__(status_code, told, phrase or told)


class ClientError(Exception):
    """The request is at fault."""

    status_code = 400


class Response:
    """A body and its type, as scripts for the older toolkit return them."""

    def __init__(self, response: Any = None, status: int = 200, mimetype: str | None = None, **_: object) -> None:  # noqa: ANN401
        self.response, self.status_code, self.mimetype = response, status, mimetype

    def get_data(self) -> Any:  # noqa: ANN401 (the script's)
        """The body."""
        return self.response


def decode(obj: str | bytes, content_type: str) -> Any:  # noqa: ANN401 (an array)
    """A body as an array, as `sagemaker_inference.decoder` reads it; a pickled one is refused."""
    if content_type == JSON:
        return np.array(json.loads(obj))
    if content_type == CSV:
        return np.genfromtxt(io.StringIO(obj if isinstance(obj, str) else obj.decode()), dtype=None, delimiter=",")
    if content_type == NPY and isinstance(obj, bytes | bytearray):
        return np.load(io.BytesIO(obj), allow_pickle=False)
    if content_type == NPZ and isinstance(obj, bytes | bytearray):
        from scipy import sparse  # noqa: PLC0415 (for such bodies alone)

        return sparse.load_npz(io.BytesIO(obj))
    raise UnsupportedFormatError(content_type)


def encode(array_like: Any, content_type: str) -> Any:  # noqa: ANN401 (str, or bytes of npy)
    """An array as a body, as `sagemaker_inference.encoder` writes it."""
    if content_type == JSON:
        return json.dumps(array_like, default=plain)
    if content_type == CSV:
        text = io.StringIO()
        np.savetxt(text, array_like, delimiter=",", fmt="%s")
        return text.getvalue()
    if content_type == NPY:
        stream = io.BytesIO()
        np.save(stream, array_like, allow_pickle=False)
        return stream.getvalue()
    raise UnsupportedFormatError(content_type)


def offer() -> None:
    """Let scripts import what is here under the toolkits' names, unless they are installed."""
    types: dict[str, Any] = {"JSON": JSON, "CSV": CSV, "NPY": NPY, "NPZ": NPZ, "ANY": ANY, "UTF8_TYPES": list(TEXTS)}
    types["OCTET_STREAM"] = "application/octet-stream"
    kinds = (BaseInferenceToolkitError, GenericInferenceToolkitError, UnsupportedFormatError, ClientError)
    errors: dict[str, Any] = {kind.__name__: kind for kind in kinds}
    both: dict[str, Any] = {"decode": decode, "encode": encode}
    if _is_missing(INFERENCE):
        _offer(INFERENCE, content_types=types, decoder=both, encoder=both, errors=errors)
    if _is_missing(CONTAINERS):
        _offer(CONTAINERS)
        _offer(f"{CONTAINERS}.beta")
        response: dict[str, Any] = {"Response": Response}
        # The last three are imported by AWS's own examples, and not used.
        _offer(
            f"{CONTAINERS}.beta.framework",
            content_types=types,
            encoders=both,
            errors=errors,
            worker=response,
            env={},
            modules={},
            transformer={},
        )


def _is_missing(name: str) -> bool:
    return name not in sys.modules and find_spec(name) is None


def _offer(name: str, **parts: dict[str, Any]) -> None:
    """A package with these modules in it."""
    package = ModuleType(name)
    package.__path__ = []
    sys.modules[name] = package
    parent, _, last = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], last, package)
    for part, contents in parts.items():
        module = ModuleType(f"{name}.{part}")
        vars(module).update(contents)
        sys.modules[module.__name__] = module
        setattr(package, part, module)
