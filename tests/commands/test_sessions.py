"""manage.py sessions."""

from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from rich.text import Text

from tests.make import make_dataset, make_epoch, make_session, make_task

pytestmark = pytest.mark.django_db


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def sessions(*words: str, out: StringIO | None = None) -> str:
    out = out or StringIO()
    call_command("sessions", *words, stdout=out)
    return out.getvalue()


def rows(*words: str) -> list[list[str]]:
    return [line.split("\t") for line in sessions(*words).splitlines()][1:]


def test_it_lists_the_newest_first_with_progress_and_accuracy() -> None:
    digits = make_dataset("digits")
    running = make_session(task=make_task(status="active"), dataset_version=digits, epochs=7)
    for epoch, accuracy in ((1, 0.5), (2, 0.98765)):
        make_epoch(running, epoch, val_accuracy=accuracy)
    queued = make_session(task=make_task(waiting_reason="1 training session runs"), dataset_version=digits)
    make_task()
    make_session(task=make_task(status="failed", deleted_at=timezone.now()))

    assert [row[:6] + row[8:] for row in rows()] == [
        [queued.pk, "queued", str(queued.task_id), "mlp_digits", "0/3", "", "1 training session runs"],
        [running.pk, "running", str(running.task_id), "mlp_digits", "2/7", "0.9877", ""],
    ]


def test_it_says_r2_of_a_regression() -> None:
    make_epoch(make_session(loss_function="mae"), 1, val_accuracy=0.5)
    assert [row[5] for row in rows()] == ["R2 0.5000"]


def test_it_lists_by_state_and_as_many_as_asked_for() -> None:
    for status in ("completed", "failed", "waiting", "held"):
        make_session(task=make_task(status=status))
    make_session(task=make_task(status="active", stop_requested_at=timezone.now()))
    assert [row[1] for row in rows("--state", "queued", "--state", "failed")] == ["queued", "queued", "failed"]
    assert [row[1] for row in rows("-n", "2")] == ["stopped", "queued"]


def test_a_terminal_of_80_columns_shows_ids_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    session = make_session(task=make_task(waiting_reason="all of the sessions that may run at once do " * 3))
    lines = Text.from_ansi(sessions(out=Terminal())).plain.splitlines()
    assert lines[1].startswith(f"{session.pk} queued ")
    assert max(map(len, lines)) <= 80


def test_it_says_so_when_there_is_none() -> None:
    assert "manage.py train" in sessions(out=Terminal())
    assert rows() == []


def test_it_asks_the_database_once(django_assert_num_queries: Any) -> None:
    for _ in range(3):
        make_epoch(make_session(), 1)
    with django_assert_num_queries(1):
        assert len(rows()) == 3


@pytest.mark.parametrize("words", [["-n", "0"], ["--state", "waiting"]])
def test_it_refuses_bad_values(words: list[str]) -> None:
    with pytest.raises(CommandError):
        sessions(*words)
