"""The client's address behind proxies: believed only as far as the proxies are."""

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import Client

from mlserver.accounts.peers import find_peer, trusted_networks
from mlserver.env import env_networks
from tests.make import make_key

PROXIES = trusted_networks(("10.0.0.1", "fd00::/8", "192.168.0.0/16"))


@pytest.mark.parametrize(
    ("tcp", "forwarded", "client"),
    [
        ("10.0.0.1", "203.0.113.5", "203.0.113.5"),
        ("10.0.0.1", "6.6.6.6, 203.0.113.5", "203.0.113.5"),
        ("10.0.0.1", "6.6.6.6, 203.0.113.5, 192.168.3.4", "203.0.113.5"),
        ("fd00::7", "2001:db8::1", "2001:db8::1"),
        ("10.0.0.1", "192.168.3.4", "192.168.3.4"),
        ("10.0.0.1", "203.0.113.5, nonsense", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.2", "203.0.113.5", "10.0.0.2"),
        ("", "203.0.113.5", ""),
    ],
)
def test_it_reads_forwarded_for_from_its_end_through_trusted_proxies(tcp: str, forwarded: str, client: str) -> None:
    peer = find_peer({"REMOTE_ADDR": tcp, "HTTP_X_FORWARDED_FOR": forwarded}, PROXIES)
    assert (peer.address, peer.tcp_address) == (client, tcp)


@pytest.mark.django_db
@pytest.mark.urls("tests.accounts.urls")
def test_views_see_the_client_and_the_proxys_scheme(client: Client, settings) -> None:
    settings.TRUSTED_PROXIES = ["10.0.0.1"]
    headers = {"X-API-Key": make_key(), "X-Forwarded-For": "203.0.113.5", "X-Forwarded-Proto": "https"}
    believed = client.get("/api/v1/who", headers=headers, REMOTE_ADDR="10.0.0.1")
    assert believed.json()["address"] == "203.0.113.5"
    assert believed.wsgi_request.is_secure()
    ignored = client.get("/api/v1/who", headers=headers, REMOTE_ADDR="10.0.0.2")
    assert ignored.json()["address"] == "10.0.0.2"
    assert not ignored.wsgi_request.is_secure()


@pytest.mark.parametrize("entry", ["proxy.local", "10.0.0.1/8", "10.0.0.1:80"])
def test_it_refuses_a_proxy_that_is_no_address(monkeypatch: pytest.MonkeyPatch, entry: str) -> None:
    monkeypatch.setenv("TRUSTED_PROXIES", f"10.0.0.1, {entry}")
    with pytest.raises(ImproperlyConfigured, match=f"TRUSTED_PROXIES='{entry}' is refused"):
        env_networks("TRUSTED_PROXIES")
