"""What the caller may do: the scope of the key or session, and whose object it is."""

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from rest_framework.exceptions import APIException, NotAuthenticated
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from mlserver.accounts.authentication import authenticators
from mlserver.accounts.scopes import Scope, includes, scope_of_user
from mlserver.api.failures import answer, describe
from mlserver.errors import Forbidden, ServerError

if TYPE_CHECKING:  # DRF's views import this module, by way of its settings
    from rest_framework.views import APIView

View = Callable[..., HttpResponseBase]


class Owned(Protocol):
    @property
    def owner_id(self) -> int: ...


class HasScope(BasePermission):
    """The default permission of every view.

    Reading needs `view.read_scope` ("read"), everything else `view.required_scope` ("submit"). `view.open = True`
    declares a view that needs no key; such a view also sets `authentication_classes = ()`, or a wrong key that
    nobody asked for would be refused.
    """

    def has_permission(self, request: Request, view: "APIView") -> bool:
        if getattr(view, "open", False):
            return True
        if not isinstance(request.user, User):
            return False
        self.message = objection_to(request, needed_scope(request.method or "GET", view))
        return self.message is None


def needed_scope(method: str, view: object) -> str:
    if method in SAFE_METHODS:
        return str(getattr(view, "read_scope", Scope.READ.value))
    return str(getattr(view, "required_scope", Scope.SUBMIT.value))


def scope_of(request: Request | HttpRequest) -> str:
    """`read`, `submit` or `admin`: what the caller may do with this request."""
    auth = getattr(request, "auth", None)
    if auth is not None:
        return str(auth.effective_scope)
    user = request.user
    if not isinstance(user, User):
        raise NotAuthenticated()
    return scope_of_user(user)


def is_admin(request: Request | HttpRequest) -> bool:
    """Scope admin, which only superusers have: of everybody else nothing has to be looked up."""
    return isinstance(request.user, User) and request.user.is_superuser and scope_of(request) == Scope.ADMIN


def objection_to(request: Request | HttpRequest, needed: str) -> str | None:
    """Why the scope of an authenticated caller is not enough; None when it is."""
    if needed == Scope.READ:  # every scope includes it, and finding out which one it is may be a query
        return None
    scope = scope_of(request)
    return None if includes(scope, needed) else f"This call needs scope {needed}; the caller has {scope}"


def require_owner(request: Request | HttpRequest, obj: Owned) -> None:
    """Raises Forbidden unless `obj` belongs to the caller, or the caller is an administrator."""
    if obj.owner_id != request.user.pk and not is_admin(request):
        noun = getattr(getattr(obj, "_meta", None), "verbose_name", "this")
        raise Forbidden(f"{noun} {getattr(obj, 'pk', '')} belongs to somebody else")


def open_route(view: View) -> View:
    """Declare a Django view that needs no key."""
    view.declared_scope = "open"  # type: ignore[attr-defined]  # read by the test that walks all routes
    return view


def needs_scope(scope: str, *, login: bool = False) -> Callable[[View], View]:
    """Guard a Django view as HasScope guards a DRF view, for every method; expected errors become answers.

    With `login` a browser without a session is sent to the login page instead of being refused.
    """

    def guard(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            try:
                _admit(request, scope, view)
                return view(request, *args, **kwargs)
            except NotAuthenticated as error:
                if login and request.method == "GET" and "text/html" in request.headers.get("Accept", ""):
                    return HttpResponseRedirect(f"{settings.LOGIN_URL}?next={quote(request.get_full_path())}")
                return _refused(request, error)
            except (APIException, ServerError, PermissionDenied) as error:
                return _refused(request, error)

        guarded.declared_scope = scope  # type: ignore[attr-defined]
        # Keyed calls carry no CSRF token; BrowserAuthentication asks sessions for theirs.
        guarded.csrf_exempt = True  # type: ignore[attr-defined]
        return guarded

    return guard


def _admit(request: HttpRequest, scope: str, view: View) -> None:
    seen = Request(request, authenticators=authenticators(), parser_context={"view": view})
    user = seen.user
    if not isinstance(user, User):
        raise NotAuthenticated()
    request.user, request.auth = user, seen.auth  # type: ignore[attr-defined]
    objection = objection_to(request, scope)
    if objection is not None:
        raise Forbidden(objection)


def _refused(request: HttpRequest, error: Exception) -> HttpResponseBase:
    failure = describe(error)
    if failure is None:
        raise error
    return answer(request, failure)
