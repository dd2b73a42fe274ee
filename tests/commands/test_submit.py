"""manage.py submit."""

import os
import re
import threading
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from tests.logs import WrittenLog
from tests.make import make_node, make_pool, make_queue, make_run, make_task
from training.models import Run, Task

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def home(tmp_path: Path, settings: Any) -> None:
    settings.MLSERVER_HOME = tmp_path


def submit(*words: str) -> str:
    out = StringIO()
    call_command("submit", *words, stdout=out)
    return out.getvalue()


def test_it_submits_everything_behind_the_dashes() -> None:
    out = submit("--name", "first", "--", "python", "train.py", "--lr", "0.1", "--", "--name", "x")

    task = Task.objects.get()
    assert task.command == ["python", "train.py", "--lr", "0.1", "--", "--name", "x"]
    assert (task.name, task.source, task.owner.is_superuser) == ("first", "command_line", True)
    assert out == f"task {task.pk} waiting: {task.waiting_reason}\n"


def test_it_says_where_a_placed_task_runs() -> None:
    make_node()
    out = submit("--", "/bin/true")
    assert out == f"task {Task.objects.get().pk} active, run {Run.objects.get().pk}\n"


def test_it_passes_every_option_on() -> None:
    make_pool("big")
    make_queue("night")
    submit(
        "--project", "digits", "--gpus", "2", "--gpu-memory-mib", "4000", "--cpus", "3", "--priority", "-5",
        "--repeat", "4", "--max-retries", "1", "--time-limit-s", "1.5", "--memory-mib", "512",
        "--backoff-s", "2.5", "--grace-s", "0", "--pool", "big", "--queue", "night",
        "--config", '{"lr": [0.1]}', "--cwd", "/tmp", "--tag", "a", "--tag", "b",
        "--label", "team=vision", "--label", "eq=a=b", "--description", "why", "--ranks", "2",
        "--hold", "--", "x",
    )  # fmt: skip
    task = Task.objects.get()
    assert (task.project, task.gpus, task.gpu_memory_mib, task.is_exclusive) == ("digits", 2, 4000, False)
    assert (task.cpus, task.priority, task.repeat, task.max_retries) == (3, -5, 4, 1)
    assert (task.memory_mib, task.backoff_s, task.grace_s) == (512, 2.5, 0)
    assert (task.pool, task.queue, task.config) == ("big", "night", {"lr": [0.1]})
    assert task.labels == [{"key": "team", "value": "vision"}, {"key": "eq", "value": "a=b"}]
    assert (task.description, task.ranks) == ("why", 2)
    assert (task.time_limit_s, task.cwd, task.tags, task.status) == (1.5, "/tmp", ["a", "b"], "held")


def test_it_runs_where_it_was_submitted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    submit("--", "x")
    submit("--cwd", "..", "--", "x")
    relative, here = Task.objects.all()
    assert here.cwd == str(tmp_path / "work")
    assert Path(relative.cwd).resolve() == tmp_path


def test_it_finds_programs_as_the_shell_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIRTUAL_ENV", "/venv")
    monkeypatch.setenv("SECRET", "not for jobs")
    monkeypatch.delenv("CONDA_PREFIX", raising=False)
    submit("--env", "LR=0.1", "--env", "EQUATION=a=b", "--env", "VIRTUAL_ENV=/other", "--", "x")
    assert Task.objects.get().env == {
        "PATH": os.environ["PATH"], "VIRTUAL_ENV": "/other", "LR": "0.1", "EQUATION": "a=b",
    }  # fmt: skip


def test_it_takes_one_string_for_the_shell() -> None:
    submit("--shell", "--", "echo one | cat")
    assert Task.objects.get().command == "echo one | cat"


def test_it_only_says_what_would_happen_in_a_dry_run() -> None:
    assert submit("--dry-run", "--", "x").startswith("would wait: ")
    node = make_node()
    assert submit("--dry-run", "--", "x") == f"would start now on {node.name}\n"
    assert not Task.objects.exists()


def test_a_dry_run_says_when_by_the_limits_of_what_runs() -> None:
    node = make_node(cpu_slots=1)
    make_run(make_task(status="active", pending_runs=0, time_limit_s=60, grace_s=0), node=node, cpus=1)
    out = submit("--dry-run", "--", "x")
    assert re.match(r"would wait: needs 1 CPU slot, 0 of 1 are free; would start by \S+ \S+ UTC on ", out)


def test_a_grid_makes_a_task_of_each_combination() -> None:
    out = submit("--grid", "lr=0.1,0.01", "batch_size=32,64", "--", "python", "train.py", "--lr={lr}")
    tasks = list(Task.objects.order_by("pk"))
    assert [task.command[2:] for task in tasks] == [
        ["--lr=0.1", "--batch_size", "32"], ["--lr=0.1", "--batch_size", "64"],
        ["--lr=0.01", "--batch_size", "32"], ["--lr=0.01", "--batch_size", "64"],
    ]  # fmt: skip
    assert [task.config for task in tasks][1:3] == [{"lr": 0.1, "batch_size": 64}, {"lr": 0.01, "batch_size": 32}]
    assert [task.array_index for task in tasks] == [0, 1, 2, 3]
    assert out == f"{tasks[0].array_id}: tasks {tasks[0].pk} to {tasks[3].pk}, 4 waiting\n"


def test_it_makes_an_array_and_waits_for_others() -> None:
    first, second = make_task(status="held"), make_task(status="held")
    submit("--depends-on", f"{first.pk},{second.pk}:any", "--array", "2", "--shell", "--", "echo {array_index}")
    tasks = list(Task.objects.exclude(array_id="").order_by("pk"))
    assert [task.command for task in tasks] == ["echo 0", "echo 1"]
    said = f"waits for task {first.pk} to complete, task {second.pk} to end"
    assert [task.waiting_reason for task in tasks] == [said, said]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--gpus", "many", "--", "x"], 'gpus: "many" is not a whole number'),
        (["--gpus", "1.5", "--", "x"], "gpus: 1.5 is not a whole number"),
        (["--priority", "101", "--", "x"], "priority: 101 is not"),
        (["--project", "../x", "--", "x"], 'project: "../x" is not a name'),
        (["--time-limit-s", "nan", "--", "x"], "time_limit_s: NaN is not"),
        (["--config", "{lr: 1}", "--", "x"], "config: '{lr: 1}' is not JSON: "),
        (["--config", "[1]", "--", "x"], "config: [1] is not an object"),
        (["--pool", "a/b", "--", "x"], "pool: "),
        (["--memory-mib", "0", "--", "x"], "memory_mib: 0 is not"),
        (["--env", "LR", "--", "x"], "env: 'LR' is not NAME=VALUE"),
        (["--env", "MLSERVER_X=1", "--", "x"], 'env: "MLSERVER_X" is reserved'),
        (["--label", "a", "--", "x"], "labels: 'a' is not NAME=VALUE"),
        (["--grid", "lr", "--", "x"], "grid: 'lr' is not NAME=VALUE"),
        (["--grid", "lr=1", "--array", "2", "--", "x"], "array: --grid says already"),
        (["--grid", "a=" + ",".join("1" * 40), "b=" + ",".join("1" * 40), "--", "x"], "grid: 1600 combinations"),
        (["--grid", "lr=1,2", "--shell", "--", "x"], "array: lr stands nowhere in the command"),
        (["--array", "0", "--", "x"], "array: 0 is not a number of tasks"),
        (["--array", "2", "--follow", "--", "x"], "follow: an array has many logs"),
        (["--depends-on", "7", "--", "x"], "depends_on: there is no task 7"),
        (["--depends-on", "a", "--", "x"], "depends_on: "),
        (["--depends-on", "1:never", "--", "x"], "depends_on: "),
        (["--shell", "--", "echo", "x"], "command: --shell takes one quoted string, not 2 words"),
        ([], "command: [] is not a command"),
    ],
)
def test_it_refuses_a_bad_value_in_one_line(words: list[str], line: str) -> None:
    with pytest.raises(CommandError) as refusal:
        submit(*words)
    assert str(refusal.value).startswith(line)
    assert "\n" not in str(refusal.value)
    assert refusal.value.returncode == 1
    assert not Task.objects.exists()


def test_it_names_every_refused_field() -> None:
    with pytest.raises(CommandError) as refusal:
        submit("--gpus", "-1", "--cpus", "x", "--priority", "1000", "--", "x")
    assert [line.split(":")[0] for line in str(refusal.value).split("\n")] == ["cpus", "gpus", "priority"]


@pytest.mark.django_db(transaction=True)
def test_it_follows_what_it_submitted() -> None:
    make_node()
    pause = threading.Event()

    def work() -> None:
        while not (run := Run.objects.first()):
            pause.wait(0.01)
        WrittenLog(run).write("hello\n").end()
        run.finish("finished", "ok", "exit code 0")
        run.task.end("completed")  # type: ignore[union-attr]
        connection.close()

    worker = threading.Thread(target=work)
    worker.start()
    out = submit("--follow", "--", "x")
    worker.join()
    first, *rest = out.splitlines()
    task, run = Task.objects.get().pk, Run.objects.get().pk
    assert first in (f"task {task} active, run {run}", f"task {task} completed, run {run}"), "it may end at once"
    assert rest == ["hello"]
