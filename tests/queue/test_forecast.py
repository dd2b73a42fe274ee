"""Dry runs: when and where, by the time limits of what runs and of what is ahead."""

import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from mlserver.errors import Invalid
from tests.make import make_gpu, make_lease, make_node, make_queue, make_run, make_task, make_user
from training.models import Event, Run, Task, UserLimits
from training.queue.forecast import dry_run
from training.queue.spec import TaskSpec

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("home")]
NOW = timezone.now().replace(microsecond=0)


@pytest.fixture(autouse=True)
def at_this_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """This file may have been read long before its tests get their turn."""
    monkeypatch.setattr(sys.modules[__name__], "NOW", timezone.now().replace(microsecond=0))


@pytest.fixture
def user() -> User:
    return make_user("ada")


def ask(user: User, **values: object) -> dict[str, Any]:
    before = Task.objects.count(), Run.objects.count(), Event.objects.count()
    said = dry_run(TaskSpec.clean({"command": ["x"], **values}), owner=user)
    assert (Task.objects.count(), Run.objects.count(), Event.objects.count()) == before
    return said


def busy(limit_s: float | None, **fields: Any) -> Run:
    task = make_task(status="active", pending_runs=0, time_limit_s=limit_s, grace_s=0)
    return make_run(task, started_at=NOW, **fields)


def seconds(at: datetime) -> float:
    return (at - NOW).total_seconds()


def test_it_starts_when_the_limit_of_what_runs_is_over(user: User) -> None:
    node = make_node("box", cpu_slots=1)
    busy(600, node=node, cpus=1)
    said = ask(user)
    assert (said["would_start"], said["waiting_reason"], said["node"]) == (
        False,
        "needs 1 CPU slot, 0 of 1 are free",
        "box",
    )
    assert seconds(said["starts_at"]) == 600


def test_nobody_knows_when_where_a_limit_is_missing(user: User) -> None:
    busy(None, node=make_node(cpu_slots=1), cpus=1)
    said = ask(user)
    assert (said["starts_at"], said["node"], said["position"]) == (None, None, 1)


def test_it_waits_for_the_line_that_is_ahead(user: User) -> None:
    node = make_node("box", cpu_slots=1)
    busy(600, node=node, cpus=1)
    for _ in range(2):
        make_task(time_limit_s=100, grace_s=0)
    said = ask(user)
    assert (seconds(said["starts_at"]), said["position"]) == (800, 3)
    assert seconds(ask(user, priority=50)["starts_at"]) == 600


def test_it_names_the_gpus_it_would_get(user: User) -> None:
    node = make_node("box")
    gpus = [make_gpu(node) for _ in range(3)]
    for limit_s, gpu in ((900, gpus[0]), (300, gpus[1]), (600, gpus[2])):
        make_lease(busy(limit_s, node=node), gpu)
    said = ask(user, gpus=2)
    assert (seconds(said["starts_at"]), sorted(said["gpus"])) == (600, [1, 2])


def test_it_may_go_ahead_when_it_is_over_in_time(user: User) -> None:
    node = make_node("box")
    gpus = [make_gpu(node) for _ in range(2)]
    make_lease(busy(600, node=node), gpus[0])
    wide = make_task(gpus=2, cpus=0)
    assert ask(user, gpus=1, time_limit_s=60)["would_start"] is True
    said = ask(user, gpus=1)
    assert said["waiting_reason"].endswith(f"kept for task {wide.pk}, which is ahead in the line")
    assert said["starts_at"] is None  # the wide one has no limit


def test_it_knows_the_limits_of_queue_and_user(user: User) -> None:
    make_node(cpu_slots=9)
    make_queue("night", max_running=0)
    assert "queue night" in ask(user, queue="night")["waiting_reason"]
    UserLimits.objects.create(user=user, max_running=0)
    assert ask(user)["waiting_reason"] == "0 of 0 runs of user ada are under way (max_running)"
    assert ask(make_user())["would_start"] is True


def test_a_limit_is_free_again_when_a_run_ends(user: User) -> None:
    node = make_node(cpu_slots=9)
    UserLimits.objects.create(user=user, max_running=1)
    task = make_task(user, status="active", pending_runs=0, time_limit_s=60, grace_s=0)
    make_run(task, node=node, cpus=1, started_at=NOW)
    said = ask(user)
    assert (said["would_start"], seconds(said["starts_at"])) == (False, 60)


def test_it_says_what_it_would_depend_on(user: User) -> None:
    make_node()
    waiting, failed, done = make_task(), make_task(status="failed"), make_task(status="completed")
    assert ask(user, depends_on=[waiting.pk])["waiting_reason"] == f"waits for task {waiting.pk} to complete"
    assert (
        ask(user, depends_on=[failed.pk])["waiting_reason"]
        == f"task {failed.pk}, which must complete before it, is failed"
    )
    assert ask(user, depends_on=[done.pk])["would_start"] is True
    with pytest.raises(Invalid, match="there is no task 99"):
        ask(user, depends_on=[99])


def test_a_run_beyond_its_limit_ends_now(user: User) -> None:
    run = busy(60, node=make_node(cpu_slots=1), cpus=1)
    Run.objects.filter(pk=run.pk).update(started_at=NOW - timedelta(hours=1))
    said = ask(user)
    assert not said["would_start"]
    assert abs(said["starts_at"] - datetime.now(UTC)) < timedelta(seconds=10)


def test_it_asks_as_much_however_long_the_line(user: User, django_assert_max_num_queries: Any) -> None:
    make_node(cpu_slots=1)
    Task.objects.bulk_create(Task(owner=user, command=["x"], time_limit_s=5) for _ in range(200))
    with django_assert_max_num_queries(5):  # line, nodes, runs, limits
        ask_only = dry_run(TaskSpec.clean({"command": ["x"]}), owner=user)
    assert ask_only["position"] == 201
