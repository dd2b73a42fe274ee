"""The one limiter of the process: the limits that held at the start, and who called what since."""

import functools

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from mlserver.accounts.peers import Peer, site_of
from mlserver.api.rate_limits.model import LOG_SOCKET, BadRateLimits, Limit, RateLimits
from mlserver.api.rate_limits.rules import rule_for, template_of
from mlserver.api.rate_limits.storage import load, rate_limits_file
from mlserver.api.rate_limits.windows import Taken, Windows


class Limiter:
    """Buckets are of an address and a row; a rule that names a method makes one of its own."""

    def __init__(self, limits: RateLimits, windows: Windows | None = None) -> None:
        self.limits = limits
        self._windows = windows or Windows()
        self._rows: dict[tuple[str, str], tuple[str, Limit]] = {}

    def take(self, peer: Peer, method: str, route: str) -> Taken:
        """Count a call of the row at `route`, as Django writes it."""
        row = self._rows.get((method, route))
        if row is None:
            row = self._rows[method, route] = self._row(method, template_of(route))
        name, limit = row
        return self._windows.take((site_of(peer.address), name), limit, may_refuse=self._is_limited(peer))

    def most_connections(self, peer: Peer) -> int | None:
        """How many logs (R10) an address may follow at once; None without a limit."""
        limit = self.limits.endpoints.get(LOG_SOCKET, self.limits.default)
        return limit.max_requests if self._is_limited(peer) else None

    def _row(self, method: str, template: str) -> tuple[str, Limit]:
        """Name of the bucket, and its limit. Handshakes of R10 have the default: its rule is of open connections."""
        rule = rule_for(self.limits.endpoints, method, template) if template != LOG_SOCKET else None
        if rule is None:
            return template, self.limits.default
        return (f"{method} {template}" if " " in rule else template), self.limits.endpoints[rule]

    def _is_limited(self, peer: Peer) -> bool:
        options = self.limits.settings
        if not settings.RUNICORN_RATE_LIMIT or not options.enable_rate_limiting:
            return False
        return not (options.whitelist_localhost and peer.is_direct_loopback)


@functools.cache
def limiter() -> Limiter:
    """Made by the first who asks, which is the start of the server. Raises ImproperlyConfigured for a bad file."""
    path = rate_limits_file()
    try:
        return Limiter(load(path))
    except BadRateLimits as error:
        raise ImproperlyConfigured(f"{path} is refused: {error}") from error


def reset_limiter() -> None:
    """Read the file anew, and forget who called; for tests."""
    limiter.cache_clear()
