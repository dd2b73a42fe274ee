"""What a user does to a task after submitting it, in every status it may be in."""

from typing import Any

import pytest
from django.utils import timezone

from mlserver.errors import Conflict, Invalid
from tests.make import make_gpu, make_lease, make_node, make_run, make_session, make_task
from tests.together import together
from training.models import Event, Run, Task
from training.queue.control import change_task, delete_task, hold_task, release_task, retry_task, stop_task

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("home")]

STATES = ("held", "waiting", "active", "stopping", "completed", "failed", "stopped", "deleted")
ALLOWED = {
    stop_task: {"held", "waiting", "active"},
    hold_task: {"waiting"},
    release_task: {"held"},
    retry_task: {"completed", "failed", "stopped"},
    delete_task: {"completed", "failed", "stopped"},
}


def task_in(state: str, **fields: Any) -> Task:
    """A task in one of STATES; active ones have a run under way."""
    now = timezone.now()
    if state in ("active", "stopping"):
        fields |= {"pending_runs": 0, "started_at": now}
    if state == "stopping":
        fields["stop_requested_at"] = now
    if state == "deleted":
        fields["deleted_at"] = now
    status = {"stopping": "active", "deleted": "completed"}.get(state, state)
    task = make_task(status=status, **fields)
    if status == "active":
        make_run(task, status="ending" if state == "stopping" else "running")
    return task


@pytest.mark.parametrize(
    ("act", "state"),
    [(act, state) for act, allowed in ALLOWED.items() for state in STATES if state not in allowed],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_it_is_a_conflict_in_a_wrong_state_and_changes_nothing(act: Any, state: str) -> None:
    task = task_in(state)
    before = Task.objects.filter(pk=task.pk).values().get()
    with pytest.raises(Conflict, match=f"task {task.pk} is {state}: "):
        act(task)
    assert Task.objects.filter(pk=task.pk).values().get() == before
    assert not Event.objects.exists()


@pytest.mark.parametrize("act", [retry_task, delete_task, stop_task])
def test_a_task_that_was_stopped_and_deleted_does_not_come_back(act: Any) -> None:
    now = timezone.now()
    task = make_task(status="stopped", stop_requested_at=now, deleted_at=now, pending_runs=0)
    with pytest.raises(Conflict, match=f"task {task.pk} is deleted: "):
        act(task)
    task.refresh_from_db()
    assert (task.status, task.pending_runs, task.deleted_at) == ("stopped", 0, now)


@pytest.mark.parametrize("state", ["held", "waiting"])
def test_stop_ends_a_task_without_runs_at_once(state: str) -> None:
    task = stop_task(task_in(state), "stopped by ada")
    assert (task.status, task.pending_runs) == ("stopped", 0)
    assert task.ended_at is not None
    assert Event.objects.get(task=task).message == "stopped by ada"


def test_stop_ends_a_task_that_backs_off() -> None:
    task = task_in("waiting", not_before=timezone.now(), waiting_reason="retry 1 of 2")
    assert stop_task(task).status == "stopped"
    assert not Task.objects.placeable().exists()


@pytest.mark.database
def test_stop_tells_every_active_run_and_places_no_more(django_capture_on_commit_callbacks: Any) -> None:
    make_node()
    task = task_in("active")
    Task.objects.filter(pk=task.pk).update(pending_runs=5)
    make_run(task, status="starting")
    make_run(task, status="finished")
    with django_capture_on_commit_callbacks() as asked:
        task = stop_task(task, "stopped by ada")
    assert (task.status, task.pending_runs) == ("active", 0)
    assert task.stop_requested_at is not None
    assert sorted(task.runs.values_list("status", flat=True)) == ["ending", "ending", "finished"]
    assert len(asked) == 2


def test_stopping_twice_is_a_conflict_that_says_stopping() -> None:
    task = task_in("active")
    stop_task(task)
    with pytest.raises(Conflict, match="is stopping"):
        stop_task(task)


def test_stopping_a_task_that_was_stopped_since_it_was_read_is_a_conflict() -> None:
    task = task_in("active")
    stop_task(Task.objects.get(pk=task.pk))
    assert task.stop_requested_at is None
    with pytest.raises(Conflict):
        stop_task(task)


@pytest.mark.database
@pytest.mark.django_db(transaction=True)
def test_of_two_stops_at_once_one_is_a_conflict() -> None:
    task = task_in("active")

    def stop() -> str:
        try:
            return stop_task(Task.objects.get(pk=task.pk)).status
        except Conflict:
            return "conflict"

    assert sorted(together(stop, stop)) == ["active", "conflict"]
    assert Event.objects.filter(task=task, run=None, reason="Stopping").count() == 1


def test_hold_keeps_a_task_from_being_placed() -> None:
    assert hold_task(task_in("waiting")).waiting_reason == "held"
    make_node()
    assert not Task.objects.placeable().exists()


def test_release_places_what_fits() -> None:
    make_node()
    assert release_task(task_in("held")).status == "active"


def test_release_goes_to_the_end_of_the_line() -> None:
    first, second = task_in("held"), task_in("waiting")
    release_task(first)
    assert [task.pk for task in Task.objects.placeable()] == [second.pk, first.pk]


@pytest.mark.parametrize("state", ["completed", "failed", "stopped"])
def test_retry_runs_an_ended_task_once_more(state: str) -> None:
    make_node()
    task = task_in(state, repeat=5, pending_runs=0, retries_used=3, runs_failed=2, stop_requested_at=timezone.now())
    task = retry_task(task)
    assert (task.status, task.pending_runs, task.retries_used, task.runs_failed) == ("active", 0, 0, 0)
    assert (task.stop_requested_at, task.ended_at) == (None, None)
    assert Run.objects.filter(task=task).active().count() == 1


@pytest.mark.database
@pytest.mark.django_db(transaction=True)
def test_of_two_retries_at_once_one_is_a_conflict() -> None:
    make_node()
    task = task_in("failed", pending_runs=0)

    def retry() -> str:
        try:
            return retry_task(Task.objects.get(pk=task.pk)).status
        except Conflict:
            return "conflict"

    assert sorted(together(retry, retry)) == ["active", "conflict"]
    assert Run.objects.count() == 1


def test_delete_hides_the_task_and_keeps_its_runs_and_events() -> None:
    task = task_in("completed")
    run = make_run(task, status="finished")
    delete_task(task)
    assert not Task.objects.visible().exists()
    assert Run.objects.visible().get() == run
    assert Event.objects.get(task=task).reason == "Deleted"


@pytest.mark.parametrize("state", ["held", "waiting", "active", "completed"])
def test_name_and_tags_change_at_any_time(state: str) -> None:
    task = change_task(task_in(state), {"name": "better", "tags": ["a"]})
    assert (task.name, task.tags) == ("better", ["a"])


@pytest.mark.parametrize("state", ["active", "stopping", "completed", "failed", "stopped"])
def test_resources_do_not_change_once_it_is_active(state: str) -> None:
    task = task_in(state)
    with pytest.raises(Conflict, match="gpus, priority can be changed only before it is active"):
        change_task(task, {"priority": 3, "gpus": 2, "name": "no"})
    task.refresh_from_db()
    assert (task.priority, task.gpus, task.name) == (0, 0, "work")


def test_a_change_may_let_a_task_start() -> None:
    make_node(cpu_slots=1)
    task = task_in("waiting", cpus=4)
    assert change_task(task, {"cpus": 1}).status == "active"


def test_a_change_of_a_held_task_does_not_release_it() -> None:
    make_node()
    assert change_task(task_in("held"), {"priority": 9}).status == "held"


def test_a_change_of_priority_changes_the_order() -> None:
    first, second = task_in("waiting"), task_in("waiting")
    change_task(second, {"priority": 1})
    assert [task.pk for task in Task.objects.placeable()] == [second.pk, first.pk]


def test_a_change_keeps_what_it_does_not_name() -> None:
    task = task_in("held", gpus=2, cpus=3, gpu_memory_mib=100, is_exclusive=False, time_limit_s=9, pool="fast")
    change_task(task, {"gpus": 1})
    task.refresh_from_db()
    assert (task.gpus, task.cpus, task.gpu_memory_mib, task.is_exclusive) == (1, 3, 100, False)
    assert (task.time_limit_s, task.pool, task.command) == (9, "fast", ["/bin/true"])


def test_a_change_to_gpus_is_exclusive_unless_it_names_memory() -> None:
    assert change_task(task_in("held"), {"gpus": 1}).is_exclusive is True
    assert change_task(task_in("held"), {"gpus": 1, "gpu_memory_mib": 100}).is_exclusive is False
    assert change_task(task_in("held", gpus=1), {"gpu_memory_mib": 100, "exclusive": False}).is_exclusive is False


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"priority": 101}, "priority"),
        ({"gpu_memory_mib": 100}, "gpu_memory_mib"),
        ({"cpus": 0}, "cpus"),
        ({"tags": "x"}, "tags"),
    ],
)
def test_a_wrong_change_names_its_field_and_changes_nothing(data: dict[str, object], field: str) -> None:
    task = task_in("held")
    with pytest.raises(Invalid) as refused:
        change_task(task, {"name": "no", **data})
    assert list(refused.value.errors) == [field]
    task.refresh_from_db()
    assert task.name == "work"


def test_a_change_ignores_what_cannot_change() -> None:
    task = change_task(task_in("held"), {"status": "active", "owner": 1, "repeat": 7, "source": "jobs"})
    assert (task.status, task.repeat, task.source) == ("held", 1, "native")


def test_stopping_frees_nothing_before_the_run_has_ended() -> None:
    task = task_in("active")
    lease = make_lease(task.runs.get(), make_gpu())
    stop_task(task)
    lease.refresh_from_db()
    assert lease.released_at is None


def test_a_session_keeps_the_gpus_and_ranks_its_trainer_can_use() -> None:
    task = make_session().task
    for change in ({"ranks": 3}, {"gpus": 2, "priority": 5}):
        with pytest.raises(Conflict, match="is a training session"):
            change_task(task, change)
    assert change_task(task, {"priority": 5}).priority == 5
