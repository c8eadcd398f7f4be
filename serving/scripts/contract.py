"""What a worker needs of a script, whatever contract the script was written for.

A contract's module has `handler(module)`: the script's functions as one Handler, None where the script is
not written for it; and EXPECTED, its functions in words.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Protocol, TypeAlias

OK = 200
# What a worker tells once, when it has loaded the script: what this function of the script's, if any, returned.
PARAMETERS = "execution_parameters"
PARAMETERS_FN = "execution_parameters_fn"
# Headers of an answer that are the server's own affair, whatever a script says.
OWN_HEADERS = frozenset(
    {"connection", "content-length", "content-type", "date", "keep-alive", "server", "transfer-encoding", "upgrade"}
)
# RFC 9110, 5.1: a header's name is a token.
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# Statuses of final answers, as HTTP has them.
LEAST_STATUS, MOST_STATUS = 200, 599


class ScriptError(Exception):
    """The text is for callers: no path, nothing of the server's inside.

    `status` is the answer's: 500 for the script's own fault, 400, 406 or 415 for the request's.
    """

    def __init__(self, message: str, status: int = 500) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Call:
    """One request as a script may see it.

    `body` is as it came. `rest_uri` runs the model that was asked for, or the default one; `model_name`,
    `model_version` and `method` are what was asked for, None where nothing was. `timeout` is in seconds. `headers` are
    all that came, by their names in lower case.
    """

    body: bytes
    content_type: str
    accept: str
    custom_attributes: str | None
    model_name: str | None
    model_version: str | None
    method: str | None
    rest_uri: str
    timeout: float
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of_head(cls, head: Mapping[str, Any], body: bytes) -> "Call":
        """The call that a frame's head and body make."""
        return cls(body=body, **head)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a script answers."""

    body: bytes = field(repr=False)
    content_type: str
    status: int = OK
    headers: Mapping[str, str] = field(default_factory=dict)


def answer_of(body: bytes, content_type: object, status: object, headers: Mapping[str, str], name: str) -> Answer:
    """What a script's function `name` returned, held against what HTTP can carry. Raises ScriptError."""
    if not _is_printable(content_type):
        raise ScriptError(
            f"{name}: expected a content type like 'application/json' to be returned, got {content_type!r}"
        )
    if not isinstance(status, int) or not LEAST_STATUS <= status <= MOST_STATUS:
        raise ScriptError(f"{name}: expected a status from {LEAST_STATUS} to {MOST_STATUS}, got {status!r}")
    kept = {key: value for key, value in headers.items() if str(key).lower() not in OWN_HEADERS}
    for key, value in kept.items():
        if not (isinstance(key, str) and TOKEN.fullmatch(key) and _is_printable(value)):
            raise ScriptError(f"{name}: expected a header of printable ASCII, got {key!r}: {value!r}")
    return Answer(body, str(content_type), int(status), kept)


def _is_printable(text: object) -> bool:
    return isinstance(text, str) and text.isprintable() and text.isascii()


Handler: TypeAlias = Callable[[Call], Answer]


class Contract(Protocol):
    """A contract's module."""

    EXPECTED: str

    def handler(self, module: ModuleType) -> Handler | None:
        """The module's functions as one Handler, None where it is not written for this contract."""
        ...
