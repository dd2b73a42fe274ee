"""Everybody with a password logs in at /login, and wrong passwords are bounded."""

import re

import pytest
from django.contrib.staticfiles import finders
from django.test import Client

from tests.make import make_user

pytestmark = pytest.mark.django_db
HTML = {"Accept": "text/html"}


@pytest.fixture
def client() -> Client:
    return Client()


def log_in(client: Client, username: str = "ada", password: str = "correct horse", path: str = "/login", **form: str):
    return client.post(path, {"username": username, "password": password, **form}, headers=HTML)


def test_it_lets_a_user_who_is_no_administrator_in_and_out(client: Client) -> None:
    make_user("ada")
    answer = log_in(client)
    assert (answer.status_code, answer["Location"]) == (302, "/")
    page = client.get("/", headers=HTML).content.decode()
    assert "ada" in page and 'action="/logout"' in page and 'href="/login' not in page
    assert "/admin/" not in page
    assert client.get("/logout").status_code == 405
    answer = client.post("/logout")
    assert (answer.status_code, answer["Location"]) == (302, "/")
    assert client.get("/api/v1/tasks").status_code == 401


def test_it_leads_on_to_a_page_of_this_host_only(client: Client) -> None:
    make_user("ada")
    assert 'value="/api/v1/tasks"' in client.get("/login?next=/api/v1/tasks").content.decode()
    assert log_in(client, next="/api/v1/tasks")["Location"] == "/api/v1/tasks"
    for elsewhere in ("https://evil.example/", "//evil.example", "javascript:alert(1)"):
        assert log_in(client, next=elsewhere)["Location"] == "/"


def test_it_asks_for_the_csrf_token() -> None:
    make_user("ada")
    strict = Client(enforce_csrf_checks=True)
    assert log_in(strict).status_code == 403
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', strict.get("/login").content.decode())
    assert token is not None
    assert log_in(strict, csrfmiddlewaretoken=token[1]).status_code == 302
    assert strict.post("/logout").status_code == 403


def test_it_needs_no_script_and_nothing_from_elsewhere(client: Client) -> None:
    answer = client.get("/login")
    page = answer.content.decode()
    assert "<script" not in page and 'name="viewport"' in page
    assert "default-src 'none'" in answer["Content-Security-Policy"]
    for path in re.findall(r'href="/static/([^"]+)"', page):
        assert finders.find(path), path


@pytest.mark.parametrize("path", ["/login", "/admin/login/"])
def test_returns_429_when_ten_wrong_passwords_came_in_a_minute(client: Client, path: str) -> None:
    make_user("ada", is_admin=True)
    statuses = [log_in(client, password="wrong", path=path).status_code for _ in range(11)]
    assert statuses == [200] * 10 + [429]
    answer = log_in(client, path=path)
    assert answer.status_code == 429
    assert 0 < int(answer["Retry-After"]) <= 60
    assert "Too many wrong passwords" in answer.content.decode()
    assert client.get(path).status_code == 200
    assert (
        client.post(path, {"username": "ada", "password": "correct horse"}, REMOTE_ADDR="10.0.0.9").status_code == 302
    )


def test_wrong_passwords_do_not_shut_out_keys(client: Client) -> None:
    for _ in range(11):
        log_in(client, password="wrong")
    assert client.get("/api/v1/tasks", headers={"X-API-Key": "wrong"}).status_code == 401


def test_browsable_pages_offer_to_log_in_and_out(client: Client) -> None:
    assert "href='/login?next=/api/v1/tasks'" in client.get("/api/v1/tasks", headers=HTML).content.decode()
    client.force_login(make_user("ada"))
    page = client.get("/api/v1/tasks", headers=HTML).content.decode()
    assert 'action="/logout?next=/api/v1/tasks"' in page
