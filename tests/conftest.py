"""Fixtures that several folders of tests use."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.services import postgresql as postgresql_service
from tests.services import redis_server as redis_service
from tests.services.redis_server import RedisServer


@pytest.fixture
def home(tmp_path: Path, settings: Any) -> Path:
    """An MLSERVER_HOME of this test alone."""
    settings.MLSERVER_HOME = tmp_path / "home"
    settings.MLSERVER_HOME.mkdir(mode=0o700)
    return tmp_path / "home"


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """URL of a private PostgreSQL server, see `new_database`."""
    if not postgresql_service.is_installed():
        pytest.skip("PostgreSQL is not installed (apt install postgresql)")
    with postgresql_service.postgresql() as server:
        yield server.url


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A private Redis server; a test that stops it starts it again."""
    if not redis_service.is_installed():
        pytest.skip("Redis is not installed (apt install redis-server)")
    with redis_service.redis_server() as server:
        yield server
