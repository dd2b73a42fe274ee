"""The first start: who can come in, and when the server refuses to run."""

import stat
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured
from django.test import Client

from mlserver.accounts.bootstrap import (
    Passwordless,
    ensure_first_admin,
    first_admin,
    passwordless_admin,
    refuse_missing_keys,
)
from mlserver.accounts.models import ApiKey
from tests.make import make_key, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def home(settings, tmp_path: Path) -> Path:
    settings.MLSERVER_HOME = tmp_path
    settings.HAS_API_KEYS_VARIABLE = False
    return tmp_path


def test_it_makes_one_administrator_and_one_key_that_work(client: Client, home: Path) -> None:
    made = ensure_first_admin()
    assert made is not None
    assert ensure_first_admin() is None
    assert client.get("/api/v1/api-keys", headers={"X-API-Key": made.key}).status_code == 200
    assert client.login(username="admin", password=made.password)
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
    assert made.path.read_text() == f"user: admin\npassword: {made.password}\nkey: {made.key}\n"
    assert [path.name for path in home.iterdir()] == ["credentials"]


def test_it_replaces_a_readable_credentials_file_of_an_earlier_database(home: Path) -> None:
    (home / "credentials").write_text("old")
    (home / "credentials").chmod(0o644)
    made = ensure_first_admin()
    assert made is not None and made.key in made.path.read_text()
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o600


def test_it_makes_nothing_that_nobody_could_read(home: Path) -> None:
    (home / "credentials").mkdir()
    with pytest.raises(OSError):
        ensure_first_admin()
    assert not User.objects.exists() and not ApiKey.objects.exists()


@pytest.mark.parametrize("present", ["key", "superuser"])
def test_it_does_nothing_when_somebody_can_come_in(home: Path, present: str) -> None:
    make_key() if present == "key" else make_user(is_admin=True)
    assert ensure_first_admin() is None
    assert not (home / "credentials").exists()


def test_static_keys_get_an_administrator_without_a_password(home: Path, settings) -> None:
    settings.API_KEYS = ["static"]
    assert ensure_first_admin() is None
    assert not User.objects.get(username="admin", is_superuser=True).has_usable_password()
    assert not (home / "credentials").exists()
    settings.API_KEYS = []
    made = ensure_first_admin()
    assert made is not None and made.username == "admin", "that user alone lets nobody in"


def test_it_names_the_administrator_who_has_no_password(settings) -> None:
    assert passwordless_admin() is None, "there is nobody yet"
    settings.API_KEYS = ["static"]
    ensure_first_admin()
    assert passwordless_admin() == Passwordless("admin")
    make_user(is_admin=True)
    assert passwordless_admin() is None


def test_the_first_admin_is_the_oldest_active_superuser() -> None:
    make_user(is_admin=True, is_active=False)
    oldest = make_user(is_admin=True)
    make_user(is_admin=True)
    assert first_admin() == oldest


def test_it_takes_another_name_when_admin_is_an_ordinary_user() -> None:
    make_user("admin")
    assert first_admin().username == "admin2"


def test_it_refuses_to_start_when_api_keys_is_set_but_empty(settings) -> None:
    settings.HAS_API_KEYS_VARIABLE = True
    make_key()
    with pytest.raises(ImproperlyConfigured, match="API_KEYS is set but holds no key"):
        refuse_missing_keys()
    settings.API_KEYS = ["static"]
    refuse_missing_keys()


def test_it_refuses_to_start_in_production_without_any_live_key(settings) -> None:
    refuse_missing_keys()
    settings.MLSERVER_ENV = "production"
    with pytest.raises(ImproperlyConfigured, match="no API key is configured"):
        refuse_missing_keys()
    key = make_key()
    refuse_missing_keys()
    ApiKey.objects.get(prefix=key[:10]).revoke()
    with pytest.raises(ImproperlyConfigured):
        refuse_missing_keys()
    settings.API_KEYS = ["static"]
    refuse_missing_keys()
