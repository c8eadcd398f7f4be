"""What an invocation, or a health check, is answered with."""

from http import HTTPStatus
from typing import NamedTuple

from serving.errors import ERROR_TYPE, ServingError


class Answer(NamedTuple):
    """An answer: its body, its media type and its status."""

    body: bytes
    media_type: str
    status: int = HTTPStatus.OK

    @property
    def content_type(self) -> str:
        """The media type as the header has it: text says that it is UTF-8."""
        return f"{self.media_type}; charset=utf-8" if self.media_type.startswith("text/") else self.media_type


def refused(error: ServingError) -> Answer:
    """What an error of the table is answered with, as `serving.rendering` has it for Starlette."""
    return Answer(error.document, ERROR_TYPE, error.status)
