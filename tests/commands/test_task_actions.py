"""manage.py retry, hold and release."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from tests.make import make_node, make_run, make_task
from training.models import Run, Task

pytestmark = pytest.mark.django_db


def said(command: str, *tasks: Task | str) -> str:
    out = StringIO()
    words = [task if isinstance(task, str) else str(task.pk) for task in tasks]
    call_command(command, *words, stdout=out, stderr=StringIO())
    return out.getvalue()


def test_it_retries_ended_tasks() -> None:
    failed, stopped = make_task(status="failed", pending_runs=0), make_task(status="stopped", pending_runs=0)
    lines = said("retry", failed, stopped).splitlines()
    assert [line.split(":")[0] for line in lines] == [f"task {failed.pk} waiting", f"task {stopped.pk} waiting"]


def test_it_starts_what_it_retries_where_there_is_room() -> None:
    make_node()
    task = make_task(status="failed", pending_runs=0)
    assert said("retry", task) == f"task {task.pk} active\n"
    assert Run.objects.get().task == task


def test_of_an_array_that_cannot_it_says_how_its_tasks_are() -> None:
    for index, status in enumerate(("completed", "stopped")):
        make_task(status=status, array_id="array-0a1b2c3d4e5f", array_index=index, array_size=2)
    with pytest.raises(CommandError, match="no task is in a state for this, they are completed, stopped"):
        said("hold", "array-0a1b2c3d4e5f")


def test_it_holds_waiting_tasks_and_releases_them() -> None:
    task = make_task()
    assert said("hold", task) == f"task {task.pk} held\n"
    assert said("release", task).startswith(f"task {task.pk} waiting: ")


@pytest.mark.parametrize(
    ("command", "rule"),
    [
        ("retry", "only an ended task can be retried"),
        ("hold", "only a waiting task can be held"),
        ("release", "only a held task can be released"),
    ],
)
def test_it_does_what_it_can_and_names_the_rest(command: str, rule: str) -> None:
    running = make_run().task
    assert running is not None
    with pytest.raises(CommandError) as refusal:
        said(command, running, "99999")
    assert str(refusal.value).split("\n") == [
        f"task {running.pk} is active: {rule}",
        "task 99999 does not exist; see `manage.py tasks`",
    ]
