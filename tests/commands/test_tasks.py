"""manage.py tasks."""

from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from rich.cells import cell_len
from rich.text import Text

from tests.make import make_run, make_task
from training.management.commands.tasks import COLUMNS

pytestmark = pytest.mark.django_db


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def tasks(*words: str, out: StringIO | None = None) -> str:
    out = out or StringIO()
    call_command("tasks", *words, stdout=out)
    return out.getvalue()


def drawn() -> list[str]:
    """What a terminal shows, without its colours."""
    return Text.from_ansi(tasks(out=Terminal())).plain.splitlines()


def rows(*words: str) -> list[list[str]]:
    return [line.split("\t") for line in tasks(*words).splitlines()][1:]


def test_it_lists_what_has_not_ended_the_newest_first() -> None:
    waiting = make_task(name="second", waiting_reason="all slots are taken")
    run = make_run(make_task(status="active", name="third", gpus=2))
    make_task(status="completed")

    assert [(row[0], row[1], row[2], row[4], row[8], row[9]) for row in rows()] == [
        (str(run.task_id), "active", "third", "2", run.pk, ""),
        (str(waiting.pk), "waiting", "second", "0", "", "all slots are taken"),
    ]


def test_it_lists_by_status_and_all() -> None:
    for status in ("completed", "failed", "waiting", "held"):
        make_task(status=status)
    make_task(status="failed", deleted_at=timezone.now())
    assert [row[1] for row in rows("--all")] == ["held", "waiting", "failed", "completed"]
    assert [row[1] for row in rows("--status", "failed", "--status", "held")] == ["held", "failed"]
    assert [row[1] for row in rows("--all", "-n", "2")] == ["held", "waiting"]


def test_it_shows_the_command_of_a_task_without_name() -> None:
    make_task(name="", command=["python", "train.py"])
    make_task(name="", command="echo " + "x" * 100)
    assert [row[2] for row in rows()] == ["echo " + "x" * 52 + "...", "python train.py"]


def test_it_keeps_control_characters_away_from_the_terminal() -> None:
    make_task(name="a\x1b[31m\tb\nc", waiting_reason="[bold]x")
    assert rows()[0][2] == "a [31m b c"
    assert "[bold]x" in tasks(out=Terminal())


@pytest.mark.parametrize("name", ["a-name-without-any-blank-" * 4, "学習" * 40, "many short words " * 8])
def test_ids_and_statuses_stay_whole_on_a_terminal_of_80_columns(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    run = make_run(make_task(status="active", name=name, project=name[:100]))
    waiting = make_task(name=name, waiting_reason="2 GPUs are asked for, and all of them are used by others " * 2)
    lines = drawn()
    assert max(map(cell_len, lines)) <= 80
    (running_line,) = [line for line in lines if line.startswith(f"{run.task_id} ")]
    (waiting_line,) = [line for line in lines if line.startswith(f"{waiting.pk} ")]
    assert running_line.split()[1] == "active" and run.pk in running_line
    assert waiting_line.split()[1] == "waiting"


def test_a_wide_terminal_shows_every_column(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    make_task()
    assert drawn()[0].split() == " ".join(COLUMNS).split()


def test_it_says_so_when_there_is_none() -> None:
    assert "No such task" in tasks(out=Terminal())
    assert rows() == []


def test_it_asks_the_database_once(django_assert_num_queries: Any) -> None:
    for _ in range(3):
        make_run()
    with django_assert_num_queries(1):
        tasks()


@pytest.mark.parametrize("words", [["-n", "0"], ["-n", "x"], ["--status", "gone"]])
def test_it_refuses_bad_values(words: list[str]) -> None:
    with pytest.raises(CommandError):
        tasks(*words)
