"""Every failing answer of the server: what happened, as the door of the path spells it.

`describe` gives an exception its status and words, `bodies.body_for` the shape. DRF calls `exception_handler`,
Django the `handler*` views (named in mlserver/urls.py) and `csrf_failure`.
"""

import logging
import sys
from dataclasses import replace
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import DataError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.views import defaults
from rest_framework import exceptions as drf
from rest_framework.response import Response

from mlserver.api.bodies import Failure, body_for, is_machine_path, validation_status_of
from mlserver.api.rendering import json_response
from mlserver.errors import Invalid, ServerError, TooManyRequests, Unavailable, UpgradeRequired

log = logging.getLogger(__name__)

MISSING_KEY = (
    "This call needs a key: send it as `Authorization: Bearer <key>`, or in the header X-API-Key or X-Auth-Token"
)
FAULT = Failure(500, "The server failed on this call; its log says why.", "internal_error")
RETRY_S = 5
CODES = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    406: "not_acceptable",
    411: "length_required",
    413: "too_large",
    415: "unsupported_media_type",
    422: "invalid",
    429: "too_many_requests",
}


def exception_handler(error: Exception, context: dict[str, Any]) -> HttpResponseBase | None:
    """DRF's hook: an answer for every expected error, None for a fault (Django's handler500 answers then)."""
    failure = describe(error)
    if failure is None:
        return None
    if isinstance(error, drf.UnsupportedMediaType):
        taken = ", ".join(parser.media_type for parser in context["view"].get_parsers())
        failure = replace(failure, detail=f"{failure.detail} This call takes {taken}.")
    request: HttpRequest = context["request"]._request
    renderer = getattr(context["request"], "accepted_renderer", None)
    if renderer is None or renderer.format != "api":
        return answer(request, failure)
    # A browsable page shows the failure inside the page.
    failure = _as_door_says(request, failure)
    return Response(body_for(request.path, request.method or "", failure), failure.status, headers=failure.headers)


def answer(request: HttpRequest, failure: Failure) -> HttpResponse:
    """The failure as the JSON of the path's door."""
    failure = _as_door_says(request, failure)
    body = body_for(request.path, request.method or "", failure)
    return json_response(body, status=failure.status, headers=failure.headers)


def describe(error: BaseException | None) -> Failure | None:
    """Status and words of an expected error; None for anything else, which is a fault."""
    if isinstance(error, ServerError):
        return _of_tree(error)
    if isinstance(error, drf.APIException):
        return _of_drf(error)
    if isinstance(error, Http404):
        return Failure(404, "the object does not exist, or no longer", "not_found")
    if isinstance(error, PermissionDenied):
        return Failure(403, str(error) or "This is not allowed.", "forbidden")
    if isinstance(error, RequestDataTooBig):
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        return Failure(413, f"the body is larger than {limit} bytes, the limit of a JSON body", "too_large")
    if isinstance(error, SuspiciousOperation):
        return Failure(400, "The request is malformed.", "bad_request")
    return _of_database(error)


def handler400(request: HttpRequest, exception: Exception) -> HttpResponse:
    return answer(request, describe(exception) or Failure(400, "The request is malformed.", "bad_request"))


def handler403(request: HttpRequest, exception: Exception) -> HttpResponse:
    if not is_machine_path(request):
        return defaults.permission_denied(request, exception)
    return answer(request, describe(exception) or Failure(403, "This is not allowed.", "forbidden"))


def handler404(request: HttpRequest, exception: Exception) -> HttpResponse:
    """A path of no route; Http404 raised inside a DRF view never comes here."""
    if not is_machine_path(request):
        return defaults.page_not_found(request, exception)
    said = f"There is no path {request.path}; paths have no trailing slash and are listed at /docs."
    return answer(request, Failure(404, said, "not_found", is_unrouted=True))


def handler500(request: HttpRequest) -> HttpResponse:
    """Called while the exception is being handled; what the tree expects keeps its own status here too."""
    failure = describe(sys.exception())
    if failure is None and not is_machine_path(request):
        return defaults.server_error(request)
    return answer(request, failure or FAULT)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """CSRF_FAILURE_VIEW: for the admin and other pages; DRF's session calls raise PermissionDenied instead."""
    if not is_machine_path(request):
        from django.views.csrf import csrf_failure as page

        return page(request, reason=reason)
    return answer(request, Failure(403, f"The session call was refused: {reason}", "forbidden"))


def _of_tree(error: ServerError) -> Failure:
    headers = {}
    if isinstance(error, TooManyRequests | Unavailable):
        headers["Retry-After"] = str(error.retry_after_s)
    if isinstance(error, UpgradeRequired):
        headers["Upgrade"] = "websocket"
    return Failure(
        error.status,
        error.message,
        error.code,
        errors=error.errors,
        headers=headers,
        is_validation=isinstance(error, Invalid),
    )


def _of_drf(error: drf.APIException) -> Failure:
    if isinstance(error, drf.ValidationError):
        return _of_tree(Invalid.fields(_flat(error.detail)))
    code = CODES.get(error.status_code, "error")
    detail = MISSING_KEY if isinstance(error, drf.NotAuthenticated) else _text(error.detail)
    headers = {}
    if isinstance(error, drf.NotAuthenticated | drf.AuthenticationFailed):
        return Failure(401, detail, "unauthorized", headers={"WWW-Authenticate": "Bearer"})
    if isinstance(error, drf.ParseError):
        code = "invalid_json"
    if isinstance(error, drf.Throttled):
        headers["Retry-After"] = str(getattr(error, "wait", None) or RETRY_S)
    is_unrouted = isinstance(error, drf.MethodNotAllowed)
    return Failure(error.status_code, detail, code, headers=headers, is_unrouted=is_unrouted)


def _of_database(error: BaseException | None) -> Failure | None:
    """A database that is locked or away will be back; a missing table or column will not."""
    if isinstance(error, DataError):
        return Failure(
            422, "A value cannot be stored: it is too large or holds characters no text may hold.", "invalid"
        )
    if not isinstance(error, OperationalError | InterfaceError) or str(error).startswith("no such"):
        return None
    log.error("the database did not answer: %s", error)
    headers = {"Retry-After": str(RETRY_S)}
    said = f"The database is busy or away, nothing was changed; ask again in {RETRY_S} s."
    return Failure(503, said, "unavailable", headers=headers)


def _as_door_says(request: HttpRequest, failure: Failure) -> Failure:
    if not failure.is_validation:
        return failure
    return failure.with_status(validation_status_of(request.path))


def _flat(detail: Any, name: str = "") -> dict[str, list[str]]:
    """DRF's nested messages as `{"outer.inner": [sentence]}`."""
    if isinstance(detail, dict):
        found: dict[str, list[str]] = {}
        for key, inner in detail.items():
            found |= _flat(inner, f"{name}.{key}" if name else str(key))
        return found
    if isinstance(detail, list) and any(isinstance(it, dict | list) for it in detail):
        return _flat({str(index): it for index, it in enumerate(detail) if it}, name)
    sentences = detail if isinstance(detail, list) else [detail]
    return {name or "non_field_errors": [str(sentence) for sentence in sentences]}


def _text(detail: Any) -> str:
    if isinstance(detail, str):
        return str(detail)
    return "; ".join(f"{name}: {' '.join(said)}" for name, said in _flat(detail).items())
