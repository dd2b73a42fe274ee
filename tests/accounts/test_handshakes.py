"""Who may open a WebSocket: handshakes are GETs, with the key as a subprotocol or an Origin beside a session."""

import pytest
from django.test import Client

from mlserver.api.sockets import IS_HANDSHAKE, KEY
from tests.make import make_key, make_user

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.accounts.urls")]
WHO = "/api/v1/who"
HANDSHAKE = {IS_HANDSHAKE: True, KEY: None}


def test_a_key_among_the_subprotocols_is_as_good_as_one_in_a_header(client: Client) -> None:
    ada = make_user("ada")
    answer = client.get(WHO, **HANDSHAKE | {KEY: make_key(ada, scope="read")})
    assert (answer.json()["user"], answer.json()["scope"]) == ("ada", "read")
    assert client.get(WHO, **HANDSHAKE | {KEY: "wrong"}).status_code == 401


def test_a_key_in_a_header_counts_before_it(client: Client) -> None:
    key = make_key(make_user("ada"))
    assert client.get(WHO, headers={"X-Auth-Token": key}, **HANDSHAKE | {KEY: "wrong"}).json()["user"] == "ada"
    assert client.get(WHO, headers={"X-API-Key": "wrong"}, **HANDSHAKE | {KEY: key}).status_code == 401


def test_returns_401_without_key_and_session(client: Client) -> None:
    assert client.get(WHO, **HANDSHAKE).status_code == 401


def test_a_session_needs_an_origin_of_this_server(client: Client) -> None:
    client.force_login(make_user("ada"))
    assert client.get(WHO, **HANDSHAKE).status_code == 403
    for origin in ("http://evil.example", "http://testserver:5000", "null"):
        assert client.get(WHO, headers={"Origin": origin}, **HANDSHAKE).status_code == 403
    assert client.get(WHO, headers={"Origin": "http://testserver"}, **HANDSHAKE).json()["user"] == "ada"


def test_a_loopback_peer_is_trusted_as_elsewhere(client: Client, settings) -> None:
    settings.TRUST_LOOPBACK = ["flowline"]
    assert client.get("/api/task/who", **HANDSHAKE).json()["user"] == "loopback"
    assert client.get("/api/task/who", headers={"Origin": "http://evil.example"}, **HANDSHAKE).status_code == 403
