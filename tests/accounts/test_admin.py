"""Keys in the Django admin."""

import re

import pytest
from django.test import Client

from mlserver.accounts.models import ApiKey, IdempotentAnswer, digest_of
from tests.make import make_key, make_user

pytestmark = pytest.mark.django_db
ADD = "/admin/accounts/apikey/add/"


@pytest.fixture
def admin(client: Client) -> Client:
    client = Client()
    client.force_login(make_user(is_admin=True))
    return client


def _form(user_id: int, scope: str = "submit") -> dict[str, str]:
    return {"name": "laptop", "user": str(user_id), "scope": scope, "expires_at_0": "", "expires_at_1": ""}


def test_it_shows_a_new_key_once(admin: Client) -> None:
    page = admin.post(ADD, _form(make_user().pk), follow=True).content.decode()
    found = re.search(r"The key is (mls_[\w-]{43}) ", page)
    assert found is not None
    assert ApiKey.objects.get().digest == digest_of(found[1])
    again = admin.get(f"/admin/accounts/apikey/{ApiKey.objects.get().pk}/change/").content.decode()
    assert found[1] not in again and found[1][:10] in again


def test_it_refuses_a_scope_above_the_users(admin: Client) -> None:
    page = admin.post(ADD, _form(make_user("ada").pk, "admin")).content.decode()
    assert "admin is more than ada has" in page
    assert not ApiKey.objects.exists()


def test_it_lists_searches_and_revokes(admin: Client) -> None:
    make_key(make_user("ada"))
    page = admin.get("/admin/accounts/apikey/?q=ada&scope=submit").content.decode()
    assert "live" in page and ApiKey.objects.get().prefix in page
    admin.post("/admin/accounts/apikey/", {"action": "revoke", "_selected_action": [ApiKey.objects.get().pk]})
    assert ApiKey.objects.get().state == "revoked"


def test_it_lists_many_keys_in_a_bounded_number_of_queries(admin: Client, django_assert_max_num_queries) -> None:
    for _ in range(20):
        make_key()
    with django_assert_max_num_queries(8):
        assert admin.get("/admin/accounts/apikey/").status_code == 200


def test_kept_answers_can_be_seen_and_not_changed(admin: Client) -> None:
    user = make_user()
    row = IdempotentAnswer.objects.create(user=user, path="/api/v1/tasks", key="k1", request_digest="0" * 64)
    assert "k1" in admin.get("/admin/accounts/idempotentanswer/?q=k1").content.decode()
    assert admin.get(f"/admin/accounts/idempotentanswer/{row.pk}/change/").status_code == 200
    assert admin.get("/admin/accounts/idempotentanswer/add/").status_code == 403
