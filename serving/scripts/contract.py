"""What a worker needs of a script, whatever contract the script was written for.

A contract's module has `handler(module)`: the script's functions as one Handler, None where the script is
not written for it; and EXPECTED, its functions in words.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Protocol, TypeAlias


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
    `model_version` and `method` are what was asked for, None where nothing was. `timeout` is in seconds.
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

    @classmethod
    def of_head(cls, head: Mapping[str, Any], body: bytes) -> "Call":
        """The call that a frame's head and body make."""
        return cls(body=body, **head)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a script answers."""

    body: bytes = field(repr=False)
    content_type: str


Handler: TypeAlias = Callable[[Call], Answer]


class Contract(Protocol):
    """A contract's module."""

    EXPECTED: str

    def handler(self, module: ModuleType) -> Handler | None:
        """The module's functions as one Handler, None where it is not written for this contract."""
        ...
