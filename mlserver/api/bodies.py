"""The shape of a failing answer, chosen by path: one table, total, first match counts."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from django.http import HttpRequest

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
JOBS_CODES = {
    "invalid_json": "INVALID_JSON",
    "invalid": "INVALID_PARAMETER",
    "bad_request": "INVALID_PARAMETER",
    "unauthorized": "AUTH_FAILED",
    "not_found": "JOB_NOT_FOUND",
    "conflict": "INVALID_STATE",
    "unsupported_media_type": "UNSUPPORTED_MEDIA_TYPE",
    "internal_error": "INTERNAL_ERROR",
}
REMOTE_CODES = {"unauthorized": "authentication_failed"}


@dataclass(frozen=True)
class Failure:
    """`detail` is one string; `errors` maps field -> sentences; `is_unrouted`: no such path or method."""

    status: int
    detail: str
    code: str
    errors: Mapping[str, list[str]] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    is_validation: bool = False
    is_unrouted: bool = False

    def with_status(self, status: int) -> "Failure":
        return replace(self, status=status)


def _native(failure: Failure, method: str) -> dict[str, Any]:
    return {"detail": failure.detail} | ({"errors": dict(failure.errors)} if failure.errors else {})


def _jobs(failure: Failure, method: str) -> dict[str, Any]:
    return {
        "success": False,
        "message": failure.detail,
        "errorCode": JOBS_CODES.get(failure.code, failure.code.upper()),
        "details": dict(failure.errors),
    }


def _remote(failure: Failure, method: str) -> dict[str, Any]:
    code = REMOTE_CODES.get(failure.code, failure.code)
    said = {"success": False, "error": code, "message": failure.detail, "detail": failure.detail}
    return said | _retry_after(failure)


def _flowline(failure: Failure, method: str) -> dict[str, Any]:
    return {"error": failure.detail} | ({} if method in SAFE_METHODS else {"success": False})


def _runicorn(failure: Failure, method: str) -> dict[str, Any]:
    return {"detail": failure.detail} | _retry_after(failure)


def _retry_after(failure: Failure) -> dict[str, Any]:
    if failure.status != 429 or "Retry-After" not in failure.headers:
        return {}
    return {"retry_after": int(failure.headers["Retry-After"])}


class Door(NamedTuple):
    paths: re.Pattern[str]
    body: Callable[[Failure, str], dict[str, Any]]
    validation_status: int


# What is left of /api/: the tracking door's rows, and paths of nobody.
UNOWNED = Door(re.compile(r"/api(/|$)"), _runicorn, 400)
DOORS = (
    Door(re.compile(r"/api/v1(/|$)"), _native, 422),
    Door(re.compile(r"/api/jobs(/|$)"), _jobs, 400),
    Door(re.compile(r"/api/remote(/|$)"), _remote, 400),
    Door(re.compile(r"/api/(gpus|process|task|run|log|logs)(/|$)"), _flowline, 400),
    Door(re.compile(r"/api/gpu/[^/]+/|/api/system/(info|uptime)$"), _flowline, 400),
    UNOWNED,
    Door(re.compile(r""), _native, 422),
)


def body_for(path: str, method: str, failure: Failure) -> dict[str, Any]:
    """The body of a failing call; a path under /api/ that no door owns says it in both common spellings."""
    door = _door(path)
    body = door.body(failure, method)
    if failure.is_unrouted and door is UNOWNED:
        return {"detail": failure.detail, "error": failure.detail} | body
    return body


def validation_status_of(path: str) -> int:
    """What the door answers to a refused value: 400 or 422."""
    return _door(path).validation_status


def is_machine_path(request: HttpRequest) -> bool:
    """Whether a failure is told in JSON: always under /api/, elsewhere unless a browser asks for a page."""
    return request.path.startswith("/api/") or "text/html" not in request.headers.get("Accept", "")


def _door(path: str) -> Door:
    return next(door for door in DOORS if door.paths.match(path))
