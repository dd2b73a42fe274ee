"""GET /api/v1/training/{session_id}/logs (T8)."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from tests.logs import WrittenLog
from tests.make import make_client, make_run, make_session, make_task
from training.models import TrainingSession

pytestmark = pytest.mark.django_db


@pytest.fixture
def client() -> Client:
    return make_client(scope="read")


@pytest.fixture
def session() -> TrainingSession:
    return make_session(task=make_task(status="active", pending_runs=0))


def old_run(session: TrainingSession, *, hours: int = 0):
    """One whose log is written after it began: `WrittenLog` stamps its writes with 1001, 1002 s after 1970."""
    long_ago = timezone.now().replace(year=1970, month=1, day=1, hour=0, minute=0, second=0, microsecond=0)
    created = timezone.now() - timedelta(hours=hours)
    return make_run(session.task, status="failed", created_at=created, started_at=long_ago)


def logs(client: Client, session_id: str, query: str = ""):
    return client.get(f"/api/v1/training/{session_id}/logs{query}")


def told(client: Client, session: TrainingSession, query: str = "") -> list[tuple[str, str]]:
    return [(it["level"], it["message"]) for it in logs(client, session.pk, query).json()]


def test_it_answers_nothing_before_there_is_a_log(client, session):
    assert logs(client, make_session().pk).json() == []
    make_run(session.task)
    assert (logs(client, session.pk).status_code, logs(client, session.pk).json()) == (200, [])


def test_it_gives_entries_with_the_instant_of_the_index(client, session):
    WrittenLog(old_run(session)).write("INFO epoch 1 of 3\n").write("DEBUG saved\n")
    assert logs(client, session.pk).json() == [
        {
            "session_id": session.pk, "timestamp": f"1970-01-01T00:16:{40 + number}Z", "level": level,
            "message": message,
        }
        for number, (level, message) in enumerate([("INFO", "epoch 1 of 3"), ("DEBUG", "saved")])
    ]  # fmt: skip


def test_it_tells_the_level_of_every_line(client, session):
    log = WrittenLog(old_run(session))
    log.write("WARNING the disk is slow\nERROR no more\nplain words\nINFO: not ours\n  indented\n")
    log.write(
        "x.py:3: UserWarning: old\n  call()\nTraceback (most recent call last):\n  File x\nValueError: y\n", "stderr"
    )
    log.write("mlserver: the log has reached its limit\n", "server")
    assert told(client, session) == [
        ("WARNING", "the disk is slow"), ("ERROR", "no more"), ("INFO", "plain words"), ("INFO", "INFO: not ours"),
        ("INFO", "  indented"), ("WARNING", "x.py:3: UserWarning: old"), ("WARNING", "  call()"),
        ("ERROR", "Traceback (most recent call last):"), ("ERROR", "  File x"), ("ERROR", "ValueError: y"),
        ("WARNING", "mlserver: the log has reached its limit"),
    ]  # fmt: skip


def test_a_progress_bar_is_its_last_state(client, session):
    WrittenLog(old_run(session)).write("10%\r50%\r100%\n")
    assert told(client, session) == [("INFO", "100%")]


def test_it_gives_the_newest_entries_over_all_runs(client, session):
    WrittenLog(old_run(session, hours=2)).write("INFO a\nINFO b\n")
    WrittenLog(old_run(session, hours=1)).write("INFO c\nINFO d\n")
    assert [message for _, message in told(client, session)] == ["a", "b", "c", "d"]
    for limit, expected in ((1, "d"), (2, "cd"), (3, "bcd"), (10_000, "abcd")):
        assert "".join(message for _, message in told(client, session, f"?limit={limit}")) == expected


def test_it_mixes_the_ranks_of_a_run_by_time(client):
    session = make_session(task=make_task(status="active", ranks=2))
    run = old_run(session)
    first, second = WrittenLog(run), WrittenLog(run, rank=1)
    second.writes = 1
    first.write("INFO one\n")
    second.write("two\n", "stderr")
    first.writes = 5
    first.write("INFO three\n")
    assert told(client, session) == [("INFO", "one"), ("ERROR", "two"), ("INFO", "three")]
    assert told(client, session, "?limit=2") == [("ERROR", "two"), ("INFO", "three")]


def test_a_line_that_the_index_does_not_know_yet_has_the_instant_of_the_one_before(client, session):
    log = WrittenLog(old_run(session)).write("INFO one\n")
    log.write_unindexed(b"INFO two\n")
    first, second = logs(client, session.pk).json()
    assert (second["message"], second["timestamp"]) == ("two", first["timestamp"])


def test_it_gives_a_hundred_without_a_limit(client, session):
    WrittenLog(old_run(session)).write("".join(f"INFO {number}\n" for number in range(150)))
    said = told(client, session)
    assert (len(said), said[0], said[-1]) == (100, ("INFO", "50"), ("INFO", "149"))


@pytest.mark.parametrize("limit", ["0", "10001", "-1", "x", "", "1.5", "9" * 30])
def test_returns_422_when_the_limit_is_out_of_range(limit, client, session):
    answer = logs(client, session.pk, f"?limit={limit}")
    assert (answer.status_code, answer.json()["detail"].startswith("limit: ")) == (422, True)


@pytest.mark.parametrize("limit", ["1", "10000"])
def test_it_takes_the_bounds_of_the_limit(limit, client, session):
    assert logs(client, session.pk, f"?limit={limit}").status_code == 200


def test_it_asks_the_database_for_session_and_runs(client, session, django_assert_num_queries):
    for _ in range(3):
        WrittenLog(old_run(session)).write("INFO x\n")
    logs(client, session.pk)
    with django_assert_num_queries(3):  # key, session, runs
        assert len(logs(client, session.pk).json()) == 3
