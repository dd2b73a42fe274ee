"""The schema of all doors and the two pages that show it. Nothing is loaded from elsewhere."""

# mypy: disable-error-code="no-untyped-call"
# drf-spectacular annotates types but not all of its functions.

from functools import cache
from pathlib import Path
from typing import Any

import orjson
from django.contrib.staticfiles import finders
from django.http import HttpRequest, HttpResponse
from django.templatetags.static import static
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularRedocView, SpectacularSwaggerSplitView
from rest_framework.request import Request
from rest_framework.response import Response

from mlserver.accounts.permissions import open_route
from mlserver.api import flowline, jobs, native, runicorn, sessions

# Both viewers style themselves from scripts; ReDoc searches in a worker made from a blob.
DOCS_POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "worker-src blob:; object-src 'none'; base-uri 'none'"
)
REDOC_SCRIPT = "drf_spectacular_sidecar/redoc/bundles/redoc.standalone.js"
REDOC_LOGO = b"https://cdn.redoc.ly/redoc/logo-mini.svg"
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
OPEN_ANSWER = {"type": "object", "additionalProperties": True}


class KeyScheme(OpenApiAuthenticationExtension):
    """A key in either header."""

    target_class = "mlserver.accounts.authentication.KeyAuthentication"
    name: list[str] = ["Bearer", "X-API-Key"]

    def get_security_requirement(self, auto_schema: AutoSchema) -> list[dict[str, list[Any]]]:
        return [{name: []} for name in self.name]

    def get_security_definition(self, auto_schema: AutoSchema) -> list[dict[str, Any]]:
        said = "A key of `manage.py apikey create`"
        return [
            {"type": "http", "scheme": "bearer", "description": said},
            {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": said},
        ]


class BrowserScheme(OpenApiAuthenticationExtension):
    """The session of somebody who logged in at /login; unsafe calls carry the CSRF token too."""

    target_class = "mlserver.accounts.authentication.BrowserAuthentication"
    name = "Session"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        return {"type": "apiKey", "in": "cookie", "name": "sessionid", "description": "log in at /login"}


class LoopbackScheme(OpenApiAuthenticationExtension):
    """Peers that MLSERVER_TRUST_LOOPBACK lets in send nothing."""

    target_class = "mlserver.accounts.authentication.TrustedLoopbackAuthentication"
    name: list[str] = []

    def get_security_requirement(self, auto_schema: AutoSchema) -> list[dict[str, list[Any]]]:
        return []

    def get_security_definition(self, auto_schema: AutoSchema) -> list[dict[str, Any]]:
        return []


@cache
def _places() -> dict[str, int]:
    """Route -> its place in the URL maps, which stand in the order of their API documents."""
    doors = (native, sessions, flowline, runicorn, jobs)
    routes = (str(it.pattern) for door in doors for it in door.urlpatterns)
    return {route: place for place, route in enumerate(routes)}


def in_document_order(endpoint: tuple[str, str, str, Any]) -> tuple[int, int]:
    """Sort key of a path, its route, a method and a view; the methods of a path come as a set."""
    _, route, method, _ = endpoint
    return _places().get(route, len(_places())), METHODS.index(method)


@cache
def schema_json() -> bytes:
    """The schema of this code, made once: it takes a fifth of a second."""
    schema = SchemaGenerator().get_schema(public=True)
    # The order of the form "Authorize": what most callers have comes first.
    ways: dict[str, Any] = schema["components"]["securitySchemes"]
    schema["components"]["securitySchemes"] = dict(sorted(ways.items(), key=lambda it: it[0] not in KeyScheme.name))
    schema["paths"] = {**_open_paths(), **schema["paths"]}
    return orjson.dumps(schema, default=str)


def _open_paths() -> dict[str, Any]:
    """The routes that are plain Django views for speed; none needs a key."""
    said = {"/": "What this server is", "/health": "The server answers", "/api/health": "Health, storage and cache"}
    return {path: {"get": _open_operation(path, summary)} for path, summary in said.items()}


def _open_operation(path: str, summary: str) -> dict[str, Any]:
    answer = {"description": "", "content": {"application/json": {"schema": OPEN_ANSWER}}}
    name = path.strip("/").replace("/", "_") or "index"
    return {"operationId": name, "summary": summary, "tags": ["server"], "security": [{}], "responses": {"200": answer}}


@open_route
@require_safe
def openapi(request: HttpRequest) -> HttpResponse:
    """R47."""
    return HttpResponse(schema_json(), content_type="application/json")


@cache
def redoc_script_text() -> bytes:
    """ReDoc's script with an icon of ours for the one picture it would fetch from elsewhere."""
    path = finders.find(REDOC_SCRIPT)
    if path is None:
        raise FileNotFoundError(REDOC_SCRIPT)
    return Path(path).read_bytes().replace(REDOC_LOGO, static("mlserver/icon.svg").encode())


@open_route
@require_safe
@cache_control(max_age=3600)
def redoc_script(request: HttpRequest) -> HttpResponse:
    return HttpResponse(redoc_script_text(), content_type="text/javascript; charset=utf-8")


class SwaggerPage(SpectacularSwaggerSplitView):
    """R45, T20. The script that starts it is a second request, so the page holds none inline."""

    open = True
    authentication_classes = ()

    @extend_schema(exclude=True)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        response: Response = super().get(request, *args, **kwargs)
        response.headers["Content-Security-Policy"] = DOCS_POLICY
        return response


class RedocPage(SpectacularRedocView):
    """R46, T21."""

    open = True
    authentication_classes = ()
    template_name = "redoc.html"

    @extend_schema(exclude=True)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        response: Response = super().get(request, *args, **kwargs)
        response.headers["Content-Security-Policy"] = DOCS_POLICY
        return response
