import time
from pathlib import Path

import pytest
from django.db import connection
from django.db.utils import OperationalError
from django_q.models import OrmQ

from mlserver import heartbeat, paths
from mlserver.serving import qcluster
from mlserver.serving.qcluster import Pulse


@pytest.mark.django_db
def test_it_queues_a_beat_and_marks_that_it_asked(home: Path) -> None:
    assert heartbeat.enqueue_beat() is True
    assert OrmQ.objects.get().func() == "mlserver.heartbeat.beat"
    assert paths.qcluster_asked().exists()
    assert not paths.qcluster_beat().exists()


@pytest.mark.django_db
def test_it_did_not_ask_when_the_database_is_away(home: Path) -> None:
    def away(*_: object) -> None:
        raise OperationalError("database is locked")

    with connection.execute_wrapper(away):
        assert heartbeat.enqueue_beat() is False
    assert not paths.qcluster_asked().exists()


def test_a_beat_touches_its_file(home: Path) -> None:
    assert heartbeat.beat() == "beat"
    assert time.time() - paths.qcluster_beat().stat().st_mtime < 5


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(qcluster.time, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_a_qcluster_is_stuck_when_a_beat_stays_unanswered(home: Path, clock: Clock) -> None:
    pulse = Pulse()
    paths.qcluster_asked().touch()
    said = []
    for _ in range(17):
        said.append(pulse.is_stuck())
        clock.now += 1
    assert said == [False] * 16 + [True]


def test_asking_again_does_not_start_the_wait_anew(home: Path, clock: Clock) -> None:
    pulse = Pulse()
    for _ in range(4):
        paths.qcluster_asked().unlink(missing_ok=True)
        paths.qcluster_asked().touch()
        pulse.is_stuck()
        clock.now += 5.1
    assert pulse.is_stuck()


def test_an_answer_ends_the_wait(home: Path, clock: Clock) -> None:
    pulse = Pulse()
    paths.qcluster_asked().touch()
    assert not pulse.is_stuck()
    clock.now += 14
    paths.qcluster_beat().touch()
    assert not pulse.is_stuck()
    clock.now += 60
    assert not pulse.is_stuck()


def test_nobody_asking_is_not_stuck(home: Path, clock: Clock) -> None:
    pulse = Pulse()
    assert not pulse.is_stuck()
    clock.now += 60
    assert not pulse.is_stuck()


def test_a_new_qcluster_gets_the_whole_time(home: Path, clock: Clock) -> None:
    pulse = Pulse()
    paths.qcluster_asked().touch()
    pulse.is_stuck()
    clock.now += 60
    pulse.forget()
    assert not pulse.is_stuck()
