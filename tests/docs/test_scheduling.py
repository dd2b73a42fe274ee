"""docs/scheduling.md says what is true: its curl calls are made, its commands are taken."""

import re
import shlex
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command

from tests.docs.curl import CALL, call
from tests.make import make_key, make_node, make_schedule, make_task, make_user
from training.models import Missed, Overlap, Task
from training.queue.arrays import MOST
from training.queue.cron import WORDS

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("home")]

PAGE = (Path(__file__).parents[2] / "docs" / "scheduling.md").read_text()
ARRAY = "array-0a1b2c3d4e5f"


@pytest.fixture
def variables() -> dict[str, str]:
    owner = make_user("root", is_admin=True)
    make_user("ada")
    make_node("box")
    for number in (1, 2):
        Task.objects.create(pk=number, owner=owner, command=["x"])
    make_task(owner, array_id=ARRAY, array_index=0, array_size=1)
    return {
        "SERVER": "",
        "KEY": make_key(owner, scope="admin"),
        "ARRAY": ARRAY,
        "SCHEDULE": str(make_schedule(owner).pk),
    }


def test_it_gives_calls_that_are_answered_as_it_says(variables: dict[str, str]) -> None:
    calls = CALL.findall(PAGE)
    assert len(calls) == PAGE.count("curl -")
    for status, line in calls:
        answer = call(line, variables)
        assert answer.status_code == int(status), (line, answer.content)


def test_it_gives_commands_that_do_what_it_says(variables: dict[str, str]) -> None:
    lines = re.findall(r"^python manage.py (.*)$", PAGE, re.MULTILINE)
    for line in lines:
        call_command(*shlex.split(line), stdout=StringIO(), stderr=StringIO())
    grid = Task.objects.filter(array_size=4).order_by("pk")
    assert " ".join(grid[0].command) in PAGE
    assert Task.objects.filter(array_size=10).count() == 10
    assert Task.objects.get(array_id=ARRAY).stop_requested_at is not None


def test_it_names_what_there_is() -> None:
    assert f"at most {MOST}" in PAGE
    for word in (*Missed.values, *Overlap.values):
        assert f"`{word}`" in PAGE
    assert set(re.findall(r"@\w+", PAGE)) <= set(WORDS)
