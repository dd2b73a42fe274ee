"""manage.py schedules."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from tests.make import make_schedule, make_user
from training.models import TaskSchedule

pytestmark = pytest.mark.django_db


def schedules(*words: str) -> str:
    out = StringIO()
    call_command("schedules", *words, stdout=out)
    return out.getvalue()


def test_it_makes_one() -> None:
    out = schedules("--cron", "0 3 * * *", "--name", "nightly", "--timezone", "Europe/Berlin", "--", "python", "t.py")
    schedule = TaskSchedule.objects.get()
    assert (schedule.name, schedule.cron, schedule.timezone) == ("nightly", "0 3 * * *", "Europe/Berlin")
    assert schedule.template["command"] == ["python", "t.py"]
    assert schedule.owner.is_superuser
    assert out == f"schedule {schedule.pk}: next at {schedule.next_at:%Y-%m-%d %H:%M} UTC\n"


def test_it_lists_pauses_resumes_and_deletes() -> None:
    schedule = make_schedule(make_user("ada"), name="a\nb", last_said="skipped")
    pk = str(schedule.pk)
    [row] = [line.split("\t") for line in schedules().splitlines()][1:]
    assert row[:5] + row[6:] == [pk, "on", "a b", "* * * * *", "UTC", "", "ada", "skipped"]
    schedules("--pause", pk)
    assert schedules().splitlines()[1].split("\t")[1] == "paused"
    schedules("--resume", pk)
    assert schedules().splitlines()[1].split("\t")[1] == "on"
    schedules("--delete", pk)
    assert not TaskSchedule.objects.exists()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--cron", "61 * * * *", "--", "x"], 'cron: "61 * * * *" is not a cron expression'),
        (["--cron", "@daily"], "task: command: [] is not a command"),
        (["--cron", "@daily", "--queue", "gone", "--", "x"], 'task: queue: there is no queue "gone"'),
        (["--pause", "7"], "schedule 7 does not exist"),
        (["--delete", "x"], "schedule x does not exist"),
    ],
)
def test_it_refuses_in_one_line(words: list[str], line: str) -> None:
    with pytest.raises(CommandError) as refusal:
        schedules(*words)
    assert str(refusal.value).startswith(line)
    assert not TaskSchedule.objects.exists()
