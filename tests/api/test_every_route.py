"""Deny by default: every route of every door declares who may call it, and open ones are the documented ones."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, path
from rest_framework.permissions import AllowAny
from rest_framework.views import APIView

from mlserver.accounts.permissions import HasScope, needs_scope, open_route

OPEN = {
    "", "health", "api/health", "docs", "redoc", "redoc.js", "openapi.json", "static/<path:path>",
    "login", "logout", "admin/login/", "webterminal/<str:token>",
}  # fmt: skip
Routes = list[URLPattern | URLResolver]


def routes(patterns: Routes, prefix: str = "") -> Iterator[tuple[str, Callable[..., Any]]]:
    """Every route below `patterns` but those of the admin site, which asks for a login by itself."""
    for pattern in patterns:
        if isinstance(pattern, URLPattern):
            yield prefix + str(pattern.pattern), pattern.callback
        elif pattern.app_name != admin.site.name:
            yield from routes(pattern.url_patterns, prefix + str(pattern.pattern))


def complaint_about(route: str, view: Callable[..., Any]) -> str | None:
    """Why a route breaks the rule; None when it keeps it."""
    declared = _declared(view)
    if declared is None:
        return f"{route!r} declares no permission"
    if declared == "open" and route not in OPEN:
        return f"{route!r} is open and not on the list of open routes"
    return None


def _declared(view: Callable[..., Any]) -> str | None:
    if hasattr(view, "declared_scope"):
        return str(view.declared_scope)
    # DRF: `cls` and `initkwargs` of as_view(); Django's own generic views: `view_class`.
    cls = getattr(view, "cls", None)
    if cls is None:
        return None
    options = getattr(view, "initkwargs", {})
    permissions = options.get("permission_classes", cls.permission_classes)
    is_open = options.get("open", getattr(cls, "open", False)) or list(permissions) in ([], [AllowAny])
    if is_open:
        asks_for_keys = options.get("authentication_classes", cls.authentication_classes)
        return None if asks_for_keys else "open"
    return "scope" if HasScope in permissions else None


def test_every_route_declares_its_permission() -> None:
    found = list(routes(get_resolver().url_patterns))
    assert found, "the server has routes"
    assert [said for route, view in found if (said := complaint_about(route, view))] == []


@pytest.mark.django_db
def test_every_other_route_refuses_a_call_without_a_key() -> None:
    client = Client(raise_request_exception=False)
    for route, _ in routes(get_resolver().url_patterns):
        if route not in OPEN and "(?P" not in route:
            url = "/" + re.sub(r"<int:\w+>", "1", re.sub(r"<(?:str|path):\w+>", "x", route))
            assert "<" not in url, f"say what stands for the parameters of {route}"
            for method in ("GET", "POST", "PATCH", "DELETE"):
                # A method that is not there is refused before anybody is asked who calls.
                assert client.generic(method, url).status_code in (401, 405), f"{method} {url}"
            assert 401 in {client.generic(method, url).status_code for method in ("GET", "POST", "DELETE")}


def _undeclared(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


class _Open(APIView):
    open = True
    authentication_classes = ()


class _OpenButAsking(APIView):
    open = True


class _AnyoneElse(APIView):
    permission_classes = ()


@pytest.mark.parametrize(
    ("view", "words"),
    [
        (_undeclared, "declares no permission"),
        (open_route(lambda request: HttpResponse()), "not on the list of open routes"),
        (_Open.as_view(), "not on the list of open routes"),
        (_OpenButAsking.as_view(), "declares no permission"),
        (_AnyoneElse.as_view(), "declares no permission"),
        (APIView.as_view(permission_classes=[AllowAny], authentication_classes=[]), "not on the list"),
        (APIView.as_view(), None),
        (needs_scope("read")(_undeclared), None),
    ],
)
def test_it_notices_a_route_that_forgot(view: Callable[..., Any], words: str | None) -> None:
    ((route, found),) = routes([path("forgotten", view)])
    said = complaint_about(route, found)
    assert said is None if words is None else said is not None and words in said
