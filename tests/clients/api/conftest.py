from collections.abc import Iterator

import pytest
from mlserver_client import api
from mlserver_client.api import transport

from tests.clients.api.rows import RowsServer


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> Iterator[RowsServer]:
    monkeypatch.setattr(transport, "BACKOFF_S", 0.001)
    with RowsServer() as server:
        yield server


@pytest.fixture
def client(rows: RowsServer) -> Iterator[api.RunicornClient]:
    with api.connect(rows.url, api_key="k") as connected:
        rows.asked.clear()
        yield connected
