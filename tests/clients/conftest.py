"""Every test of the client starts without a run, a server and a storage root of its surroundings."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from mlserver_client import active, warn

from tests.clients.server import TrackingServer

NAMES = (
    *("MLSERVER_URL", "MLSERVER_API_KEY", "MLSERVER_RUN_ID", "MLSERVER_RUN_DIR", "RUNICORN_DIR", "RANK"),
    "RUNICORN_DISABLE_MODERN_STORAGE",
)


@pytest.fixture(autouse=True)
def no_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(active, "_active", None)
    warn._said.clear()
    yield
    for run in active._runs:
        run.finish()
    active._runs.clear()


@pytest.fixture
def server() -> Iterator[TrackingServer]:
    with TrackingServer() as running:
        yield running
