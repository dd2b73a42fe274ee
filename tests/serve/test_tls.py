"""HTTPS by serve itself."""

import shutil
import ssl
import subprocess
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect

from tests.serving import RunningServer

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed (apt install openssl)"),
]


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate of its own making for 127.0.0.1, and its key."""
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-days", "1", "-subj", "/CN=mlserver", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", str(key), "-out", str(cert)],
        check=True, capture_output=True, timeout=30,
    )  # fmt: skip
    return cert, key


def test_it_answers_https_and_keeps_cookies_to_it(
    server: RunningServer, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    cert, key = certificate
    monkeypatch.setenv("SSL_CERT_FILE", str(cert))  # whom the test's HTTP client trusts
    server.url = server.url.replace("http:", "https:")

    server.start("--tls-cert", str(cert), "--tls-key", str(key))

    assert httpx.get(f"{server.url}/health").status_code == 200
    assert f"dashboard   {server.url}/" in server.said()
    cookies = httpx.get(f"{server.url}/admin/login/").headers.get_list("set-cookie")
    assert [cookie for cookie in cookies if "; Secure" not in cookie] == []
    assert any(cookie.startswith("csrftoken=") for cookie in cookies)


def test_web_sockets_are_encrypted_too(server: RunningServer, certificate: tuple[Path, Path]) -> None:
    cert, key = certificate
    server.is_healthy = lambda: "dashboard" in server.said()  # type: ignore[method-assign]  # it asks without TLS
    server.start("--tls-cert", str(cert), "--tls-key", str(key))
    path = "/api/runs/20200101_000000_abcdef/logs/ws"

    with connect(
        f"wss://127.0.0.1:{server.port}{path}",
        ssl=ssl.create_default_context(cafile=str(cert)),
        additional_headers={"X-API-Key": server.key},
    ) as socket:
        assert list(socket) == ["[error] run not found"]
