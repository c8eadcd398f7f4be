"""TensorFlow Serving's REST API, for scripts and clients that speak it, whatever framework runs the model.

    POST /v1/models/{model}[/versions/{version}]:{predict|classify|regress}
    GET  /v1/models/{model}[/versions/{version}]

As there, the body is JSON whatever its Content-Type says (`requests.post(uri, data=text)` sends none, and
curl the one of a form), and so is the answer. An error has TensorFlow Serving's status and, besides our
`code`, its `error`.
"""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from serving.endpoint import Endpoint
from serving.errors import ServingError
from serving.invocations import Asked
from serving.rendering import render
from serving.selection import PREDICT, of_path
from serving.service import Service

ROOT = "/v1/models"
JSON = "application/json"
# Of a model's version in service; the others are not known here at all.
AVAILABLE = {"state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}


def path_of(model: str, version: int | None, method: str) -> str:
    """The path that runs a model."""
    within = "" if version is None else f"/versions/{version}"
    return f"{ROOT}/{model}{within}:{method}"


def routes(service: Service) -> list[Route]:
    """The API's routes; those that run a model take the same way as `/invocations`."""
    run = Endpoint(service, _read_path)
    status = _status(service)
    places = (f"{ROOT}/{{model}}/versions/{{version}}", f"{ROOT}/{{model}}")
    return [
        *(Route(f"{place}:{{method}}", run, methods=["POST"]) for place in places),
        *(Route(place, status, methods=["GET"]) for place in places),
    ]


def _read_path(request: Request) -> Asked:
    parts = request.path_params
    return Asked(of_path(parts["model"], parts.get("version"), parts["method"]), JSON, JSON)


def _status(service: Service) -> Callable[[Request], Awaitable[Response]]:
    """The endpoint that tells which versions of a model are in service."""

    async def status(request: Request) -> Response:
        parts = request.path_params
        try:
            catalogue = service.catalogue()
            if "version" in parts:
                entries = [catalogue.find(of_path(parts["model"], parts["version"], PREDICT))]
            else:
                entries = catalogue.versions(parts["model"])
        except ServingError as error:
            return render(error)
        return JSONResponse({"model_version_status": [{"version": str(one.version)} | AVAILABLE for one in entries]})

    return status
