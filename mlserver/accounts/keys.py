"""From the headers of a call to the user and scope its key stands for."""

import hmac
import logging
from collections.abc import Mapping
from dataclasses import dataclass

from django.conf import settings
from django.contrib.auth.models import User
from django.db import OperationalError
from rest_framework.exceptions import AuthenticationFailed

from mlserver.accounts.bootstrap import first_admin
from mlserver.accounts.failed_keys import FailedKeys
from mlserver.accounts.models import ApiKey, digest_of
from mlserver.accounts.scopes import Scope
from mlserver.api import sockets
from mlserver.errors import TooManyRequests
from mlserver.prepared import Prepared

log = logging.getLogger(__name__)

KEY_SCHEMES = ("bearer", "token")
# Nobody guesses a key of this length, so it is looked up even while its address must wait.
UNGUESSABLE_CHARACTERS = 32
BY_DIGEST = Prepared(lambda digest: ApiKey.objects.select_related("user").filter(digest=digest)[:1])
failed_keys = FailedKeys(settings.FAILED_KEYS_PER_MINUTE)


@dataclass(frozen=True)
class StaticKey:
    """A key of API_KEYS: all of them act as the first administrator."""

    effective_scope: str = Scope.ADMIN.value


def presented_key(meta: Mapping[str, str]) -> str | None:
    """The key of the call: `Authorization` counts before `X-API-Key`, that before `X-Auth-Token`.

    In the handshake of a WebSocket a key that was offered as a subprotocol counts last.
    """
    scheme, _, key = meta.get("HTTP_AUTHORIZATION", "").strip().partition(" ")
    if scheme.lower() in KEY_SCHEMES and key.strip():
        return key.strip()
    named = meta.get("HTTP_X_API_KEY", "").strip() or meta.get("HTTP_X_AUTH_TOKEN", "").strip()
    return named or meta.get(sockets.KEY) or None


def resolve_key(key: str, address: str) -> tuple[User, ApiKey | StaticKey]:
    """User and row of a key, in one query.

    Raises AuthenticationFailed for a wrong, expired or revoked key, TooManyRequests after too many wrong ones
    from `address`. A short key is not even compared then, so guesses are bounded; a long one is, so that other
    people at the same address go on working.
    """
    wait_s = failed_keys.wait_s(address)
    if not wait_s or len(key) >= UNGUESSABLE_CHARACTERS:
        found = _find(key)
        if found is not None:
            return found
        if not wait_s:
            failed_keys.record(address)
            log.warning("wrong key from %s, sha256 %s", address, digest_of(key)[:16])
            raise AuthenticationFailed("The key is wrong: this server has none like it")
    raise TooManyRequests(f"Too many wrong keys from {address}; try again in {wait_s} s", retry_after_s=wait_s)


def _find(key: str) -> tuple[User, ApiKey | StaticKey] | None:
    digest = digest_of(key)
    # Every static key is compared, whichever matches: the time taken tells nothing.
    if any([hmac.compare_digest(digest, digest_of(static)) for static in settings.API_KEYS]):
        return first_admin(), StaticKey()
    row = BY_DIGEST.first(digest)
    if row is None:
        return None
    _refuse_dead(row)
    try:
        row.touch()
    except OperationalError as error:
        log.warning("the use of key %s was not recorded: %s", row.prefix, error)
    return row.user, row


def _refuse_dead(row: ApiKey) -> None:
    if row.state == "revoked":
        raise AuthenticationFailed(f"The key {row.prefix}... was revoked on {row.revoked_at:%Y-%m-%d %H:%M} UTC")
    if row.state == "expired":
        raise AuthenticationFailed(f"The key {row.prefix}... expired on {row.expires_at:%Y-%m-%d %H:%M} UTC")
    if not row.user.is_active:
        raise AuthenticationFailed(f"The user of the key {row.prefix}... is switched off")
