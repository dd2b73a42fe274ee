"""Scopes and ownership."""

import pytest
from django.test import Client

from tests.make import make_key, make_task, make_user

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.accounts.urls")]


@pytest.mark.parametrize(
    ("scope", "read", "submit", "admin"), [("read", 200, 403, 403), ("submit", 200, 200, 403), ("admin", 200, 200, 200)]
)
def test_each_scope_includes_the_ones_before(client: Client, scope: str, read: int, submit: int, admin: int) -> None:
    headers = {"X-API-Key": make_key(scope=scope)}
    assert client.get("/api/v1/who", headers=headers).status_code == read
    assert client.get("/api/v1/admin-only", headers=headers).status_code == read
    assert client.post("/api/v1/who", {}, content_type="application/json", headers=headers).status_code == submit
    answer = client.post("/api/v1/admin-only", {}, content_type="application/json", headers=headers)
    assert answer.status_code == admin
    if admin == 403:
        assert answer.json() == {"detail": f"This call needs scope admin; the caller has {scope}"}


def test_returns_403_when_the_object_is_somebody_elses(client: Client) -> None:
    owner = make_user()
    path = f"/api/v1/own/{make_task(owner).pk}"
    assert client.post(path, headers={"X-API-Key": make_key(owner)}).status_code == 200
    assert client.post(path, headers={"X-API-Key": make_key(scope="admin")}).status_code == 200
    answer = client.post(path, headers={"X-API-Key": make_key()})
    assert answer.status_code == 403
    assert "belongs to somebody else" in answer.json()["detail"]
