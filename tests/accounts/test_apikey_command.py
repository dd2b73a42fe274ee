"""manage.py apikey."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from mlserver.accounts.models import ApiKey, digest_of
from tests.make import make_key, make_user

pytestmark = pytest.mark.django_db


def _apikey(*args: str) -> str:
    out = StringIO()
    call_command("apikey", *args, stdout=out)
    return out.getvalue().strip()


def test_it_creates_a_key_of_the_first_administrator_and_prints_only_it() -> None:
    chief = make_user(is_admin=True)
    key = _apikey("create", "laptop", "--scope", "admin", "--days", "30")
    row = ApiKey.objects.get(digest=digest_of(key))
    assert (row.user, row.name, row.scope, row.state) == (chief, "laptop", "admin", "live")
    assert (row.expires_at - row.created_at).days in (29, 30)


def test_it_creates_a_key_of_a_named_user_up_to_its_scope() -> None:
    make_user("ada")
    assert ApiKey.objects.get(digest=digest_of(_apikey("create", "x", "--user", "ada"))).user.username == "ada"
    with pytest.raises(CommandError, match='"admin" is more than user ada has'):
        _apikey("create", "x", "--user", "ada", "--scope", "admin")
    with pytest.raises(CommandError, match="no active user 'bob'; administrators make users at /admin/"):
        _apikey("create", "x", "--user", "bob")


@pytest.mark.parametrize("days", ["0", "-1", "x", "99999999999"])
def test_it_refuses_days_that_are_no_days(days: str) -> None:
    with pytest.raises(CommandError, match="must be a whole number"):
        _apikey("create", "x", f"--days={days}")


@pytest.mark.parametrize("name", ["", "  ", "x" * 101, "a\0b"])
def test_it_refuses_a_name_that_says_nothing_or_too_much(name: str) -> None:
    make_user(is_admin=True)
    with pytest.raises(CommandError, match="must be 1 to 100 printable characters"):
        _apikey("create", name)
    assert not ApiKey.objects.exists()


def test_it_lists_live_keys_and_with_all_the_others() -> None:
    make_key(make_user("ada"))
    make_key(make_user("bob"))
    ApiKey.objects.get(user__username="bob").revoke()
    assert "ada" in _apikey("list") and "bob" not in _apikey("list")
    assert "revoked" in _apikey("list", "--all")


def test_it_revokes_by_prefix_or_id_once() -> None:
    key = make_key()
    assert _apikey("revoke", key[:10]).startswith("revoked mls_")
    with pytest.raises(CommandError, match="revoked before"):
        _apikey("revoke", str(ApiKey.objects.get().pk))
    with pytest.raises(CommandError, match="0 keys have the id or prefix '99999'"):
        _apikey("revoke", "99999")
