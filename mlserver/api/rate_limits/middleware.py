"""Refuses calls of the Runicorn API that come too often; each of its answers says how many are left."""

import logging
from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from mlserver.accounts.peers import peer_of
from mlserver.api.bodies import Failure
from mlserver.api.failures import answer
from mlserver.api.rate_limits.limiter import limiter
from mlserver.api.rate_limits.model import Headers
from mlserver.api.rate_limits.windows import Taken

log = logging.getLogger(__name__)
META_KEY = "mlserver.rate_limit"
EXPOSE = "Access-Control-Expose-Headers"
DOCUMENTED = Headers()


class RateLimitMiddleware:
    """Stands outside of the one for CORS, whose list of headers it may have to complete."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        taken = request.META.get(META_KEY)
        if isinstance(taken, Taken):
            describe(response, taken, limiter().limits.settings.custom_headers)
        return response

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: Any, kwargs: Any
    ) -> HttpResponseBase | None:
        """Once the row is known, and before anybody is asked for a key."""
        match = request.resolver_match
        if match is None or request.method == "OPTIONS" or door_of(view) != "runicorn":
            return None
        method = "GET" if request.method == "HEAD" else request.method or "GET"
        peer = peer_of(request)
        taken = request.META[META_KEY] = limiter().take(peer, method, match.route)
        if not taken.wait_s:
            return None
        if taken.is_first and limiter().limits.settings.log_violations:
            log.warning("%s calls %s %s too often: %d are allowed", peer.address, method, match.route, taken.limit)
        headers = {"Retry-After": str(taken.wait_s)}
        return answer(request, Failure(429, "Rate limit exceeded", "too_many_requests", headers=headers))


def door_of(view: Callable[..., Any]) -> str:
    """DRF's views have it in their class, others as an attribute."""
    return str(getattr(getattr(view, "cls", view), "door", ""))


def describe(response: HttpResponseBase, taken: Taken, names: Headers) -> None:
    response[names.rate_limit_header] = str(taken.limit)
    response[names.rate_limit_remaining_header] = str(taken.remaining)
    response[names.rate_limit_reset_header] = str(taken.reset_s)
    if names != DOCUMENTED and EXPOSE in response:
        own = (names.rate_limit_header, names.rate_limit_remaining_header, names.rate_limit_reset_header)
        response[EXPOSE] = ", ".join([response[EXPOSE], *own])
