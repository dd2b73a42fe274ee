"""Commands say so when the server that would carry out what they ask for is not running."""

import os
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from mlserver import paths
from mlserver.serving.leftovers import write_record
from tests.logs import WrittenLog
from tests.make import make_run, make_task
from training.execution.identity import ProcessIdentity
from training.management import following
from training.models import Task

pytestmark = pytest.mark.django_db
NOT_RUNNING = "the server is not running (`manage.py serve` starts it): "


@pytest.fixture(autouse=True)
def of_this_test(home: Path) -> Path:
    return home


def record_server(pid: int, *, start_ticks: int | None = None) -> None:
    this = ProcessIdentity.of(pid)
    assert this is not None
    ticks = this.start_ticks if start_ticks is None else start_ticks
    write_record(paths.serve_record(), {"serve": ProcessIdentity(pid, ticks, this.boot_id)})


def notices(*words: str | int) -> str:
    err = StringIO()
    call_command(*map(str, words), stdout=StringIO(), stderr=err)
    return err.getvalue()


def calls() -> Iterator[tuple[str | int, ...]]:
    yield ("tasks",)
    yield "submit", "--", "x"
    yield "stop", make_run().task_id
    yield "retry", make_task(status="failed", pending_runs=0).pk
    yield "release", make_task(status="held").pk


def test_they_say_what_follows() -> None:
    make_task()
    for words in calls():
        assert notices(*words).startswith(NOT_RUNNING), words


def test_they_say_so_when_the_recorded_server_has_died() -> None:
    make_task()
    record_server(os.getpid(), start_ticks=1)
    assert notices("tasks").startswith(NOT_RUNNING)


def test_they_say_nothing_while_it_runs() -> None:
    make_task()
    record_server(os.getpid())
    for words in calls():
        assert notices(*words) == "", words


def test_they_say_nothing_when_nothing_is_left_to_do() -> None:
    assert notices("tasks") == ""
    for words in (("stop", make_task().pk), ("hold", make_task().pk), ("tasks", "--status", "failed")):
        assert notices(*words) == "", words


def test_a_follower_of_a_waiting_task_says_both(monkeypatch: pytest.MonkeyPatch) -> None:
    task = make_task(waiting_reason="all slots are taken")
    monkeypatch.setattr(
        following.time, "sleep", lambda seconds: Task.objects.filter(pk=task.pk).update(status="stopped")
    )
    err = StringIO()
    with pytest.raises(CommandError, match=f"task {task.pk} stopped"):
        call_command("logs", "-f", str(task.pk), stdout=StringIO(), stderr=err)
    first, second = err.getvalue().splitlines()
    assert first == NOT_RUNNING + "waiting tasks start, and ended runs are noticed, when it is started"
    assert second == f"task {task.pk} waits: all slots are taken"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"status": "held", "waiting_reason": "held"}, "it is held until `manage.py release {}`"),
        ({}, "to be placed"),
        ({"status": "active"}, ""),
    ],
)
def test_a_follower_says_what_a_task_without_reason_waits_for(fields: dict[str, Any], said: str) -> None:
    task = make_task(**fields)
    assert following.waits_for(task) == said.format(task.pk)


def test_a_follower_of_what_has_ended_says_nothing() -> None:
    run = make_run(make_task(status="completed", pending_runs=0), status="finished")
    WrittenLog(run).write("one\n").end()
    assert notices("logs", "-f", run.pk) == ""
    assert notices("logs", "-f", run.task_id or "") == ""
