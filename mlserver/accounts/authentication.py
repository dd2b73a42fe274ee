"""Who calls: a key, a trusted loopback peer, or a browser session, in this order."""

from typing import Any, cast

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.request import Request

from mlserver.accounts.keys import StaticKey, presented_key, resolve_key
from mlserver.accounts.models import ApiKey
from mlserver.accounts.origins import refuse_foreign_origin
from mlserver.accounts.peers import peer_of
from mlserver.accounts.scopes import Scope
from mlserver.api.sockets import is_handshake

LOOPBACK_USER = "loopback"


class LoopbackTrust:
    """`request.auth` of a call that came in by trust alone."""

    effective_scope = Scope.SUBMIT.value


class KeyAuthentication(BaseAuthentication):
    """A key settles the matter: a wrong one is refused even beside a good session."""

    def authenticate(self, request: Request) -> tuple[User, ApiKey | StaticKey] | None:
        key = presented_key(request.META)
        return None if key is None else resolve_key(key, peer_of(request).address)

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class TrustedLoopbackAuthentication(BaseAuthentication):
    """Keyless calls from this machine, on the doors of MLSERVER_TRUST_LOOPBACK only.

    A view says its door in the class attribute `door`; a view without one is `native` and never trusts. Behind a
    proxy every peer is loopback, so a proxy in the settings or in the headers ends the trust. A logged-in browser
    keeps its own user. Raises PermissionDenied for a foreign Origin: a page elsewhere must not drive this server.
    """

    def authenticate(self, request: Request) -> tuple[User, LoopbackTrust] | None:
        door = getattr(request.parser_context.get("view"), "door", "native")
        if door not in settings.TRUST_LOOPBACK or settings.TRUSTED_PROXIES or not peer_of(request).is_direct_loopback:
            return None
        refuse_foreign_origin(request._request, allowed=settings.ALLOWED_ORIGINS)
        if _session_user(request) is not None:
            return None
        user = loopback_user()
        return (user, LoopbackTrust()) if user.is_active else None

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class BrowserAuthentication(SessionAuthentication):
    """A logged-in session, from our own pages only: Origin must match, unsafe calls carry the CSRF token.

    A WebSocket carries none, so its handshake must have an Origin; browsers always send one.
    """

    def authenticate(self, request: Request) -> tuple[User, None] | None:
        user = _session_user(request)
        if user is None:
            return None
        refuse_foreign_origin(request._request)
        if is_handshake(request) and "HTTP_ORIGIN" not in request.META:
            raise PermissionDenied("A WebSocket of a logged-in session is opened by our own pages: Origin is missing")
        self.enforce_csrf(cast(Request, request._request))
        return user, None

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


def loopback_user() -> User:
    """The user of trusted calls; it has no password, so nobody logs in as it. Switch it off to end the trust."""
    return User.objects.get_or_create(username=LOOPBACK_USER, defaults={"password": make_password(None)})[0]


def authenticators() -> list[BaseAuthentication]:
    """The same classes, in the same order, as REST_FRAMEWORK names; for views outside DRF."""
    return [KeyAuthentication(), TrustedLoopbackAuthentication(), BrowserAuthentication()]


def _session_user(request: Request) -> User | None:
    # Without the cookie nobody is logged in, and Django need not be asked.
    if settings.SESSION_COOKIE_NAME not in request.COOKIES:
        return None
    user: Any = getattr(request._request, "user", None)
    return user if user is not None and user.is_active else None
