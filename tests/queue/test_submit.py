"""Submit: committed, then placed in the same call, so the answer is the row after the pass."""

from typing import Any

import pytest
from django.contrib.auth.models import User

from tests.make import make_gpu, make_node, make_pool, make_run, make_task, make_user
from tests.together import together
from training.models import Event, Run, Task
from training.queue.forecast import dry_run
from training.queue.spec import TaskSpec
from training.queue.submit import submit

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("home")]


@pytest.fixture
def user() -> User:
    return make_user("ada")


def spec(**values: object) -> TaskSpec:
    return TaskSpec.clean({"command": ["true"], **values})


def test_a_task_that_fits_is_active_at_once(user: User) -> None:
    make_node()
    task = submit(spec(name="n", tags=["t"]), owner=user)
    assert (task.status, task.pending_runs, task.waiting_reason) == ("active", 0, "")
    assert (task.owner, task.name, task.tags, task.source) == (user, "n", ["t"], "native")
    assert Run.objects.get().task_id == task.pk


def test_a_task_that_does_not_fit_says_why_at_once(user: User) -> None:
    make_node("box")
    task = submit(spec(gpus=1), owner=user)
    assert (task.status, task.waiting_reason) == ("waiting", "needs 1 GPU, node box has 0")


def test_a_task_can_be_submitted_before_there_is_any_node(user: User) -> None:
    assert submit(spec(), owner=user).waiting_reason == "no node of pool 'default' is registered"


def test_a_held_task_is_not_placed(user: User) -> None:
    make_node()
    task = submit(spec(hold=True), owner=user)
    assert (task.status, task.waiting_reason) == ("held", "held")
    assert not Run.objects.exists()


def test_it_records_who_submitted_through_which_door(user: User) -> None:
    task = submit(spec(), owner=user, source="jobs")
    event = Event.objects.filter(task=task).earliest("pk")
    assert (event.reason, event.message, event.type) == ("Submitted", "submitted by ada through jobs", "Normal")


def test_it_asks_for_a_launch_of_each_run_once_committed(user: User, django_capture_on_commit_callbacks: Any) -> None:
    make_node()
    with django_capture_on_commit_callbacks() as asked:
        submit(spec(repeat=2), owner=user)
    assert len(asked) == 2


@pytest.mark.database
@pytest.mark.django_db(transaction=True)
def test_two_submissions_at_once_share_the_last_slot_in_turn(user: User) -> None:
    make_node(cpu_slots=1)
    tasks = together(lambda: submit(spec(), owner=user), lambda: submit(spec(), owner=user))
    assert Run.objects.count() == 1
    for task in tasks:
        task.refresh_from_db()
    assert sorted(task.status for task in tasks) == ["active", "waiting"]


def test_a_dry_run_says_where_it_would_start_and_writes_nothing(user: User) -> None:
    node = make_node("box")
    make_gpu(node)
    make_gpu(node)
    said = dry_run(spec(gpus=2), owner=user)
    assert said.pop("starts_at") is not None
    assert said == {"would_start": True, "node": "box", "gpus": [0, 1], "waiting_reason": "", "position": 1}
    assert (Task.objects.count(), Run.objects.count(), Event.objects.count()) == (0, 0, 0)


def test_a_dry_run_says_why_it_would_wait_and_behind_how_many(user: User) -> None:
    make_run(node=make_node(cpu_slots=1), cpus=1)
    for priority in (0, 1, -1):
        make_task(user, priority=priority)
    said = dry_run(spec(), owner=user)
    assert said["would_start"] is False
    assert (said["node"], said["gpus"], said["position"]) == (None, [], 3)
    assert said["waiting_reason"] == "needs 1 CPU slot, 0 of 1 are free"


def test_a_dry_run_of_a_held_task_would_not_start(user: User) -> None:
    make_node()
    said = dry_run(spec(hold=True), owner=user)
    assert (said["would_start"], said["waiting_reason"], said["position"]) == (False, "held", None)


@pytest.mark.parametrize(
    "values", [{}, {"gpus": 1}, {"gpus": 1, "gpu_memory_mib": 100}, {"cpus": 9}, {"pool": "empty"}, {"hold": True}]
)
def test_a_dry_run_and_the_submission_say_the_same(user: User, values: dict[str, object]) -> None:
    make_gpu(make_node())
    make_pool("empty")
    said = dry_run(spec(**values), owner=user)
    task = submit(spec(**values), owner=user)
    assert (said["would_start"], said["waiting_reason"]) == (task.status == "active", task.waiting_reason)
