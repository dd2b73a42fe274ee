"""Tasks from spreadsheets."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest
from openpyxl import Workbook, load_workbook

from tests.make import make_node, make_task, make_user
from training.models import Task
from training.task_table import TaskFunction, import_rows, read_rows, write_run_numbers

pytestmark = pytest.mark.django_db
CLIENT = Path(__file__).parents[2] / "clients" / "python"
HEADER = ["name", "run_num", "need_run_num", "cmd", "lr", "batch_size", "note"]
ROWS = [
    ["first", 1, 3, "python fit.py", 0.1, 64.0, None],
    [None, None, None, "python fit.py", 0.01, 32, "two words"],
    ["done", 2, 2, "python fit.py", 0.1, 64, None],
    ["bad", "x", 0, "python fit.py", 0.1, 64, None],
    [None] * 7,
    ["no command", 0, 1, None, 0.1, 64, None],
]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    book = Workbook()
    for row in [HEADER, *ROWS]:
        book.active.append(row)
    book.create_sheet("notes").append(["keep me"])
    book.save(tmp_path / "todo.xlsx")
    return tmp_path / "todo.xlsx"


@pytest.fixture
def comma_table(tmp_path: Path) -> Path:
    with (tmp_path / "todo.csv").open("w", newline="") as file:
        csv.writer(file).writerows([HEADER, *ROWS])
    return tmp_path / "todo.csv"


@pytest.fixture(params=["table", "comma_table"])
def either(request) -> Path:
    return request.getfixturevalue(request.param)


def test_each_row_is_a_task_with_parameters_as_options(either):
    make_node()
    found = import_rows(either, read_rows(either, has_function=False), owner=make_user())
    assert (found.new, found.done, sorted(found.refused)) == ([0, 1], [2], [3, 5])
    first, second = found.tasks[0], found.tasks[1]
    assert (first.name, first.repeat, first.cwd) == ("first", 2, str(either.parent))
    assert first.command == "python fit.py --lr 0.1 --batch_size 64"
    assert (second.name, second.repeat) == ("Task:1", 1)
    assert second.command == "python fit.py --lr 0.01 --batch_size 32 --note 'two words'"
    assert "run_num is 'x'" in found.refused[3] and "need_run_num is 0" in found.refused[3]
    assert "cmd is empty" in found.refused[5]


def test_a_dry_run_writes_nothing(table):
    found = import_rows(table, read_rows(table, has_function=False), owner=make_user(), dry_run=True)
    assert found.new == [0, 1] and not Task.objects.exists()


def test_a_second_import_finds_the_tasks_of_the_first(table):
    owner = make_user()
    first = import_rows(table, read_rows(table, has_function=False), owner=owner)
    again = import_rows(table, read_rows(table, has_function=False), owner=owner)
    assert again.new == [] and {n: it.pk for n, it in again.tasks.items()} == {
        n: it.pk for n, it in first.tasks.items()
    }
    Task.objects.filter(pk=first.tasks[1].pk).update(status="completed")
    assert import_rows(table, read_rows(table, has_function=False), owner=owner).new == [1]


def test_a_tag_that_looks_like_one_of_a_row_changes_nothing(table):
    make_node()
    rows = read_rows(table, has_function=False)
    first = import_rows(table, rows, owner=(owner := make_user("ada"))).tasks[0]
    others = make_task(make_user("eve"), source="flowline", status="held", tags=first.tags)
    Task.objects.filter(pk=first.pk).update(tags=[f"{first.tags[0]}x", *first.tags])
    found = import_rows(table, rows, owner=owner)
    assert found.new == [] and found.tasks[0] == first != others


def test_with_a_function_no_command_is_needed(table, tmp_path):
    function = TaskFunction("jobs:make", tmp_path)
    found = import_rows(table, read_rows(table, has_function=True), owner=make_user(), function=function)
    assert found.new == [0, 1, 5]
    task = found.tasks[0]
    assert task.command == [sys.executable, "-m", "mlserver_client.task_function", "jobs:make"]
    assert task.env["FLOWLINE_PARAMETERS"] == '{"lr": 0.1, "batch_size": 64}'


@pytest.mark.parametrize(
    ("name", "content"), [("a.xlsx", b"no workbook"), ("a.csv", b""), ("a.txt", b"x"), ("b.xlsx", b"PK\x03\x04broken")]
)
def test_what_is_no_table_is_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.|b\."):
        read_rows(tmp_path / name, has_function=False)


def test_run_numbers_are_written_back_and_all_else_stays(either):
    write_run_numbers(either, {0: 2, 1: 1})
    rows = read_rows(either, has_function=False)
    assert [(row.run_num, row.name) for row in rows[:2]] == [(2, "first"), (1, "Task:1")]
    assert rows[1].parameters["note"] == "two words"
    if either.suffix == ".xlsx":
        assert load_workbook(either)["notes"]["A1"].value == "keep me"
    assert [path.name for path in either.parent.iterdir() if path.name.startswith(".")] == []


def test_a_table_without_the_column_gets_it(tmp_path):
    path = tmp_path / "todo.csv"
    path.write_text("cmd\ntrue\n")
    write_run_numbers(path, {0: 1})
    assert path.read_text().split() == ["cmd,run_num", "true,1"]


def run_function(directory: Path, body: str, **env: str) -> subprocess.CompletedProcess[str]:
    (directory / "jobs.py").write_text(body)
    command = [sys.executable, "-m", "mlserver_client.task_function", "jobs:make"]
    env = {"PYTHONPATH": str(CLIENT), "PATH": os.environ["PATH"], **env}
    return subprocess.run(command, cwd=directory, env=env, capture_output=True, text=True, timeout=30)


def test_the_function_makes_the_command_of_a_run(tmp_path):
    body = "def make(parameters, gpu_id):\n    return f\"echo {parameters['lr']} on {gpu_id}; exit 3\""
    done = run_function(tmp_path, body, FLOWLINE_PARAMETERS='{"lr": 0.1}', MLSERVER_GPU_INDICES="1,2")
    assert (done.returncode, done.stdout) == (3, "0.1 on 1\n")
    assert run_function(tmp_path, body, FLOWLINE_PARAMETERS='{"lr": 1}').stdout == "1 on -1\n"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("def make(p, g):\n    return 7", "returned int"),
        ("def make(p, g):\n    raise KeyError('lr')", "KeyError: 'lr'"),
    ],
)
def test_a_failing_function_fails_the_run_with_its_traceback(tmp_path, body, said):
    done = run_function(tmp_path, body)
    assert done.returncode == 1 and "Traceback" in done.stderr and said in done.stderr
