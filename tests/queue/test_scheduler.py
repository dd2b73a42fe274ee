"""The scheduling pass: whose turn it is, what is placed, and what the others are told."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from gpus.models import Gpu, Node
from tests.make import make_gpu, make_lease, make_node, make_pool, make_run, make_task, make_user
from tests.together import together
from training.models import Event, Lease, Run, RunProcess, Task
from training.queue.scheduler import Pass, facts_for, read_waiting, schedule

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("home")]


@pytest.fixture
def user() -> User:
    return make_user()


def waiting(user: User, *, age_s: float = 0, **fields: Any) -> Task:
    return make_task(user, queued_at=timezone.now() - timedelta(seconds=age_s), **fields)


def line_up(user: User, count: int, **fields: Any) -> None:
    Task.objects.bulk_create(Task(owner=user, command=["/bin/true"], **fields) for _ in range(count))


def placed_tasks() -> list[int | None]:
    """Tasks of the runs that one pass places, in the order of placing."""
    runs = Run.objects.in_bulk(ids := schedule())
    return [runs[run_id].task_id for run_id in ids]


@pytest.mark.database
def test_it_serves_priority_first_then_age(user: User) -> None:
    make_node(cpu_slots=9)
    young, old = waiting(user, age_s=1), waiting(user, age_s=9)
    urgent, lowly = waiting(user, priority=5), waiting(user, priority=-5, age_s=99)
    assert placed_tasks() == [urgent.pk, old.pk, young.pk, lowly.pk]


def test_it_places_a_small_task_beside_a_large_one_that_must_wait(user: User) -> None:
    make_node(cpu_slots=2)
    large, small = waiting(user, cpus=3, age_s=9), waiting(user)
    assert placed_tasks() == [small.pk]
    large.refresh_from_db()
    assert (large.status, large.waiting_reason) == (
        "waiting",
        f"needs 3 CPU slots, node {Node.objects.get().name} has 2",
    )


@pytest.mark.database
def test_it_writes_run_process_leases_event_and_task_of_a_placement(user: User) -> None:
    node = make_node("box")
    gpus = [make_gpu(node), make_gpu(node)]
    task = waiting(user, gpus=2, cpus=0, memory_mib=100, project="p", name="n", tags=["t"], config={"lr": 1})
    [run_id] = schedule()
    run = Run.objects.get(pk=run_id)
    assert (run.status, run.node, run.attempt, run.memory_mib, run.cpus) == ("starting", node, 1, 100, 0)
    assert (run.owner, run.project, run.name, run.tags, run.config) == (user, "p", "n", ["t"], {"lr": 1})
    assert RunProcess.objects.get(run=run).rank == 0
    assert {(lease.gpu_id, lease.memory_mib, lease.is_exclusive) for lease in run.leases.held()} == {
        (gpu.pk, gpu.memory_mib, True) for gpu in gpus
    }
    assert Event.objects.get(run=run).message == f"run {run_id} placed on box, GPU 0 and 1"
    task.refresh_from_db()
    assert (task.status, task.pending_runs, task.waiting_reason) == ("active", 0, "")
    assert task.started_at is not None


def test_it_places_all_gpus_of_a_task_or_none(user: User) -> None:
    node = make_node()
    make_gpu(node)
    make_lease(make_run(node=node), make_gpu(node))
    task = waiting(user, gpus=2, cpus=0)
    assert schedule() == []
    task.refresh_from_db()
    assert task.waiting_reason.startswith("needs 2 GPUs, 1 of 2 free: GPU 1: held by run ")
    assert Lease.objects.count() == 1


def test_it_shares_a_gpu_by_reserved_memory(user: User) -> None:
    gpu = make_gpu(memory_mib=1000)
    fits = [waiting(user, gpus=1, cpus=0, gpu_memory_mib=400, is_exclusive=False, age_s=9 - n) for n in range(3)]
    assert placed_tasks() == [task.pk for task in fits[:2]]
    fits[2].refresh_from_db()
    assert fits[2].waiting_reason == f"needs 1 GPU with 400 MiB, 0 of 1 free: GPU {gpu.index}: only 200 MiB free"


@pytest.mark.parametrize(
    ("sample", "sentence"),
    [
        ({"foreign_process_count": 1, "foreign_memory_mib": 700}, "in use outside this server: 1 process, 700 MiB"),
        ({"foreign_memory_mib": 5000}, "in use outside this server: 5000 MiB"),
        ({"is_enabled": False}, "switched off by an administrator"),
        ({"quarantined_at": timezone.now(), "quarantine_reason": "somebody sits there"}, "somebody sits there"),
    ],
)
def test_it_leaves_a_gpu_alone_and_says_why(user: User, sample: dict[str, Any], sentence: str) -> None:
    make_gpu(**sample)
    task = waiting(user, gpus=1, cpus=0)
    assert schedule() == []
    task.refresh_from_db()
    assert sentence in task.waiting_reason


@pytest.mark.parametrize(
    ("sampled_s_ago", "sentence"), [(None, "not sampled yet"), (3.0, "UTC: the driver does not answer")]
)
def test_it_trusts_no_stale_sample(user: User, sampled_s_ago: float | None, sentence: str) -> None:
    make_gpu(sampled_at=sampled_s_ago and timezone.now() - timedelta(seconds=sampled_s_ago))
    on_gpu, on_cpu = waiting(user, gpus=1, cpus=0), waiting(user)
    assert placed_tasks() == [on_cpu.pk]
    on_gpu.refresh_from_db()
    assert sentence in on_gpu.waiting_reason


def test_it_places_work_without_gpus_on_a_node_whose_agent_is_yet_to_start(user: User) -> None:
    make_gpu(make_node("box", is_sampled=False))
    on_gpu, on_cpu = waiting(user, gpus=1, cpus=0), waiting(user)
    assert placed_tasks() == [on_cpu.pk]
    on_gpu.refresh_from_db()
    assert on_gpu.waiting_reason == "needs 1 GPU, node box has never reported: its agent is not running"


def test_it_places_nothing_on_a_node_that_fell_silent(user: User) -> None:
    """The older row comes first among nodes that fit, so a machine that is gone would get everything."""
    make_node("gone", agent_seen_at=timezone.now() - timedelta(seconds=11))
    task = waiting(user)
    assert schedule() == []
    task.refresh_from_db()
    assert task.waiting_reason.startswith("node gone has not been heard of since ")
    there = make_node("there")
    assert placed_tasks() == [task.pk]
    assert task.runs.get().node == there


def test_a_silent_node_does_not_change_the_sentence_with_every_pass(user: User) -> None:
    make_node("gone", agent_seen_at=timezone.now() - timedelta(seconds=11))
    task = waiting(user)
    schedule()
    said = Task.objects.get(pk=task.pk).waiting_reason
    Task.objects.update(waiting_reason=said)
    with CaptureQueriesContext(connection) as queries:
        schedule()
    assert not [query for query in queries if "UPDATE" in query["sql"]]


def test_memory_of_ours_without_a_lease_keeps_a_shared_run_out(user: User) -> None:
    """A process that outlives its run's lease."""
    gpu = make_gpu(memory_mib=1000, used_memory_mib=700)
    task = waiting(user, gpus=1, cpus=0, gpu_memory_mib=400, is_exclusive=False)
    assert schedule() == []
    task.refresh_from_db()
    assert "only 300 MiB free" in task.waiting_reason
    Gpu.objects.filter(pk=gpu.pk).update(used_memory_mib=64)
    assert placed_tasks() == [task.pk]


def test_the_little_memory_of_the_driver_keeps_nobody_out(user: User) -> None:
    make_gpu(memory_mib=1000, used_memory_mib=64)
    task = waiting(user, gpus=1, cpus=0, gpu_memory_mib=1000, is_exclusive=False)
    assert placed_tasks() == [task.pk]


def test_it_places_nothing_on_a_node_that_is_off(user: User) -> None:
    make_node("box", is_enabled=False)
    task = waiting(user)
    assert schedule() == []
    task.refresh_from_db()
    assert task.waiting_reason == "node box is switched off"


@pytest.mark.parametrize("status", ["starting", "running", "ending"])
def test_active_runs_hold_their_slots_and_memory(user: User, status: str) -> None:
    node = make_node("box", cpu_slots=2, memory_mib=100)
    make_run(node=node, status=status, cpus=1, memory_mib=60)
    slots, memory = waiting(user, cpus=2), waiting(user, cpus=1, memory_mib=50)
    assert schedule() == []
    slots.refresh_from_db()
    memory.refresh_from_db()
    assert slots.waiting_reason == "needs 2 CPU slots, 1 of 2 are free"
    assert memory.waiting_reason == "needs 50 MiB of memory, 40 of 100 are unreserved"


def test_ended_runs_and_released_leases_hold_nothing(user: User) -> None:
    node = make_node(cpu_slots=1)
    run = make_run(node=node, status="finished", cpus=1)
    make_lease(run, make_gpu(node), released_at=timezone.now())
    tasks = [waiting(user), waiting(user, gpus=1, cpus=0)]
    assert set(placed_tasks()) == {task.pk for task in tasks}


def test_runs_of_an_sdk_hold_nothing(user: User) -> None:
    node = make_node(cpu_slots=1)
    Run.objects.create(owner=user, node=node, status="running", cpus=1)
    task = waiting(user)
    assert placed_tasks() == [task.pk]


@pytest.mark.database
def test_repeats_run_in_parallel_as_far_as_they_fit(user: User) -> None:
    node = make_node("box", cpu_slots=2)
    task = waiting(user, repeat=3, pending_runs=3)
    assert placed_tasks() == [task.pk, task.pk]
    task.refresh_from_db()
    assert (task.status, task.pending_runs) == ("active", 1)
    assert task.waiting_reason == "needs 1 CPU slot, 0 of 2 are free"
    assert sorted(node.runs.values_list("attempt", flat=True)) == [1, 2]


def test_a_task_placed_in_part_keeps_its_sentence(user: User) -> None:
    node = make_node(cpu_slots=1)
    first = make_run(node=node, cpus=1)
    task = waiting(user, repeat=2, pending_runs=2)
    schedule()
    task.refresh_from_db()
    said = task.waiting_reason
    first.finish("finished", "ok", "")
    assert len(schedule()) == 1
    task.refresh_from_db()
    assert task.waiting_reason == said == "needs 1 CPU slot, 0 of 1 are free"


def test_it_respects_the_back_off(user: User) -> None:
    make_node()
    later = waiting(user, not_before=timezone.now() + timedelta(seconds=30), waiting_reason="retry 1 of 3")
    due = waiting(user, not_before=timezone.now() - timedelta(seconds=1))
    assert placed_tasks() == [due.pk]
    later.refresh_from_db()
    due.refresh_from_db()
    assert (later.waiting_reason, due.not_before) == ("retry 1 of 3", None)


@pytest.mark.parametrize("status", ["held", "completed", "failed", "stopped"])
def test_it_places_only_waiting_tasks(user: User, status: str) -> None:
    make_node()
    waiting(user, status=status)
    assert schedule() == []


def test_the_demonstration_meets_no_ceiling_and_makes_none(user: User) -> None:
    make_node(cpu_slots=1)
    demo = waiting(user, is_demo=True, cpus=0, age_s=9)
    assert placed_tasks() == [demo.pk]
    usual = waiting(user)
    assert placed_tasks() == [usual.pk]
    another = waiting(user, is_demo=True, cpus=1)
    assert placed_tasks() == [another.pk]


def test_it_keeps_to_the_pool(user: User) -> None:
    make_node()
    slow = make_node("slow")
    make_pool("slow", slow)
    task, stranger = waiting(user, pool="slow"), waiting(user, pool="gone")
    assert placed_tasks() == [task.pk]
    assert task.runs.get().node == slow
    stranger.refresh_from_db()
    assert stranger.waiting_reason == "no node of pool 'gone' is registered"


def test_it_keeps_to_the_single_gpus_of_a_pool(user: User) -> None:
    node = make_node("box")
    make_gpu(node)
    gpu = make_gpu(node)
    make_pool("fast", gpu)
    first, second = (waiting(user, pool="fast", gpus=1, cpus=0) for _ in range(2))
    assert placed_tasks() == [first.pk]
    assert first.runs.get().leases.get().gpu == gpu
    second.refresh_from_db()
    assert second.waiting_reason.startswith("needs 1 GPU, 0 of 1 free: GPU 1: held by run ")


def test_it_never_counts_a_gpu_that_the_driver_does_not_list(user: User) -> None:
    make_gpu(make_node("box"), is_present=False)
    task = waiting(user, gpus=1, cpus=0)
    schedule()
    task.refresh_from_db()
    assert task.waiting_reason == "needs 1 GPU, node box has 0"


def test_a_second_pass_writes_no_sentence_again(user: User) -> None:
    make_node(cpu_slots=1)
    line_up(user, 3, cpus=2)
    schedule()
    with CaptureQueriesContext(
        connection,
    ) as second:
        schedule()
    assert [query["sql"] for query in second if query["sql"].lstrip().startswith("UPDATE")] == []


@pytest.mark.database
def test_a_pass_over_a_thousand_tasks_is_as_many_queries_as_one_over_ten(user: User) -> None:
    make_gpu(make_node(cpu_slots=1))
    line_up(user, 10, gpus=2, cpus=0)
    with CaptureQueriesContext(connection) as over_ten:
        schedule()
    line_up(user, 990, gpus=2, cpus=0)
    with CaptureQueriesContext(connection) as over_thousand:
        schedule()
    most = 10 + (connection.vendor == "postgresql")  # there the lock is a query
    assert len(over_thousand) == len(over_ten) <= most
    assert not Task.objects.filter(waiting_reason="").exists()


def test_a_pass_with_nothing_to_place_only_looks(user: User, django_assert_max_num_queries: Any) -> None:
    make_gpu(make_node())
    with django_assert_max_num_queries(4):
        assert schedule() == []


@pytest.mark.parametrize("change", [{"status": "stopped", "pending_runs": 0}, {"status": "held"}, {"cpus": 2}])
def test_it_places_nothing_of_a_task_that_changed_after_it_was_read(user: User, change: dict[str, Any]) -> None:
    make_node()
    task = waiting(user)
    seen = read_waiting()
    Task.objects.filter(pk=task.pk).update(**change)
    assert Pass(facts_for(seen)).run(seen) == []
    assert not Run.objects.exists()


def test_it_says_nothing_of_a_task_that_was_held_after_it_was_read(user: User) -> None:
    task = waiting(user)
    seen = read_waiting()
    task.hold()
    Pass(facts_for(seen)).run(seen)
    task.refresh_from_db()
    assert task.waiting_reason == "held"


@pytest.mark.database
@pytest.mark.django_db(transaction=True)
def test_two_passes_at_once_place_nothing_twice() -> None:
    node = make_node(cpu_slots=3)
    gpu = make_gpu(node)
    user = make_user()
    for _ in range(5):
        waiting(user)
        waiting(user, gpus=1, cpus=0)
    first, second = together(schedule, schedule)
    assert len(first + second) == len(set(first + second)) == 4
    assert Run.objects.count() == 4
    assert gpu.leases.held().count() == 1


def test_a_pass_places_a_bounded_number_and_asks_for_the_next(user: User) -> None:
    make_node(cpu_slots=1000)
    line_up(user, 1, cpus=1, repeat=120, pending_runs=120)
    assert [len(schedule()) for _ in range(4)] == [50, 50, 20, 0]


def test_a_device_is_shared_by_a_bounded_number_of_runs(user: User) -> None:
    make_gpu(make_node(cpu_slots=1))
    line_up(user, 1, gpus=1, cpus=0, gpu_memory_mib=1, is_exclusive=False, repeat=60, pending_runs=60)
    assert len(schedule()) == 48
    assert "shared by 48 runs already" in Task.objects.get().waiting_reason
