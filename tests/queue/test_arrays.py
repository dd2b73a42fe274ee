"""Arrays: many tasks from one submission, each with its parameters."""

from typing import Any

import pytest

from mlserver.errors import Invalid
from tests.make import make_node, make_run, make_task, make_user
from training.execution.environment import array_environment
from training.models import Event, Run, Task
from training.queue.arrays import array, filled, product
from training.queue.refused import Refused
from training.queue.spec import TaskSpec
from training.queue.submit import submit

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("home")]


def submitted(**values: object) -> list[Task]:
    first = submit(TaskSpec.clean({"command": ["x"], **values}), owner=make_user())
    return list(Task.objects.of_array(first.array_id).order_by("array_index"))


@pytest.mark.database
def test_it_makes_as_many_tasks_that_know_their_index() -> None:
    make_node(cpu_slots=2)
    tasks = submitted(array=3, name="sweep", command=["x", "{array_index}"])
    assert [(task.array_index, task.array_size, task.command) for task in tasks] == [
        (0, 3, ["x", "0"]), (1, 3, ["x", "1"]), (2, 3, ["x", "2"]),
    ]  # fmt: skip
    assert len({task.array_id for task in tasks}) == 1
    assert len({task.job_id for task in tasks}) == 3
    assert [task.status for task in tasks] == ["active", "active", "waiting"]
    assert Event.objects.filter(reason="Submitted").count() == 3
    assert array_environment(tasks[1]) == {
        "MLSERVER_ARRAY_ID": tasks[0].array_id, "MLSERVER_ARRAY_INDEX": "1", "MLSERVER_ARRAY_SIZE": "3",
    }  # fmt: skip


def test_an_array_of_one_is_an_array() -> None:
    [task] = submitted(array=[{"lr": 0.1}])
    assert (task.array_index, task.array_size, task.config) == (0, 1, {"lr": 0.1})


def test_a_task_of_no_array_is_told_nothing() -> None:
    assert array_environment(make_task()) == {}


def test_its_runs_carry_the_parameters() -> None:
    make_node()
    submitted(array=[{"lr": 0.1}, {"lr": 0.01}], config={"seed": 1})
    assert sorted(run.config["lr"] for run in Run.objects.all()) == [0.01, 0.1]
    assert all(run.config["seed"] == 1 for run in Run.objects.all())


def test_all_of_it_waits_for_what_it_depends_on() -> None:
    first = make_task(status="active", pending_runs=0)
    make_run(first)
    tasks = submitted(array=2, depends_on=[first.pk])
    assert {task.unmet for task in tasks} == {1}
    first.end("failed")
    assert {task.status for task in Task.objects.of_array(tasks[0].array_id)} == {"stopped"}


def test_a_hundred_tasks_cost_few_statements(django_assert_max_num_queries: Any) -> None:
    with django_assert_max_num_queries(30):
        assert len(submitted(array=100)) == 100


@pytest.mark.parametrize(
    ("command", "made"),
    [
        (["t.py", "--lr={lr}"], ["t.py", "--lr=0.1", "--name", "a b", "--flag", "true", "--none", "null"]),
        (
            ["{name}{lr}", "{other}", "{}", "${lr}"],
            ["a b0.1", "{other}", "{}", "$0.1", "--flag", "true", "--none", "null"],
        ),
        ("t {lr} {name} {flag} {none} ${HOME} {print}", "t 0.1 'a b' true null ${HOME} {print}"),
    ],
)
def test_parameters_replace_their_names(command: Any, made: Any) -> None:
    parameters = {"lr": 0.1, "name": "a b", "flag": True, "none": None}
    assert filled(command, {}, parameters, 0) == (made, {})


def test_parameters_reach_the_environment() -> None:
    command, env = filled("train", {"LR": "{lr}", "N": "{array_index}"}, {"lr": 1e-05}, 7)
    assert (command, env) == ("train", {"LR": "1e-05", "N": "7"})


def test_a_value_is_never_looked_at_for_names() -> None:
    assert filled(["{a}", "{b}"], {}, {"a": "{b}", "b": "{a}"}, 0)[0] == ["{b}", "{a}"]


def test_a_parameter_for_nothing_is_refused_in_a_shell() -> None:
    with pytest.raises(Invalid, match="lr stands nowhere in the command and env: write {lr} there"):
        submitted(command="python train.py", array=[{"lr": 1}])
    assert not Task.objects.exists()


@pytest.mark.parametrize(
    "values",
    [
        {"command": ["x", "{a}" * 40_000], "array": [{"a": "b" * 100_000}]},
        {"command": "x {a}" + "{a}" * 10_000, "array": [{"a": "'" * 1000}]},
        {"command": ["x"], "env": {"A": "b" * 40_000}, "array": 1000},
        {"command": ["x"], "config": {"a": list(range(8000))}, "array": 1000},
    ],
    ids=["command", "quoted", "env", "config"],
)
def test_tasks_that_would_say_too_much_together_are_refused_before_they_are_made(values: Any) -> None:
    with pytest.raises(Invalid, match="more than 33554432 characters together"):
        submitted(**values)
    assert not Task.objects.exists()


@pytest.mark.parametrize(
    "value", [0, 1001, True, "3", [], [1], [{"a b": 1}], [{"": 1}], [{"array_index": 1}], [{"a": []}]]
)
def test_it_refuses(value: object) -> None:
    with pytest.raises(Refused):
        array(value)


def test_a_grid_is_every_combination() -> None:
    assert product({"a": [1, 2], "b": ["x"]}) == [{"a": 1, "b": "x"}, {"a": 2, "b": "x"}]
