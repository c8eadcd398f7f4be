"""The one place where an error becomes an answer."""

from starlette.responses import Response

from serving.errors import ERROR_TYPE, ServingError


def render(error: ServingError) -> Response:
    """The answer for an error of the table: its status and its body."""
    return Response(error.document, error.status, media_type=ERROR_TYPE)
