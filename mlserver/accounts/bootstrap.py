"""The first administrator and key, and the refusal to run without any."""

import os
import secrets
from pathlib import Path
from typing import NamedTuple

from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured
from django.db import connection, transaction

from mlserver.accounts.models import ApiKey
from mlserver.accounts.scopes import Scope
from mlserver.prepared import Prepared

ADMIN_NAME = "admin"
OLDEST_ADMIN = Prepared(lambda: User.objects.filter(is_superuser=True, is_active=True).order_by("pk")[:1])


class Credentials(NamedTuple):
    username: str
    password: str
    key: str
    path: Path


class Passwordless(NamedTuple):
    """The administrator that keys act as, who cannot log in."""

    username: str


def ensure_first_admin() -> Credentials | None:
    """On the very first start: a user `admin` and an admin key, also written to `$MLSERVER_HOME/credentials`.

    None when somebody can come in already: any key, a static key, or a superuser with a password. With static
    keys alone the user is made without a password, so they have somebody to act as.
    """
    if settings.API_KEYS:
        first_admin()
        return None
    if ApiKey.objects.exists() or _can_log_in():
        return None
    with transaction.atomic():
        password = secrets.token_urlsafe(15)
        admin = first_admin()
        admin.set_password(password)
        admin.save(update_fields=["password"])
        _, key = ApiKey.objects.issue(admin, "first key", scope=Scope.ADMIN)
        made = Credentials(admin.username, password, key, settings.MLSERVER_HOME / "credentials")
        # Before the commit: a file nobody needs is better than a key nobody knows.
        _write(made)
    return made


def passwordless_admin() -> Passwordless | None:
    """None when an administrator can log in with a password."""
    if _can_log_in():
        return None
    admin = OLDEST_ADMIN.first()
    return None if admin is None else Passwordless(admin.username)


def first_admin() -> User:
    """The superuser that static keys and manage.py act as: the oldest active one, made when there is none."""
    return OLDEST_ADMIN.first() or User.objects.create_superuser(_free_name())


def refuse_missing_keys() -> None:
    """Raises ImproperlyConfigured when API_KEYS is set but empty, or in production without any live key.

    A database without tables holds no key, so this can be asked before it is migrated.
    """
    if settings.HAS_API_KEYS_VARIABLE and not settings.API_KEYS:
        raise ImproperlyConfigured(
            "API_KEYS is set but holds no key: give it one (API_KEYS=key1,key2 or --api-keys), or unset it"
        )
    if settings.MLSERVER_ENV == "production" and not settings.API_KEYS and not _has_live_key():
        raise ImproperlyConfigured(
            "no API key is configured: with MLSERVER_ENV=production set API_KEYS, give --api-keys,"
            " or make a key with `manage.py apikey create NAME --scope admin` (after `manage.py migrate`)"
        )


def _has_live_key() -> bool:
    is_migrated = ApiKey._meta.db_table in connection.introspection.table_names()
    return is_migrated and ApiKey.objects.live().exists()


def _can_log_in() -> bool:
    return User.objects.filter(is_superuser=True, is_active=True).exclude(password__startswith="!").exists()


def _free_name() -> str:
    """`admin`, unless somebody who is no administrator has that name."""
    taken = set(User.objects.filter(username__startswith=ADMIN_NAME).values_list("username", flat=True))
    number = 1
    name = ADMIN_NAME
    while name in taken:
        number += 1
        name = f"{ADMIN_NAME}{number}"
    return name


def _write(made: Credentials) -> None:
    text = f"user: {made.username}\npassword: {made.password}\nkey: {made.key}\n"
    draft = made.path.with_name(f".{made.path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    draft.replace(made.path)
