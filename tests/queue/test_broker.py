"""The broker on the database: woken, claimed once, patient. Redis: tests/serve/test_services.py."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.db.utils import OperationalError
from django.utils import timezone
from django_q.models import OrmQ

from mlserver import paths, queue_broker
from mlserver.queue_broker import DatabaseBroker, back_off
from tests.together import together
from tests.waiting import until

pytestmark = [pytest.mark.database, pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("home")]


@pytest.fixture
def broker() -> DatabaseBroker:
    return DatabaseBroker("mlserver")


def row(*, free_in_s: float = -1, key: str = "mlserver", payload: str = "task") -> OrmQ:
    return OrmQ.objects.create(key=key, payload=payload, lock=timezone.now() + timedelta(seconds=free_in_s))


def test_it_gives_out_what_was_queued_and_forgets_it_when_acknowledged(broker: DatabaseBroker) -> None:
    number = broker.enqueue("a task")
    assert broker.dequeue() == [(number, "a task")]
    broker.acknowledge(number)
    assert not OrmQ.objects.exists()


def test_a_wait_ends_as_soon_as_something_is_queued(broker: DatabaseBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_broker.Conf, "POLL", 30)
    waited: list[float] = []

    def wait() -> None:
        began_at = time.monotonic()
        assert broker.dequeue() is None
        waited.append(time.monotonic() - began_at)
        connection.close()

    waiting = threading.Thread(target=wait)
    waiting.start()
    until(paths.queue_fifo().exists, what="the pipe")
    DatabaseBroker("mlserver").enqueue("a task")
    waiting.join(timeout=10)
    assert waited[0] < 5


def test_a_claimed_row_is_nobody_elses_until_its_lock_expires(broker: DatabaseBroker) -> None:
    claimed = row(free_in_s=60)
    assert broker._claim() == []
    OrmQ.objects.filter(pk=claimed.pk).update(lock=timezone.now() - timedelta(seconds=1))
    assert broker.dequeue() == [(claimed.pk, "task")]
    assert OrmQ.objects.get().lock > timezone.now() + timedelta(seconds=80)


def test_two_at_once_never_get_the_same_row() -> None:
    numbers = {row().pk for _ in range(4)}

    def take() -> list[int]:
        """Until no row is free; a lost race gives an empty answer."""
        broker, taken = DatabaseBroker("mlserver"), []
        while OrmQ.objects.filter(lock__lt=timezone.now()).exists():
            taken += [number for number, _ in broker._claim()]
        return taken

    first, second = together(take, take)
    assert sorted(first + second) == sorted(numbers)


def test_released_claims_go_behind_what_waits(broker: DatabaseBroker) -> None:
    claimed, waiting, other = row(free_in_s=60), row(), row(free_in_s=60, key="another cluster")
    assert broker.release_claims() == 1
    until(lambda: OrmQ.objects.filter(pk=claimed.pk, lock__lt=timezone.now()).exists())
    assert [broker.dequeue(), broker.dequeue()] == [[(waiting.pk, "task")], [(claimed.pk, "task")]]
    assert OrmQ.objects.get(pk=other.pk).lock > timezone.now()


def test_it_looks_for_work_with_one_statement(broker: DatabaseBroker, django_assert_num_queries: object) -> None:
    with django_assert_num_queries(1):  # type: ignore[operator]
        broker._claim()


class Away:
    """A database that refuses `times` statements, then answers."""

    def __init__(self, times: int) -> None:
        self.left = times

    def __call__(self, execute: object, sql: str, params: object, many: bool, context: object) -> object:
        if self.left:
            self.left -= 1
            raise OperationalError("database is locked")
        return execute(sql, params, many, context)  # type: ignore[operator]


@pytest.fixture
def paused(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """The pauses that were asked for, not taken."""
    pauses: list[float] = []
    monkeypatch.setattr(queue_broker.time, "sleep", pauses.append)
    yield pauses


def test_a_database_that_is_away_never_raises_and_is_asked_again_soon(
    broker: DatabaseBroker, paused: list[float]
) -> None:
    number = broker.enqueue("a task")
    with connection.execute_wrapper(Away(times=3)):
        assert [broker.dequeue() for _ in range(4)] == [None, None, None, [(number, "a task")]]
    assert paused == [0.1, 0.2, 0.4]


def test_an_acknowledgement_waits_for_the_database(broker: DatabaseBroker, paused: list[float]) -> None:
    number = row().pk
    with connection.execute_wrapper(Away(times=3)):
        broker.acknowledge(number)
    assert paused == [0.1, 0.2, 0.4]
    assert not OrmQ.objects.exists()


def test_an_acknowledgement_gives_up_and_leaves_the_row(
    broker: DatabaseBroker, paused: list[float], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(queue_broker, "ACKNOWLEDGE_WITHIN_S", 0)
    number = row().pk
    with connection.execute_wrapper(Away(times=3)):
        broker.acknowledge(number)
    assert f"queue row {number} could not be acknowledged" in caplog.text
    assert OrmQ.objects.filter(pk=number).exists()


def test_without_a_pipe_it_polls(
    broker: DatabaseBroker, home: Path, paused: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    (home / "queue.fifo").symlink_to("/dev/null")
    assert broker.dequeue() is None
    assert paused == [queue_broker.Conf.POLL]
    assert "polling instead" in caplog.text


def test_pauses_double_up_to_two_seconds() -> None:
    pauses = back_off()
    assert [next(pauses) for _ in range(7)] == [0.1, 0.2, 0.4, 0.8, 1.6, 2, 2]


def test_a_file_locked_by_another_process_is_no_exception(broker: DatabaseBroker, paused: list[float]) -> None:
    if connection.vendor != "sqlite":
        return  # only the embedded database is one file
    row()
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout=10")
    other = sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert broker.dequeue() is None
    other.close()
    assert broker.dequeue() is not None
    connection.close()  # and its short patience
