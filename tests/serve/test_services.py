"""A whole server on PostgreSQL and on Redis, also while these are away."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.services.postgresql import new_database
from tests.services.redis_server import RedisServer
from tests.serving import RunningServer
from tests.waiting import until

pytestmark = pytest.mark.process


@pytest.fixture
def on_redis(tmp_path: Path, redis_server: RedisServer) -> Iterator[RunningServer]:
    with RunningServer(tmp_path / "home", env={"Q_REDIS_URL": redis_server.url}) as server:
        yield server.start()


def test_a_server_on_redis_runs_a_task(on_redis: RunningServer) -> None:
    on_redis.assert_runs_a_task()


def test_redis_may_go_and_come_back(on_redis: RunningServer, redis_server: RedisServer) -> None:
    redis_server.stop()
    answer = on_redis.api.post("/api/v1/tasks", json={"command": ["/bin/true"]})
    assert answer.status_code == 201, answer.text
    redis_server.start()
    on_redis.assert_runs_a_task(within_s=20)
    asked_meanwhile = f"/api/v1/tasks/{answer.json()['id']}"
    until(
        lambda: on_redis.api.get(asked_meanwhile).json()["status"] == "completed",
        within_s=30,
        what="it was asked again",
    )


@pytest.fixture
def on_postgresql(tmp_path: Path, postgresql: str) -> Iterator[RunningServer]:
    url = new_database(postgresql, tmp_path.name)
    with RunningServer(tmp_path / "home", env={"DATABASE_URL": url}) as server:
        yield server.start()


def test_a_server_on_postgresql_runs_a_task(on_postgresql: RunningServer) -> None:
    on_postgresql.assert_runs_a_task()


def test_every_connection_of_the_database_may_break(on_postgresql: RunningServer) -> None:
    on_postgresql.assert_runs_a_task()
    with psycopg.connect(on_postgresql.env["DATABASE_URL"], autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    on_postgresql.assert_runs_a_task()
