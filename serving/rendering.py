"""The one place where an error becomes an answer."""

from starlette.responses import JSONResponse

from serving.errors import ServingError


def render(error: ServingError) -> JSONResponse:
    """The answer for an error of the table: its status and its body."""
    return JSONResponse(error.body, status_code=error.status)
