"""What scripts import of AWS's toolkits and of its XGBoost container, where they are missing.

AWS's images have them; none comes as a wheel, so a script's requirements cannot bring them. The names that
scripts use are here: content types, decoding and encoding, the errors with a status, the response. A script that
also trains imports names for that, which are there and fail when they are used.
"""

import sys
from collections.abc import Collection
from importlib.util import find_spec
from types import ModuleType
from typing import Any, NoReturn

from serving.scripts.toolkit import (
    ANY,
    CSV,
    JSON,
    NPY,
    NPZ,
    TEXTS,
    UnsupportedFormatError,
    read_newer,
    read_older,
    write_newer,
    write_older,
)

INFERENCE, CONTAINERS, XGBOOST = "sagemaker_inference", "sagemaker_containers", "sagemaker_xgboost_container"


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

    def __init__(
        self,
        response: Any = None,  # noqa: ANN401 (the script's)
        accept: str | None = None,
        status: int = 200,
        headers: dict[str, str] | None = None,
        mimetype: str | None = None,
        **_: object,
    ) -> None:
        del accept  # there, too
        self.response, self.status_code, self.headers = response, status, headers or {}
        self.mimetype = mimetype or JSON

    def get_data(self) -> Any:  # noqa: ANN401 (the script's)
        """The body."""
        return self.response


def offer(asked: Collection[str]) -> None:
    """Let scripts import what is here of these packages (those above), unless they are installed."""
    types: dict[str, Any] = {"JSON": JSON, "CSV": CSV, "NPY": NPY, "NPZ": NPZ, "ANY": ANY, "UTF8_TYPES": list(TEXTS)}
    types["OCTET_STREAM"] = "application/octet-stream"
    kinds = (BaseInferenceToolkitError, GenericInferenceToolkitError, UnsupportedFormatError, ClientError)
    errors: dict[str, Any] = {kind.__name__: kind for kind in kinds}
    if INFERENCE in asked and _is_missing(INFERENCE):
        decoder: dict[str, Any] = {"decode": read_newer}
        encoder: dict[str, Any] = {"encode": write_newer, "SUPPORTED_CONTENT_TYPES": {JSON, CSV, NPY}}
        utils: dict[str, Any] = {"parse_accept": _parts_of}
        _offer(INFERENCE, content_types=types, decoder=decoder, encoder=encoder, errors=errors, utils=utils)
    if XGBOOST in asked and _is_missing(XGBOOST) and find_spec("xgboost"):
        from serving.scripts import dmatrix  # noqa: PLC0415 (XGBoost, for those that ask for it)

        training: dict[str, Any] = {"get_dmatrix": _training_alone}
        _offer(XGBOOST, encoder=vars(dmatrix), data_utils=training, distributed={"rabit_run": _training_alone})
    if CONTAINERS in asked and _is_missing(CONTAINERS):
        _offer(CONTAINERS, entry_point={"run": _training_alone})
        _offer(f"{CONTAINERS}.beta")
        response: dict[str, Any] = {"Response": Response}
        encoders: dict[str, Any] = {"decode": read_older, "encode": write_older}
        # The last three are imported by AWS's own examples, and not used.
        _offer(
            f"{CONTAINERS}.beta.framework",
            content_types=types,
            encoders=encoders,
            errors=errors,
            worker=response,
            env={},
            modules={},
            transformer={},
        )


def _training_alone(*_: object, **__: object) -> NoReturn:
    raise NotImplementedError("this is for training, and there is none here")


def _parts_of(accept: str) -> list[str]:
    return accept.replace(" ", "").split(",")


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
        vars(module).update({key: value for key, value in contents.items() if not key.startswith("__")})
        sys.modules[module.__name__] = module
        setattr(package, part, module)
