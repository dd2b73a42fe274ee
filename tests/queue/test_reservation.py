"""Backfilling: small tasks use what is left, and never keep a wide one from its turn."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from gpus.models import Gpu, Node
from tests.make import make_gpu, make_lease, make_node, make_run, make_task, make_user
from training.execution.settle import settle
from training.models import ExitClass, Run, RunStatus, Task
from training.queue.scheduler import schedule

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("home")]


@pytest.fixture
def user() -> User:
    return make_user()


@pytest.fixture
def box() -> Node:
    """A node of four GPUs."""
    node = make_node("box", cpu_slots=8)
    for _ in range(4):
        make_gpu(node)
    return node


def waiting(user: User, gpus: int, **fields: Any) -> Task:
    return make_task(user, **{"gpus": gpus, "cpus": 0, "grace_s": 0, **fields})


def busy(node: Node, *indices: int, limit_s: float | None = None, begun: datetime | None = None, **fields: Any) -> Run:
    """A run on these GPUs, begun now."""
    task = make_task(status="active", pending_runs=0, time_limit_s=limit_s, grace_s=0)
    run = make_run(task, node=node, started_at=begun or timezone.now(), **fields)
    for gpu in Gpu.objects.filter(node=node, index__in=indices):
        make_lease(run, gpu)
    return run


def placed() -> list[int | None]:
    runs = Run.objects.in_bulk(ids := schedule())
    return [runs[run_id].task_id for run_id in ids]


def said(task: Task) -> str:
    task.refresh_from_db()
    return task.waiting_reason


@pytest.mark.database
def test_a_wide_task_is_kept_what_is_free_and_starts_when_the_rest_is(user: User, box: Node) -> None:
    first, second = busy(box, 0), busy(box, 1)
    wide = waiting(user, 4)
    small = [waiting(user, 1) for _ in range(3)]
    assert placed() == []
    assert said(wide).startswith("needs 4 GPUs, 2 of 4 free: GPU 0: held by run ")
    assert (
        said(small[0]) == f"GPU 0 and 1 and 2 and 3 of node box are kept for task {wide.pk}, which is ahead in the line"
    )
    for run in (first, second):
        settle(run, RunStatus.FINISHED, ExitClass.OK, "")
    assert placed() == [wide.pk]


def test_others_start_on_what_the_wide_task_cannot_use(user: User, box: Node) -> None:
    busy(box, 0), busy(box, 1)
    wide = waiting(user, 3)
    small = waiting(user, 1)
    on_cpu = waiting(user, 0, cpus=1)
    assert placed() == [on_cpu.pk]
    settle(Run.objects.get(leases__gpu__index=0), RunStatus.FINISHED, ExitClass.OK, "")
    assert placed() == [wide.pk]
    assert said(small).startswith("needs 1 GPU, 0 of 4 free")


def test_the_devices_beyond_what_is_kept_are_for_all(user: User, box: Node) -> None:
    """Two are busy for ever, of two more one has too little memory for the wide one."""
    Gpu.objects.filter(node=box, index=3).update(memory_mib=1000)
    busy(box, 0)
    waiting(user, 3, gpu_memory_mib=20000)
    small, large = waiting(user, 1, gpu_memory_mib=500), waiting(user, 1, gpu_memory_mib=20000)
    assert placed() == [small.pk]
    assert "kept for task" in said(large)


@pytest.mark.database
@pytest.mark.parametrize(("limit_s", "starts"), [(300, True), (900, False), (None, False)])
def test_a_task_that_ends_before_the_wide_one_starts_goes_ahead(
    limit_s: float | None, starts: bool, user: User, box: Node
) -> None:
    busy(box, 0, 1, 2, limit_s=600)
    wide = waiting(user, 4)
    small = waiting(user, 1, time_limit_s=limit_s)
    assert placed() == ([small.pk] if starts else [])
    assert said(wide).startswith("needs 4 GPUs")


def test_nobody_goes_ahead_where_a_run_has_no_limit(user: User, box: Node) -> None:
    busy(box, 0, limit_s=600)
    busy(box, 1)
    waiting(user, 4)
    small = waiting(user, 1, time_limit_s=1)
    assert placed() == []
    assert "kept for task" in said(small)


def test_it_is_kept_the_devices_that_are_free_the_earliest(user: User, box: Node) -> None:
    busy(box, 0)
    busy(box, 1, limit_s=600)
    waiting(user, 3)
    small = waiting(user, 1)
    assert placed() == []
    assert said(small).startswith("GPU 1 and 2 and 3 of node box are kept")


def test_a_run_beyond_its_limit_is_expected_to_end_at_once(user: User, box: Node) -> None:
    busy(box, 0, 1, limit_s=600, begun=timezone.now() - timedelta(hours=1))
    waiting(user, 4)
    small = waiting(user, 1, time_limit_s=60)
    assert placed() == []
    assert "kept for task" in said(small)


def test_a_repeat_is_kept_a_place_for_its_next_execution(user: User, box: Node) -> None:
    wide = waiting(user, 3, repeat=2, pending_runs=2)
    small = waiting(user, 1)
    assert placed() == [wide.pk]
    assert "kept for task" in said(small)


def test_cpu_slots_are_kept_too(user: User) -> None:
    node = make_node("box", cpu_slots=4)
    make_run(make_task(user, status="active", pending_runs=0), node=node, cpus=2)
    wide = waiting(user, 0, cpus=3)
    small = waiting(user, 0, cpus=1)
    assert placed() == []
    assert said(small) == f"CPU slots and memory of node box are kept for task {wide.pk}, which is ahead in the line"


def test_slots_that_are_left_when_it_starts_are_for_all(user: User) -> None:
    node = make_node("box", cpu_slots=4)
    task = make_task(user, status="active", pending_runs=0, time_limit_s=600)
    make_run(task, node=node, cpus=3)
    waiting(user, 0, cpus=2)
    first, second = waiting(user, 0, cpus=1), waiting(user, 0, cpus=1)
    assert placed() == [first.pk]
    assert said(second) == "needs 1 CPU slot, 0 of 4 are free"


def test_what_goes_ahead_never_takes_more_than_is_spare(user: User) -> None:
    node = make_node("box", cpu_slots=8)
    task = make_task(user, status="active", pending_runs=0, time_limit_s=600)
    make_run(task, node=node, cpus=4)
    waiting(user, 0, cpus=6)
    small = [waiting(user, 0, cpus=1) for _ in range(4)]
    assert placed() == [task.pk for task in small[:2]]
    assert "kept for task" in said(small[2])


def test_memory_is_kept_beside_a_shared_task(user: User) -> None:
    node = make_node("box")
    gpu = make_gpu(node, memory_mib=1000)
    run = make_run(make_task(status="active", pending_runs=0), node=node)
    make_lease(run, gpu, memory_mib=600, is_exclusive=False)
    waiting(user, 1, gpu_memory_mib=700, is_exclusive=False)
    small = waiting(user, 1, gpu_memory_mib=300, is_exclusive=False)
    assert placed() == []
    assert said(small).startswith("GPU 0 of node box is kept for task ")


def test_what_can_never_start_keeps_nothing(user: User, box: Node) -> None:
    too_wide, other_pool = waiting(user, 5), waiting(user, 1, pool="gone")
    Gpu.objects.filter(node=box, index=0).update(foreign_process_count=1, foreign_memory_mib=9000)
    outsider_in_the_way = waiting(user, 4)
    small = waiting(user, 1)
    assert placed() == [small.pk]
    for task in (too_wide, other_pool, outsider_in_the_way):
        assert "kept" not in said(task)


def test_each_node_is_kept_for_one_and_others_use_the_next_node(user: User, box: Node) -> None:
    busy(box, 0)
    other = make_node("other", cpu_slots=8)
    make_gpu(other)
    waiting(user, 4)
    small = waiting(user, 1)
    assert placed() == [small.pk]
    assert small.runs.get().node == other


def test_a_held_back_task_is_not_ahead(user: User, box: Node) -> None:
    """What waits for its back-off, is held or over a limit keeps nothing."""
    busy(box, 0)
    waiting(user, 4, not_before=timezone.now() + timedelta(minutes=1))
    waiting(user, 4, status="held")
    small = waiting(user, 1)
    assert placed() == [small.pk]


def test_the_sentences_stay_the_same_from_pass_to_pass(user: User, box: Node) -> None:
    busy(box, 0, 1, limit_s=600)
    waiting(user, 4)
    small = waiting(user, 1)
    schedule()
    before = said(small)
    schedule()
    assert said(small) == before
