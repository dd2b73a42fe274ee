"""PATCH /api/v1/tasks/{id} (N3)."""

import pytest
from django.test import Client

from tests.make import make_client, make_gpu, make_node, make_pool, make_task, make_user
from tests.together import together
from training.models import Run
from training.queue.scheduler import schedule

pytestmark = pytest.mark.django_db


def change(client: Client, pk: int, **body: object):
    return client.patch(f"/api/v1/tasks/{pk}", body, content_type="application/json")


@pytest.fixture
def task():
    return make_task(gpus=1, cpus=0)


@pytest.fixture
def client(task) -> Client:
    return make_client(task.owner)


def test_it_changes_resources_of_a_waiting_task(client, task):
    make_pool("big")
    said = change(client, task.pk, priority=9, gpu_memory_mib=100, pool="big").json()
    assert (said["priority"], said["gpu_memory_mib"], said["pool"]) == (9, 100, "big")


def test_it_starts_a_task_that_fits_after_the_change(client, task):
    make_node()
    assert change(client, task.pk, gpus=0, cpus=1).json()["status"] == "active"


@pytest.mark.parametrize("status", ["held", "waiting", "active", "completed", "failed", "stopped"])
def test_it_changes_name_and_tags_in_every_state(status):
    task = make_task(status=status, pending_runs=0)
    said = change(make_client(task.owner), task.pk, name="new", tags=["x", "x"]).json()
    assert (said["name"], said["tags"], said["status"]) == ("new", ["x"], status)


def test_it_leaves_what_is_not_named(client, task):
    before = change(client, task.pk).json()
    assert change(client, task.pk, name="new").json() == {**before, "name": "new"}


def test_it_ignores_fields_that_cannot_be_changed(client, task):
    said = change(client, task.pk, source="jobs", status="completed", owner="x").json()
    assert (said["source"], said["status"]) == ("native", "waiting")


def test_it_changes_what_is_run_while_it_waits(client, task):
    asked = {"command": "echo $A", "env": {"A": "b"}, "cwd": "/tmp", "config": {"lr": 1}, "time_limit_s": 9.0}
    said = change(client, task.pk, **asked, labels={"a": "b"}, description="d").json()
    assert {name: said[name] for name in asked} == asked
    assert (said["labels"], said["description"]) == ([{"key": "a", "value": "b"}], "d")


@pytest.mark.parametrize("field", ["command", "env", "cwd", "config", "project"])
def test_returns_409_when_what_is_run_is_changed_too_late(field):
    task = make_task(status="active", pending_runs=0)
    value = {} if field in ("env", "config") else "/tmp" if field == "cwd" else "x"
    assert change(make_client(task.owner), task.pk, **{field: value}).status_code == 409


@pytest.mark.database
@pytest.mark.django_db(transaction=True)
def test_a_change_and_a_placement_at_once_agree_on_what_is_run(home):
    """Whoever comes first: a task that was placed runs what it was submitted with, or what it was changed to."""
    task = make_task()
    client = make_client(task.owner)
    make_node()
    answer, placed = together(lambda: change(client, task.pk, command=["/bin/false"]), schedule)
    task.refresh_from_db()
    assert task.status == "active"
    assert Run.objects.count() == 1
    assert answer.status_code in (200, 409)
    assert task.command == (["/bin/false"] if answer.status_code == 200 else ["/bin/true"])


@pytest.mark.parametrize("status", ["active", "completed"])
def test_returns_409_when_resources_of_a_started_task_are_changed(status):
    task = make_task(status=status, pending_runs=0)
    answer = change(make_client(task.owner), task.pk, priority=1)
    assert answer.status_code == 409
    assert "priority" in answer.json()["detail"]


@pytest.mark.parametrize("body", [{"priority": 101}, {"gpus": "many"}, {"name": 1}, {"gpus": 0, "gpu_memory_mib": 5}])
def test_returns_422_when_a_value_is_refused(body, client, task):
    answer = change(client, task.pk, **body)
    assert answer.status_code == 422
    assert answer.json()["errors"].keys() & body.keys()
    task.refresh_from_db()
    assert (task.priority, task.gpus) == (0, 1)


def test_returns_403_when_the_task_is_somebody_elses(task):
    assert change(make_client(), task.pk, name="mine").status_code == 403


def test_it_lets_an_administrator_change_any_task(task):
    admin = make_client(make_user(is_admin=True), scope="admin")
    assert change(admin, task.pk, name="seen").json()["name"] == "seen"


def test_returns_404_when_unknown(client):
    assert change(client, 999, name="x").status_code == 404


def test_returns_401_without_a_key(task):
    assert change(Client(), task.pk, name="x").status_code == 401


def test_it_keeps_a_task_whole_when_several_resources_change(client, task):
    make_gpu(make_node(), memory_mib=4000)
    said = change(client, task.pk, gpu_memory_mib=1000, exclusive=False).json()
    assert (said["status"], said["exclusive"]) == ("active", False)
