"""manage.py stop."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from tests.make import make_run, make_task

pytestmark = pytest.mark.django_db


def stop(*words: str | int) -> str:
    out = StringIO()
    call_command("stop", *map(str, words), stdout=out)
    return out.getvalue()


def test_it_stops_waiting_and_running_tasks() -> None:
    waiting, run = make_task(), make_run()
    assert stop(waiting.pk, run.task_id) == f"task {waiting.pk} stopped\ntask {run.task_id} stopping\n"
    run.refresh_from_db()
    assert run.status == "ending"
    assert waiting.events.latest("pk").message == "stopped from the command line"


def test_it_stops_what_it_can_and_names_the_rest() -> None:
    ended, waiting = make_task(status="completed"), make_task()
    with pytest.raises(CommandError) as refusal:
        stop(ended.pk, "99999", "x1", waiting.pk)
    assert refusal.value.returncode == 1
    lines = str(refusal.value).split("\n")
    assert lines[0].startswith(f"task {ended.pk} is completed")
    assert [line.split(";")[0] for line in lines[1:]] == ["task 99999 does not exist", "task x1 does not exist"]
    waiting.refresh_from_db()
    assert waiting.status == "stopped"
