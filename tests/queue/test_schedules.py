"""Schedules: each time submits one task, whatever happens at that moment."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from mlserver.errors import Conflict
from tests.make import make_node, make_queue, make_schedule, make_task, make_user
from tests.together import together
from training.execution import requests
from training.models import Task, TaskSchedule
from training.queue import schedules
from training.queue.cron import cron_expression, in_words, next_time, time_zone
from training.queue.queues import delete_queue
from training.queue.refused import Refused
from training.queue.schedules import change_schedule, fire_due, fire_now
from training.queue.tasks import fire_schedules

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("home")]


@pytest.fixture
def user() -> User:
    return make_user("ada")


def said(schedule: TaskSchedule) -> str:
    schedule.refresh_from_db()
    return schedule.last_said


@pytest.mark.database
def test_it_submits_what_is_due_as_its_owner(user: User) -> None:
    make_node()
    schedule = make_schedule(user, name="nightly", template={"command": ["x"], "priority": 3, "tags": ["n"]})
    due, now = schedule.next_at, timezone.now()
    [task_id] = fire_due()
    task = Task.objects.get(pk=task_id)
    assert (task.owner, task.name, task.priority, task.tags) == (user, "nightly", 3, ["n"])
    assert (task.schedule, task.status) == (schedule, "active")
    schedule.refresh_from_db()
    assert schedule.last_at == due
    assert schedule.next_at is not None and now < schedule.next_at <= now + timedelta(minutes=1)
    assert fire_due() == []


def test_it_leaves_alone_what_is_not_due_or_paused(user: User) -> None:
    make_schedule(user, next_at=timezone.now() + timedelta(seconds=30))
    make_schedule(user, is_paused=True)
    assert fire_due() == []


@pytest.mark.database
@pytest.mark.django_db(transaction=True)
def test_two_at_once_submit_one_task() -> None:
    make_schedule()
    fired = together(fire_due, fire_due, fire_due)
    assert sum(map(len, fired)) == Task.objects.count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("before", ["submit", "note_schedule"])
def test_killed_in_the_middle_it_submits_it_the_next_time(before: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make_schedule()

    def killed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(schedules, before, killed)
        with pytest.raises(KeyboardInterrupt):
            fire_due()
    assert not Task.objects.exists()
    assert len(fire_due()) == 1
    assert fire_due() == []


@pytest.mark.parametrize(("missed", "tasks"), [("once", 1), ("skip", 0)])
def test_times_that_were_missed_are_one_or_none(missed: str, tasks: int, user: User) -> None:
    schedule = make_schedule(user, missed=missed, next_at=timezone.now() - timedelta(hours=5))
    assert len(fire_due()) == tasks
    assert said(schedule) == ("" if tasks else "skipped: the server was not running at that time")
    assert fire_due() == []
    assert schedule.next_at is not None and schedule.next_at > timezone.now()


def test_it_skips_while_the_last_task_has_not_ended(user: User) -> None:
    schedule = make_schedule(user, overlap="skip")
    last = make_task(user, schedule=schedule)
    assert fire_due() == []
    assert said(schedule) == f"skipped: task {last.pk} has not ended"
    with pytest.raises(Conflict, match="has not ended"):
        fire_now(schedule)
    last.request_stop("enough")
    assert fire_now(schedule).schedule_id == schedule.pk


def test_an_array_is_submitted_whole(user: User) -> None:
    schedule = make_schedule(user, template={"command": ["x"], "array": 3})
    fire_due()
    assert schedule.tasks.count() == 3


def test_what_is_refused_by_now_is_said_and_tried_the_next_time(user: User) -> None:
    schedule = make_schedule(user, template={"command": ["x"], "queue": "gone"})
    other = make_schedule(user)
    assert len(fire_due()) == 1
    assert said(schedule) == 'not submitted: queue: there is no queue "gone"; there are: default'
    assert schedule.next_at is not None and schedule.next_at > timezone.now()
    assert said(other) == ""


def test_nothing_is_submitted_for_a_user_who_is_switched_off() -> None:
    schedule = make_schedule(make_user("bob", is_active=False))
    assert fire_due() == []
    assert said(schedule) == "not submitted: user bob is switched off"


def test_a_pause_misses_its_times(user: User) -> None:
    schedule = make_schedule(user)
    assert change_schedule(schedule, {"paused": True}).next_at is None
    assert fire_due() == []
    resumed = change_schedule(schedule, {"paused": False})
    assert resumed.next_at is not None and resumed.next_at > timezone.now()
    assert fire_due() == []


def test_a_queue_that_a_schedule_names_stays(user: User) -> None:
    queue = make_queue("night")
    schedule = make_schedule(user, template={"command": ["x"], "queue": "night"})
    with pytest.raises(Conflict, match=f"queue night is in use by schedule {schedule.pk}"):
        delete_queue(queue)


def test_the_agent_asks_until_it_is_done(user: User, django_capture_on_commit_callbacks: Any) -> None:
    schedule = make_schedule(user)
    for _ in range(2):
        with django_capture_on_commit_callbacks() as asked:
            requests.repeat_schedules()
        assert len(asked) == 1
    assert fire_schedules() == "fired 1"
    schedule.delete()
    with django_capture_on_commit_callbacks() as asked:
        requests.repeat_schedules()
    assert asked == []


BERLIN = "Europe/Berlin"


@pytest.mark.parametrize(
    ("cron", "zone", "after", "then"),
    [
        ("0 3 * * *", "UTC", "2026-01-01T03:00", "2026-01-02T03:00"),
        ("*/15 * * * *", "UTC", "2026-01-01T03:01", "2026-01-01T03:15"),
        ("@daily", BERLIN, "2026-01-01T03:00", "2026-01-01T23:00"),
        ("0 3 * * *", BERLIN, "2026-07-01T03:00", "2026-07-02T01:00"),
        ("30 2 * * *", BERLIN, "2026-03-28T12:00", "2026-03-29T01:00"),  # the clocks jump over it
        ("30 2 * * *", BERLIN, "2026-10-25T00:31", "2026-10-26T01:30"),  # they repeat it
        ("0 0 29 2 *", "UTC", "2026-01-01T00:00", "2028-02-29T00:00"),
    ],
)
def test_the_next_time_is_of_the_zone(cron: str, zone: str, after: str, then: str) -> None:
    found = next_time(cron, zone, datetime.fromisoformat(after).replace(tzinfo=UTC))
    assert found == datetime.fromisoformat(then).replace(tzinfo=UTC)


@pytest.mark.parametrize("value", ["", "* * * *", "61 * * * *", "0 0 30 2 *", "@never", 5, "* " * 99, "* * * * * *"])
def test_it_refuses_what_is_no_cron_expression(value: object) -> None:
    with pytest.raises(Refused):
        cron_expression(value)


def test_it_says_a_cron_expression_in_words() -> None:
    assert (in_words("0 3 * * *"), in_words("@hourly")) == ("At 03:00 every day", "At the start of every hour")
    assert cron_expression("  0   3 * * * ") == "0 3 * * *"


@pytest.mark.parametrize("value", ["Mars/Olympus", "", "../etc/passwd", 1])
def test_it_refuses_what_is_no_time_zone(value: object) -> None:
    with pytest.raises(Refused):
        time_zone(value)
