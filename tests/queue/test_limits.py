"""Limits of queues and users: over one a task waits, and those behind it do not."""

from typing import Any

import pytest
from django.contrib.auth.models import User

from tests.make import make_gpu, make_node, make_queue, make_task, make_user
from tests.together import together
from training.execution.settle import settle
from training.models import ExitClass, Queue, Run, RunStatus, Task, UserLimits
from training.queue.scheduler import schedule

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("home")]


@pytest.fixture
def ada() -> User:
    return make_user("ada")


def placed() -> list[int | None]:
    runs = Run.objects.in_bulk(ids := schedule())
    return [runs[run_id].task_id for run_id in ids]


def said(task: Task) -> str:
    task.refresh_from_db()
    return task.waiting_reason


@pytest.mark.database
def test_a_queue_runs_as_many_as_it_may(ada: User) -> None:
    make_node(cpu_slots=9)
    make_queue("night", max_running=2)
    nightly = [make_task(ada, queue="night") for _ in range(3)]
    other = make_task(ada)
    assert placed() == [nightly[0].pk, nightly[1].pk, other.pk]
    assert said(nightly[2]) == "2 of 2 runs of queue night are under way (max_running)"
    settle(nightly[0].runs.get(), RunStatus.FINISHED, ExitClass.OK, "")
    assert placed() == [nightly[2].pk]


def test_a_queue_holds_as_many_gpus_as_it_may(ada: User) -> None:
    node = make_node()
    for _ in range(4):
        make_gpu(node)
    make_queue("night", max_gpus=3)
    two, wide, one, on_cpu = (make_task(ada, queue="night", gpus=n, cpus=0 if n else 1) for n in (2, 2, 1, 0))
    assert placed() == [two.pk, one.pk, on_cpu.pk]
    assert said(wide) == "needs 2 GPUs, 2 of 3 GPUs of queue night are held (max_gpus)"


@pytest.mark.database
def test_a_user_has_limits_in_all_queues_together(ada: User) -> None:
    make_node(cpu_slots=9)
    make_queue("night")
    UserLimits.objects.create(user=ada, max_running=1)
    first, second = make_task(ada), make_task(ada, queue="night")
    theirs = make_task(make_user())
    assert placed() == [first.pk, theirs.pk]
    assert said(second) == "1 of 1 run of user ada is under way (max_running)"


def test_a_limit_of_0_stops_a_queue(ada: User) -> None:
    make_node()
    make_queue("night", max_running=0)
    task = make_task(ada, queue="night")
    assert placed() == []
    assert said(task) == "0 of 0 runs of queue night are under way (max_running)"


def test_each_execution_of_a_repeat_counts(ada: User) -> None:
    make_node(cpu_slots=9)
    Queue.objects.update_or_create(name="default", defaults={"max_running": 2})
    task = make_task(ada, repeat=5, pending_runs=5)
    assert placed() == [task.pk, task.pk]
    assert "max_running" in said(task)


def test_what_is_over_a_limit_is_kept_nothing(ada: User) -> None:
    node = make_node()
    make_gpu(node), make_gpu(node)
    make_queue("night", max_gpus=1)
    make_task(ada, queue="night", gpus=2, cpus=0)
    small = make_task(ada, gpus=1, cpus=0)
    assert placed() == [small.pk]


def test_a_demonstration_meets_no_limit(ada: User) -> None:
    make_node()
    Queue.objects.update_or_create(name="default", defaults={"max_running": 0})
    demo = make_task(ada, is_demo=True, cpus=0)
    assert placed() == [demo.pk]


@pytest.mark.database
@pytest.mark.django_db(transaction=True)
def test_two_passes_at_once_keep_the_limit() -> None:
    make_node(cpu_slots=9)
    make_queue("night", max_running=1)
    user = make_user()
    for _ in range(4):
        make_task(user, queue="night")
    first, second = together(schedule, schedule)
    assert len(first + second) == 1


def test_the_limits_cost_one_query(ada: User, django_assert_max_num_queries: Any) -> None:
    make_node(cpu_slots=1)
    make_queue("night", max_running=0)
    for _ in range(5):
        make_task(ada, queue="night")
    schedule()
    with django_assert_max_num_queries(6):  # transaction: 2; tasks, nodes, runs, limits
        schedule()
