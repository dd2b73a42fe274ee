"""Sessions, origins, hosts and CORS: what a page in somebody's browser can and cannot do."""

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from mlserver.accounts.origins import is_own_origin
from tests.make import make_key, make_user

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.accounts.urls")]
WHO = "/api/v1/who"


def _log_in(client: Client, user: User) -> dict[str, str]:
    """Session cookie and the header that goes with the CSRF cookie."""
    client.force_login(user)
    client.cookies["csrftoken"] = "a" * 32
    return {"X-CSRFToken": "a" * 32}


def _post(client: Client, **headers: str) -> int:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.post(WHO, {}, content_type="application/json", headers=named).status_code


def test_a_session_call_needs_the_csrf_token(client: Client) -> None:
    token = _log_in(client, make_user())
    assert client.get(WHO).status_code == 200
    refused = client.post(WHO, {}, content_type="application/json")
    assert refused.status_code == 403
    assert "CSRF" in refused.json()["detail"]
    assert client.post(WHO, {}, content_type="application/json", headers=token).status_code == 200


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://testserver", 200),
        ("http://testserver:80", 403),  # Django's own check compares the text
        ("http://testserver:8080", 403),
        ("http://evil.example", 403),
        ("http://testserver.evil.example", 403),
        ("null", 403),
        ("http://[", 403),
        ("http://testserver:99999", 403),
    ],
)
def test_a_session_call_comes_from_our_host_and_port(client: Client, origin: str, status: int) -> None:
    token = _log_in(client, make_user())
    answer = client.post(WHO, {}, content_type="application/json", headers={**token, "Origin": origin})
    assert answer.status_code == status


def test_a_foreign_page_cannot_read_with_a_session(client: Client, settings) -> None:
    settings.ALLOWED_ORIGINS = ["http://other.example"]  # for trusted loopback, never for sessions
    _log_in(client, make_user())
    assert client.get(WHO, headers={"Origin": "http://other.example"}).status_code == 403


def test_the_scope_of_a_session_is_the_users(client: Client) -> None:
    reader = make_user("reader")
    reader.groups.add(Group.objects.create(name="readers"))
    for user, scope in ((make_user(is_admin=True), "admin"), (make_user(), "submit"), (reader, "read")):
        token = _log_in(client, user)
        assert client.get(WHO).json()["scope"] == scope
        status = client.post(WHO, {}, content_type="application/json", headers=token).status_code
        assert status == (403 if scope == "read" else 200)


def test_a_switched_off_user_is_out_at_once(client: Client) -> None:
    user = make_user()
    _log_in(client, user)
    User.objects.update(is_active=False)
    assert client.get(WHO).status_code == 401


def test_a_plain_view_keeps_the_same_rules(client: Client) -> None:
    assert client.post("/api/plain").status_code == 401
    assert client.post("/api/plain", headers={"X-API-Key": make_key(scope="read")}).status_code == 403
    assert client.post("/api/plain", headers={"X-API-Key": make_key()}).json()["scope"] == "submit"
    token = _log_in(client, make_user())
    assert client.post("/api/plain").status_code == 403
    assert client.post("/api/plain", headers=token).status_code == 200
    assert client.get("/open", headers={"X-API-Key": "wrong"}).status_code == 200


def test_a_page_sends_a_browser_to_the_login_and_a_program_not(client: Client) -> None:
    answer = client.get("/page?a=1", headers={"Accept": "text/html"})
    assert (answer.status_code, answer.headers["Location"]) == (302, "/login?next=/page%3Fa%3D1")
    assert client.get("/page").status_code == 401


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "a b", "localhost:x"])
def test_returns_400_in_json_when_the_host_is_not_ours(client: Client, settings, host: str) -> None:
    settings.ALLOWED_HOSTS = ["localhost", "box"]
    answer = client.get("/api/v1/nothing", headers={"Host": host})
    assert (answer.status_code, answer.headers["Content-Type"]) == (400, "application/json")
    assert host in answer.json()["detail"]
    preflight = client.options(
        WHO, headers={"Host": host, "Origin": "http://x", "Access-Control-Request-Method": "GET"}
    )
    assert preflight.status_code == 400


def test_it_answers_to_own_names_and_any_address_literal(client: Client) -> None:
    from django.test import override_settings

    from mlserver.hosts import own_host_names

    with override_settings(ALLOWED_HOSTS=own_host_names()):
        for host in ("localhost:8000", "127.0.0.1:8000", "[::1]:8000", "10.1.2.3"):
            assert client.get("/open", headers={"Host": host}).status_code == 200
        assert client.get("/open", headers={"Host": "rebound.example"}).status_code == 400


def test_any_origin_may_read_keyed_answers_and_never_with_credentials(client: Client) -> None:
    origin = {"Origin": "http://app.example"}
    preflight = client.options(
        WHO, headers={**origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-api-key"}
    )
    answer = client.get(WHO, headers={**origin, "X-API-Key": make_key()})
    refused = client.get(WHO, headers={**origin, "X-API-Key": "wrong"})
    assert (preflight.status_code, answer.status_code, refused.status_code) == (200, 200, 401)
    assert "x-api-key" in preflight.headers["Access-Control-Allow-Headers"]
    assert {"etag", "content-disposition"} <= set(answer.headers["Access-Control-Expose-Headers"].split(", "))
    for each in (preflight, answer, refused):
        assert each.headers["Access-Control-Allow-Origin"] == "*"
        assert "Access-Control-Allow-Credentials" not in each.headers


def test_returns_404_or_422_when_the_address_holds_nul_and_411_when_the_length_is_unknown(client: Client) -> None:
    assert client.get("/api/v1/own/%00").status_code == 404
    assert client.get("/api/v1/who?a=%00").status_code == 422
    assert client.post(WHO, headers={"Transfer-Encoding": "chunked"}, CONTENT_LENGTH="").status_code == 411


def test_origins_are_compared_by_host_and_port() -> None:
    assert is_own_origin("http://box:8000", "box:8000", is_secure=False)
    assert is_own_origin("http://box", "box:80", is_secure=False)
    assert is_own_origin("https://box", "box", is_secure=True)
    assert is_own_origin("http://[::1]:8000", "[::1]:8000", is_secure=False)
    assert is_own_origin("http://BOX:8000", "box:8000", is_secure=False)
    assert not is_own_origin("https://box", "box", is_secure=False)
    assert not is_own_origin("http://box:8001", "box:8000", is_secure=False)
    assert not is_own_origin("file://", "box", is_secure=False)
