"""What the agent asks for again: the queue may lose any message."""

import selectors
from collections.abc import Callable, Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.utils import timezone
from django_q.models import OrmQ

from gpus.models import Node
from tests.execution.placed import placed, recorded
from tests.make import make_gpu, make_node, make_task
from training.execution import requests
from training.execution.control import Control
from training.execution.watch import Watch
from training.models import Run, Task

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("home")]
Look = Callable[..., list[tuple[Any, ...]]]


@pytest.fixture
def watch() -> Iterator[Watch]:
    with selectors.DefaultSelector() as selector:
        yield Watch(selector)


@pytest.fixture
def look(monkeypatch: pytest.MonkeyPatch, watch: Watch, django_capture_on_commit_callbacks: Any) -> Look:
    """`look(at_s)` lets the agent look at second `at_s` and answers what it asked for: (function, ids...)."""
    clock = SimpleNamespace(now=0.0, monotonic=lambda: clock.now)
    monkeypatch.setattr(requests, "time", clock)
    monkeypatch.setattr(requests, "_asked_at", {})
    monkeypatch.setattr(requests, "_seen", {})

    def look(at_s: float) -> list[tuple[Any, ...]]:
        clock.now = at_s
        OrmQ.objects.all().delete()
        with django_capture_on_commit_callbacks(execute=True):
            requests.repeat(Node.objects.first() or make_node(), watch)
        asked = [row.task for row in OrmQ.objects.order_by("pk")]
        return [(task["func"].removeprefix("training.queue.tasks."), *task["args"]) for task in asked]

    return look


def aged(run: Run, seconds: float) -> Run:
    Run.objects.filter(pk=run.pk).update(created_at=timezone.now() - timedelta(seconds=seconds))
    return run


def test_it_asks_for_nothing_when_nothing_is_amiss(look: Look) -> None:
    placed(status="running")
    assert [look(second) for second in range(5)] == [[]] * 5


def test_it_asks_again_for_a_launch_that_stays_out(look: Look) -> None:
    run = aged(placed(), 10)
    said = [look(second) for second in range(7)]
    assert said == [[], [], [], [("launch", run.pk)], [], [], [("launch", run.pk)]]


def test_it_gives_a_new_run_time_to_launch(look: Look) -> None:
    aged(placed(), 1)
    assert [look(0), look(3), look(6)] == [[], [], []]


def test_it_asks_again_for_a_finish_that_stays_out(look: Look) -> None:
    run = placed(status="running")
    recorded(run)
    assert [look(0), look(3), look(4), look(6)] == [[], [("finish", run.pk)], [], [("finish", run.pk)]]


def test_it_asks_again_for_a_stop_that_stays_out(look: Look) -> None:
    run = aged(placed(status="ending"), 10)
    assert [look(0), look(3)] == [[], [("stop", run.pk)]]


def test_it_forgets_what_has_ended(look: Look) -> None:
    run = aged(placed(), 10)
    look(0)
    Run.objects.filter(pk=run.pk).update(status="failed")
    assert look(3) == []
    assert requests._asked_at == {}


def test_it_leaves_runs_of_other_nodes_and_of_the_sdk_alone(look: Look) -> None:
    run = aged(placed(), 10)
    Run.objects.filter(pk=run.pk).update(node=make_node("other"))
    Run.objects.create(owner=run.owner, status="starting", node=Node.objects.first())
    assert [look(0), look(9)] == [[], []]


def test_it_looks_at_ranks_beside_one_that_has_ended(look: Look) -> None:
    run = placed(ranks=2, status="running")
    recorded(run, 0)
    lost = {"pid": 1, "start_ticks": 1, "boot_id": "another boot"}
    Control(run.pk, 1).write("supervisor", lost)
    assert look(0) == [("finish", run.pk)]
    assert (Control(run.pk, 1).read("exit") or {})["class"] == "node_lost"


def test_runs_in_any_number_are_as_many_queries(look: Look, watch: Watch, django_assert_num_queries: Any) -> None:
    node = placed(status="running").node
    look(0)
    for _ in range(5):
        placed(status="running", ranks=2)
    watched = [(run_id, rank) for run_id, rank in Run.objects.values_list("pk", "processes__rank")]
    watch.watched = dict.fromkeys(watched)  # type: ignore[arg-type]
    with django_assert_num_queries(2):
        requests.repeat(node, watch)


def test_it_asks_for_a_pass_at_its_start_and_from_time_to_time_while_something_waits(look: Look) -> None:
    make_task()
    make_node()
    asked_at = [second for second in range(25) if look(second) == [("schedule",)]]
    assert asked_at == [0, 11, 21]


def test_nothing_waiting_needs_no_pass(look: Look) -> None:
    make_gpu()
    make_task(status="held")
    make_task(not_before=timezone.now() + timedelta(hours=1))
    assert [look(0), look(11)] == [[], []]


def test_it_asks_for_a_pass_when_a_back_off_is_over(look: Look) -> None:
    make_task(not_before=timezone.now() - timedelta(seconds=1))
    make_node()
    look(0)
    assert look(1) == [("schedule",)]


@pytest.mark.parametrize(
    "change",
    [{"is_enabled": False}, {"foreign_process_count": 1}, {"quarantined_at": timezone.now()}, {"is_present": False}],
)
def test_it_asks_for_a_pass_when_a_gpu_changed(look: Look, change: dict[str, Any]) -> None:
    gpu = make_gpu()
    make_task(gpus=1)
    look(0)
    assert look(1) == []
    type(gpu).objects.filter(pk=gpu.pk).update(**change)
    assert look(2) == [("schedule",)]
    assert look(3) == []


def test_a_task_placed_in_part_still_waits(look: Look) -> None:
    Task.objects.filter(pk=placed(status="running").task_id).update(pending_runs=1)
    assert look(0) == [("schedule",)]
