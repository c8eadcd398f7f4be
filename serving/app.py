"""The FastAPI application: the routes, the documentation pages and the rendering of errors."""

from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException
from starlette.routing import Route

from serving import __version__, ping, tensorflow_serving
from serving.endpoint import Endpoint
from serving.errors import MethodNotAllowedError, NotFoundError, ServingError, quoted
from serving.execution_parameters import PATH as PARAMETERS
from serving.execution_parameters import execution_parameters
from serving.exposition import page
from serving.openapi import invocations_path, ping_path, script_path
from serving.rendering import render
from serving.service import Service

TITLE = "graviton-serving"


def build(service: Service) -> FastAPI:
    """The application around a service."""
    app = FastAPI(title=TITLE, version=__version__, redoc_url=None)
    app.router.routes.append(Route(ping.PATH, ping.Ping(service.lifecycle), methods=list(ping.METHODS)))
    app.router.routes.append(Route(ping.INVOCATIONS, Endpoint(service, to_script=True), methods=["POST"]))
    app.router.routes.extend(tensorflow_serving.routes(service))
    app.exception_handler(HTTPException)(_http_exception)

    @app.get(ping.METRICS, summary="Prometheus metrics", response_class=Response)
    async def metrics() -> Response:
        return Response(page(service.metrics), media_type=ping.METRICS_TYPE)

    @app.get(PARAMETERS, summary="How Batch Transform is to call")
    async def parameters() -> dict[str, Any]:
        told = service.script.execution_parameters if service.script else None
        return dict(told or execution_parameters(service.settings))

    app.openapi = lambda: _openapi(app, service)  # type: ignore[method-assign]  # FastAPI's documented hook
    return app


async def _http_exception(request: Request, error: Exception) -> Response:
    """Render the router's own 404 and 405 as the error table does."""
    assert isinstance(error, HTTPException)  # registered for nothing else  # noqa: S101
    if error.status_code == MethodNotAllowedError.status:
        allowed = (error.headers or {}).get("Allow", "")
        response = render(
            MethodNotAllowedError(f"{request.url.path}: expected the method {allowed}, got {request.method}")
        )
    elif error.status_code == NotFoundError.status:
        response = render(
            NotFoundError(f"expected /ping, /invocations, /metrics or /docs, got {quoted(request.url.path)}")
        )
    else:
        response = render(ServingError())
    response.headers.update(error.headers or {})
    return response


def _openapi(app: FastAPI, service: Service) -> dict[str, Any]:
    """The OpenAPI document, made anew each time: the signature comes with the model."""
    document = get_openapi(title=TITLE, version=__version__, routes=app.routes)
    document["paths"][ping.PATH] = ping_path()
    model = invocations_path(service.signature, service.formats)
    document["paths"]["/invocations"] = script_path() if service.script else model
    return document
