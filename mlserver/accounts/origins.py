"""Where a browser says a call comes from, and by which name it reached us."""

import logging
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from django.core.exceptions import DisallowedHost, PermissionDenied
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from mlserver.accounts.peers import peer_of
from mlserver.api.bodies import Failure, validation_status_of
from mlserver.api.failures import answer

log = logging.getLogger(__name__)
DEFAULT_PORTS = {"http": 80, "https": 443}


class OriginMiddleware:
    """Refuses what no honest client sends, before anything is looked up: see `objection_to`."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        failure = objection_to(request)
        if failure is None:
            return self.get_response(request)
        log.warning("refused a call from %s: %s", peer_of(request).address, failure.detail)
        return answer(request, failure)


def objection_to(request: HttpRequest) -> Failure | None:
    """A Host outside ALLOWED_HOSTS, a NUL in the address, or a body of unknown length."""
    try:
        request.get_host()
    except DisallowedHost:
        host = request.META.get("HTTP_HOST", "")[:100]
        return Failure(400, f"Host {host!r} is not served here; ALLOWED_HOSTS names the hosts that are.", "bad_request")
    if "\0" in request.path_info:
        return Failure(404, "Nothing has the character NUL in its name.", "not_found")
    if "%00" in request.META.get("QUERY_STRING", ""):
        status = validation_status_of(request.path)
        return Failure(status, "The query contains the character NUL, which no parameter takes.", "invalid")
    if request.META.get("HTTP_TRANSFER_ENCODING") and not request.META.get("CONTENT_LENGTH"):
        # The WSGI side reads Content-Length bytes: without the header a body would silently count as empty.
        return Failure(411, "The body needs a Content-Length; chunked bodies are not taken here.", "length_required")
    return None


def refuse_foreign_origin(request: HttpRequest, *, allowed: Sequence[str] = ()) -> None:
    """Raises PermissionDenied when the call says it comes from a page of another host or port."""
    origin = request.META.get("HTTP_ORIGIN")
    if origin is None or origin in allowed:
        return
    if not is_own_origin(origin, request.get_host(), is_secure=request.is_secure()):
        raise PermissionDenied(
            f"Origin {origin[:100]!r} is another site; calls without a key come from this host and port"
        )


def is_own_origin(origin: str, host: str, *, is_secure: bool) -> bool:
    """Whether `origin` (`scheme://host:port`) has the name and port of the Host header; `null` never has."""
    try:
        theirs, ours = urlsplit(origin), urlsplit(f"//{host}")
        their_port = theirs.port or DEFAULT_PORTS.get(theirs.scheme)
        our_port = ours.port or DEFAULT_PORTS["https" if is_secure else "http"]
    except ValueError:
        return False
    return theirs.hostname is not None and (theirs.hostname, their_port) == (ours.hostname, our_port)


def has_own_host_name(origin: str, host: str) -> bool:
    """Whether `origin` has the name of the Host header, on whatever port."""
    try:
        theirs, ours = urlsplit(origin).hostname, urlsplit(f"//{host}").hostname
    except ValueError:
        return False
    return theirs is not None and theirs == ours
