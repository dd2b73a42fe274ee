"""N14: /api/v1/api-keys."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from mlserver.accounts.models import ApiKey, digest_of
from tests.make import make_key, make_user

pytestmark = pytest.mark.django_db
PATH = "/api/v1/api-keys"


@pytest.fixture
def admin() -> Client:
    return Client(headers={"X-API-Key": make_key(make_user("chief", is_admin=True), scope="admin")})


def _post(client: Client, body: object, **headers: str):
    return client.post(PATH, body, content_type="application/json", headers=headers)


def test_it_shows_a_new_key_once_and_the_key_works(admin: Client) -> None:
    made = _post(admin, {"name": "laptop"})
    body = made.json()
    assert made.status_code == 201
    assert made.headers["Location"] == f"http://testserver{PATH}/{body['id']}"
    assert (body["user"], body["scope"], body["state"], body["name"]) == ("chief", "submit", "live", "laptop")
    assert ApiKey.objects.get(pk=body["id"]).digest == digest_of(body["key"])
    assert Client().get("/api/v1/tasks", headers={"X-API-Key": body["key"]}).status_code == 200
    shown = admin.get(f"{PATH}/{body['id']}")
    assert "key" not in shown.json() and body["key"] not in shown.content.decode()


def test_it_makes_keys_for_others_up_to_their_scope(admin: Client) -> None:
    make_user("ada")
    assert _post(admin, {"name": "x", "user": "ada", "scope": "read"}).json()["user"] == "ada"
    refused = _post(admin, {"name": "x", "user": "ada", "scope": "admin"})
    assert refused.status_code == 422
    assert refused.json()["errors"]["scope"] == ['"admin" is more than user ada has, which is submit']


def test_a_repeated_creation_makes_one_key_and_does_not_show_it_again(admin: Client) -> None:
    first = _post(admin, {"name": "x"}, **{"Idempotency-Key": "k"}).json()
    again = _post(admin, {"name": "x"}, **{"Idempotency-Key": "k"}).json()
    assert again == first | {"key": None}


@pytest.mark.parametrize(
    ("body", "field", "said"),
    [
        ({}, "name", "it is missing and must be text of 1-100 characters"),
        ({"name": ""}, "name", '"" must be text of 1-100 characters'),
        ({"name": None}, "name", "null must be text of 1-100 characters"),
        ({"name": "x" * 101}, "name", "must be text of 1-100 characters"),
        ({"name": "x", "scope": "root"}, "scope", '"root" must be one of read, submit, admin'),
        ({"name": "x", "user": "nobody"}, "user", '"nobody" must be the name of an active user'),
        ({"name": "x", "expires_at": "soon"}, "expires_at", '"soon" must be an instant of ISO 8601'),
        ({"name": "x", "expires_at": "2020-01-01T00:00:00Z"}, "expires_at", "is in the past"),
    ],
)
def test_returns_422_when_a_field_is_wrong(admin: Client, body: object, field: str, said: str) -> None:
    answer = _post(admin, body)
    assert answer.status_code == 422
    assert list(answer.json()["errors"]) == [field]
    assert said in answer.json()["errors"][field][0]


def test_returns_400_when_the_body_is_not_json(admin: Client) -> None:
    assert _post(admin, b"{").status_code == 400


def test_delete_revokes_at_once_and_keeps_the_row(admin: Client) -> None:
    key = make_key()
    row = ApiKey.objects.get(digest=digest_of(key))
    assert admin.delete(f"{PATH}/{row.pk}").status_code == 204
    answer = Client().get(PATH, headers={"X-API-Key": key})
    assert answer.status_code == 401 and "was revoked" in answer.json()["detail"]
    assert admin.get(f"{PATH}/{row.pk}").json()["state"] == "revoked"
    assert admin.delete(f"{PATH}/{row.pk}").status_code == 204, "revoking again changes nothing"
    row_again = ApiKey.objects.get(pk=row.pk)
    assert row_again.revoked_at is not None


def test_returns_404_when_the_id_is_unknown(admin: Client) -> None:
    for answer in (admin.get(f"{PATH}/999999"), admin.delete(f"{PATH}/999999")):
        assert answer.status_code == 404
        assert answer.json() == {"detail": "API key 999999 does not exist"}


@pytest.mark.parametrize("scope", ["read", "submit"])
def test_returns_403_when_the_caller_is_no_administrator(scope: str) -> None:
    client = Client(headers={"X-API-Key": make_key(scope=scope)})
    for answer in (client.get(PATH), _post(client, {"name": "x"}), client.delete(f"{PATH}/1")):
        assert answer.status_code == 403


def test_returns_401_without_a_key() -> None:
    assert Client().get(PATH).status_code == 401


def test_it_lists_in_few_queries_with_filters_and_count(admin: Client, django_assert_num_queries) -> None:
    for name in ("ada", "bob"):
        make_key(make_user(name), expires_at=timezone.now() + timedelta(days=1))
    admin.get(PATH)
    with django_assert_num_queries(3):  # the key, the page, the count
        body = admin.get(f"{PATH}?count=1&page_size=2").json()
    assert body["count"] == 3 and len(body["results"]) == 2
    assert [row["user"] for row in body["results"]] == ["bob", "ada"]
    assert len(admin.get(body["next"]).json()["results"]) == 1
    assert [row["user"] for row in admin.get(f"{PATH}?user=ada").json()["results"]] == ["ada"]
    assert admin.get(f"{PATH}?ordering=digest").status_code == 422
