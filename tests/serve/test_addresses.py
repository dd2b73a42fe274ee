import socket

import pytest

from mlserver.serving import Refused
from mlserver.serving.addresses import is_loopback, listen, listen_all
from mlserver.serving.announcement import url_of
from mlserver.serving.options import parse_address
from tests.serving import free_port


def test_it_listens_on_every_address_of_a_name() -> None:
    port = free_port()
    listeners = listen("localhost", port)
    with socket.create_connection(("localhost", port), timeout=5):
        assert all(map(is_loopback, listeners))
    for listener in listeners:
        listener.close()


def test_it_refuses_an_address_that_is_not_this_machines() -> None:
    with pytest.raises(Refused, match="cannot listen on 192.0.2.1:9999: Cannot assign requested address"):
        listen_all([("192.0.2.1", 9999)])


@pytest.mark.parametrize(
    ("text", "address"),
    [("0.0.0.0:5000", ("0.0.0.0", 5000)), ("[::1]:80", ("::1", 80)), ("name:65535", ("name", 65535))],
)
def test_it_reads_an_address(text: str, address: tuple[str, int]) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize("text", ["", ":80", "name", "name:", "name:0", "name:65536", "name:٣", "name:-1"])
def test_it_refuses_what_is_no_address(text: str) -> None:
    with pytest.raises(Refused, match="--listen="):
        parse_address(text)


def test_a_url_names_a_host_that_can_be_opened() -> None:
    assert url_of("http", "127.0.0.1", 80) == "http://127.0.0.1:80"
    assert url_of("https", "::1", 80) == "https://[::1]:80"
    assert url_of("http", "0.0.0.0", 80) == f"http://{socket.gethostname()}:80"
