"""manage.py logs."""

import threading
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.core.management.base import OutputWrapper
from django.db import connection

from tests.logs import WrittenLog
from tests.make import make_run, make_task
from training.management.following import interruptible
from training.models import Run

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def home(tmp_path: Path, settings: Any) -> None:
    settings.MLSERVER_HOME = tmp_path


def logs(*words: str | int) -> str:
    out = StringIO()
    call_command("logs", *map(str, words), stdout=out, stderr=StringIO())
    return out.getvalue()


def ended(status: str = "finished", **fields: Any) -> Run:
    task = make_task(status={"finished": "completed"}.get(status, status), pending_runs=0)
    run = make_run(task, status=status, exit_reason="exit code 1", **fields)
    WrittenLog(run).write("one\ntwo\n").write("three", "stderr").end()
    return run


def test_it_prints_the_log_of_a_run_as_it_is() -> None:
    assert logs(ended().pk) == "one\ntwo\nthree"


def test_it_prints_more_than_a_page() -> None:
    run = make_run()
    text = "".join(f"{number}\n" for number in range(100_000))
    WrittenLog(run).write(text)
    assert logs(run.pk) == text


def test_it_prints_the_last_lines() -> None:
    assert logs("--tail", 2, ended().pk) == "two\nthree"


def test_it_prints_the_newest_run_of_a_task() -> None:
    task = make_task(status="active")
    for text in ("old\n", "new\n"):
        WrittenLog(make_run(task)).write(text)
    assert logs(task.pk) == "new\n"


def test_it_follows_to_the_end_of_a_run_or_task() -> None:
    run = ended()
    assert logs("-f", run.pk) == "one\ntwo\nthree"
    assert logs("-f", run.task_id) == "one\ntwo\nthree"
    assert logs("-f", "--tail", 1, run.pk) == "three"


@pytest.mark.parametrize("status", ["failed", "stopped"])
def test_it_exits_with_the_failure_of_what_it_followed(status: str) -> None:
    run = ended(status)
    for name in (run.pk, run.task_id):
        with pytest.raises(CommandError, match="exit code 1") as failure:
            logs("-f", name)
        assert failure.value.returncode == 1


@pytest.mark.django_db(transaction=True)
def test_it_follows_a_task_through_its_retry() -> None:
    task = make_task(status="active", pending_runs=0)
    first = make_run(task)

    def work() -> None:
        WrittenLog(first).write("first try\n").end()
        first.finish("failed", "error", "exit code 1")
        second = make_run(task)
        WrittenLog(second).write("second try\n").end()
        second.finish("finished", "ok", "exit code 0")
        task.end("completed")
        connection.close()

    worker = threading.Thread(target=work)
    worker.start()
    out = logs("-f", task.pk)
    worker.join()
    assert out.endswith("second try\n")


@pytest.mark.parametrize(("word", "said"), [("12345", "task 12345 does not exist"), ("abc", "'abc' is neither")])
def test_it_refuses_what_it_does_not_know(word: str, said: str) -> None:
    with pytest.raises(CommandError, match=said):
        logs(word)


def test_it_says_why_a_task_has_no_log_yet() -> None:
    task = make_task(waiting_reason="no GPU is free")
    with pytest.raises(CommandError, match="has no run yet, it is waiting: no GPU is free"):
        logs(task.pk)


@pytest.mark.parametrize("tail", ["0", "10001", "x"])
def test_it_refuses_a_bad_number_of_lines(tail: str) -> None:
    with pytest.raises(CommandError, match=f"'{tail}' must be a whole number from 1 to 10000"):
        logs("--tail", tail, "x")


def test_it_ends_quietly_when_interrupted() -> None:
    notices = StringIO()
    with pytest.raises(SystemExit) as left, interruptible(OutputWrapper(notices)):
        raise KeyboardInterrupt
    assert left.value.code == 130
    assert "the task goes on" in notices.getvalue()
