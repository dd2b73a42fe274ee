"""The login page of everybody who has a password, and the limit on wrong passwords."""

import logging
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib.auth.signals import user_login_failed
from django.contrib.auth.views import LoginView, LogoutView
from django.dispatch import receiver
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import render

from mlserver.accounts.failed_keys import FailedKeys
from mlserver.accounts.peers import peer_of
from mlserver.accounts.permissions import View, open_route

log = logging.getLogger(__name__)

# The pages of ours load a style sheet and an icon from here, and nothing else.
PAGE_POLICY = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'"
failed_logins = FailedKeys(settings.FAILED_KEYS_PER_MINUTE)


@receiver(user_login_failed, dispatch_uid="mlserver.count_failed_login")
def count_failed_login(sender: object, request: HttpRequest | None = None, **said: Any) -> None:
    """Whatever form asked: Django says each wrong password here."""
    if request is None:
        return
    address = peer_of(request).address
    failed_logins.record(address)
    log.warning("wrong user name or password from %s", address)


def limits_logins(view: View) -> View:
    """Passwords of an address that gave too many wrong ones are not even compared: 429 with Retry-After."""

    @wraps(view)
    def limited(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        wait_s = failed_logins.wait_s(peer_of(request).address) if request.method == "POST" else 0
        return _told_to_wait(request, wait_s) if wait_s else view(request, *args, **kwargs)

    return limited


def _told_to_wait(request: HttpRequest, wait_s: int) -> HttpResponseBase:
    page = render(request, "login.html", {"wait_s": wait_s}, status=429)
    page["Retry-After"] = str(wait_s)
    return _styled(page)


def _styled(page: HttpResponseBase) -> HttpResponseBase:
    page["Content-Security-Policy"] = PAGE_POLICY
    page["Cache-Control"] = "no-store"
    return page


class LoginPage(LoginView):
    """Leads on to `next` when that is a page of this host, else to the status page."""

    template_name = "login.html"
    next_page = "/"

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return _styled(super().dispatch(request, *args, **kwargs))


login: View = open_route(limits_logins(LoginPage.as_view()))
logout: View = open_route(LogoutView.as_view(next_page="/"))
