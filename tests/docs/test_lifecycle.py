"""docs/lifecycle.md draws what the models do."""

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from tests.make import make_node, make_run, make_sdk_run, make_task, make_user
from training.execution.classify import RETRIED, Outcome
from training.models import ExitClass, Run, RunStatus, Task, TaskStatus
from training.queue.spec import TaskSpec
from training.queue.submit import submit
from training.records import begin_sdk_run

pytestmark = pytest.mark.django_db

PAGE = (Path(__file__).parents[2] / "docs" / "lifecycle.md").read_text()
Arrow = tuple[str, str, str]  # from, to, method
NOWHERE = "[*]"

TASK_MOVES: dict[str, list[Callable[[Task], bool]]] = {
    "hold": [Task.hold],
    "release": [Task.release],
    "activate": [lambda task: task.activate(make_run(task).pk, "node")],
    "hand_back": [lambda task: task.hand_back("no room")],
    "retry_later": [lambda task: task.retry_later("it failed")],
    "wait_for_next": [Task.wait_for_next],
    "request_stop": [lambda task: task.request_stop("a user")],
    "end": [lambda task, s=status: task.end(s) for status in ("completed", "failed", "stopped")],  # type: ignore[misc]
    "give_up": [lambda task: task.give_up("another failed")],
    "requeue": [Task.requeue],
    "delete_softly": [Task.delete_softly],
}
RUN_MOVES: dict[str, list[Callable[[Run], bool]]] = {
    "mark_running": [lambda run: run.mark_running(started_at=timezone.now())],
    "request_stop": [lambda run: run.request_stop("a user")],
    "finish": [lambda run, s=status: run.finish(s, "ok", "") for status in ("finished", "failed", "stopped")],  # type: ignore[misc]
    "hand_back": [lambda run: run.hand_back("no room")],
    "resume": [Run.resume],
}


def drawing(heading: str) -> str:
    found = re.search(rf"^## {heading}$.*?```mermaid\n(.*?)```", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def groups_of(text: str) -> dict[str, list[str]]:
    return {name: inside.split() for name, inside in re.findall(r"state (\w+) \{(.*?)\}", text, re.DOTALL)}


def drawn(heading: str) -> set[Arrow]:
    """A box that holds statuses, unless it is named like one, stands for each of them."""
    text = drawing(heading)
    groups = groups_of(text)
    arrows = re.findall(r"^ *(\S+) --> (\S+): (.+)$", text, re.MULTILINE)
    return {
        (source, target, method)
        for start, target, methods in arrows
        for source in groups.get(start, [start])
        for method in methods.split(", ")
    }


def statuses_drawn(heading: str) -> set[str]:
    return {status for start, end, _ in drawn(heading) for status in (start, end)} - {NOWHERE}


def movers(model: type[Any]) -> set[str]:
    """Methods of `model` that change its status or delete it."""
    methods = inspect.getmembers(model, inspect.isfunction)
    mine = [(name, method) for name, method in methods if method.__module__ == model.__module__ and name != "_move"]
    return {name for name, method in mine if re.search(r"self\._move\(|\.delete\(", inspect.getsource(method))}


def status_of(row: Task | Run) -> str:
    return type(row).objects.filter(pk=row.pk).values_list("status", flat=True).first() or NOWHERE  # type: ignore[union-attr]


def test_it_draws_every_status() -> None:
    assert statuses_drawn("Task") == set(TaskStatus.values)
    assert statuses_drawn("Run") == set(RunStatus.values)


def test_it_knows_every_method_that_moves() -> None:
    assert movers(Task) == set(TASK_MOVES)
    assert movers(Run) == set(RUN_MOVES)


def test_it_draws_the_moves_of_a_task() -> None:
    done = set()
    for name, moves in TASK_MOVES.items():
        for status in TaskStatus.values:
            for move in moves:
                for has_run in (False, True):
                    task = make_task(status=status)
                    if has_run:
                        make_run(task)
                    if move(task):
                        done.add((status, status_of(task), name))
    changes = {(start, end, name) for start, end, name in done if start != end}
    assert changes == {arrow for arrow in drawn("Task") if NOWHERE not in arrow}


def test_it_draws_the_moves_of_a_run() -> None:
    done = set()
    for name, moves in RUN_MOVES.items():
        for status in RunStatus.values:
            for move in moves:
                for run in (make_run(status=status), make_sdk_run(status=status)):
                    if move(run):
                        done.add((status, status_of(run), name))
    assert done == {arrow for arrow in drawn("Run") if arrow[0] != NOWHERE}


def test_it_draws_how_tasks_and_runs_begin() -> None:
    owner = make_user()
    waiting = submit(TaskSpec(command=["x"]), owner=owner)
    held = submit(TaskSpec(command=["x"], hold=True), owner=owner)
    begun = begin_sdk_run({}, owner=owner)
    make_node()
    active = submit(TaskSpec(command=["x"]), owner=owner)
    placed = Run.objects.get(task=active)

    assert {arrow for arrow in drawn("Task") if arrow[0] == NOWHERE} == {
        (NOWHERE, task.status, "submit") for task in (waiting, held)
    }
    assert {arrow for arrow in drawn("Run") if arrow[0] == NOWHERE} == {
        (NOWHERE, placed.status, "placed"), (NOWHERE, begun.status, "begin_sdk_run"),
    }  # fmt: skip


def test_it_explains_every_exit_class() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \|.*\| (\w*) ?\|$", PAGE, re.MULTILINE)
    assert {name: status for name, status, _ in rows} == {
        value: Outcome(ExitClass(value), "").status for value in ExitClass.values
    }
    assert {name for name, _, retried in rows if retried == "yes"} == set(RETRIED)
