"""F6, F13, F14, F16, F17."""

from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client
from django.utils import timezone

from tests.make import make_client, make_gpu, make_lease, make_process, make_run, make_task, make_user
from training.api.flowline.statuses import PROCESS, STATE, TASK
from training.models import RunStatus, Task, TaskStatus

pytestmark = pytest.mark.django_db
FIELDS = {
    "id", "task_id", "name", "status", "state", "run_num", "need_run_num", "cmd", "command", "working_dir",
    "config_dict", "dict", "user", "process_id", "pid", "gpu_id", "startTime", "runTime", "created_at", "updated_at",
}  # fmt: skip


def test_it_lists_every_task_the_oldest_first(api, owner):
    first = make_task(owner, name="first", command="python fit.py --lr 0.1", config={"lr": 0.1}, repeat=2)
    second = make_task(owner, source="jobs", command=["a", "b c"])
    tasks = api.get("/api/task/list").json()["tasks"]
    assert [task["id"] for task in tasks] == [first.pk, second.pk]
    assert set(tasks[0]) == FIELDS
    assert tasks[0] | {"created_at": 0, "updated_at": 0} == {
        "id": first.pk, "task_id": first.pk, "name": "first", "status": "queued", "state": "PENDING", "run_num": 0,
        "need_run_num": 2, "cmd": "python fit.py", "command": "python fit.py", "working_dir": None,
        "config_dict": {"lr": 0.1}, "dict": '{"lr":0.1}', "user": "mei", "process_id": None, "pid": None,
        "gpu_id": None, "startTime": None, "runTime": None, "created_at": 0, "updated_at": 0,
    }  # fmt: skip
    assert tasks[1]["cmd"] == "a 'b c'"


def test_it_shows_the_latest_process(api, owner):
    run = make_run(make_task(owner, status="active"))
    started_at = timezone.now() - timedelta(minutes=7, seconds=30)
    process = make_process(run, started_at=started_at)
    make_lease(run, make_gpu(index=3))
    row = api.get(f"/api/task/{run.task_id}").json()
    assert (row["status"], row["state"], row["pid"], row["gpu_id"]) == ("running", "RUNNING", process.pid, 3)
    assert (row["process_id"], row["runTime"]) == (process.pk - 1, "7 min")
    assert datetime.strptime(row["startTime"], "%Y-%m-%d %H:%M:%S")
    assert datetime.fromisoformat(row["created_at"]).tzinfo == UTC
    assert api.get(f"/api/task/detail/{run.task_id}").json() == row


@pytest.mark.parametrize("status", TaskStatus.values)
def test_every_status_has_a_word(api, owner, status):
    make_task(owner, status=status)
    row = api.get("/api/task/list").json()["tasks"][0]
    assert row["status"] == TASK[status] and row["state"] == STATE[TASK[status]]


def test_every_run_status_has_a_word():
    assert set(PROCESS) == set(RunStatus.values)


def test_it_asks_the_database_little(api, owner, django_assert_num_queries):
    for _ in range(3):
        make_process(run := make_run(make_task(owner, status="active")))
        make_lease(run)
    api.get("/api/task/list")  # the key's last use is noted once
    for path in ("/api/task/list", f"/api/task/{run.task_id}"):
        with django_assert_num_queries(3):  # the key, the tasks and the processes of their newest runs
            api.get(path)


@pytest.mark.parametrize("path", ["/api/task/{}", "/api/task/delete/{}"])
def test_it_removes_an_ended_and_a_waiting_task(api, owner, path):
    for task in (make_task(owner, status="completed"), make_task(owner)):
        assert api.delete(path.format(task.pk)).json() == {"success": True}
        assert Task.objects.get(pk=task.pk).deleted_at
        assert api.delete(path.format(task.pk)).status_code == 404
    assert api.get("/api/task/list").json() == {"tasks": []}


def test_it_does_not_remove_a_running_task_or_that_of_somebody_else(api, owner):
    running = make_run(make_task(owner, status="active")).task
    refused = api.delete(f"/api/task/{running.pk}")
    assert refused.status_code == 409 and refused.json()["success"] is False and "kill it" in refused.json()["error"]
    other = make_task(make_user(), status="failed")
    assert api.delete(f"/api/task/{other.pk}").status_code == 403
    assert not Task.objects.exclude(deleted_at=None).exists()


def test_a_removal_that_fails_stops_nothing(api, owner, monkeypatch):
    task = make_task(owner)
    monkeypatch.setattr(Task, "delete_softly", lambda task: False)
    assert api.delete(f"/api/task/{task.pk}").status_code == 409
    task.refresh_from_db()
    assert (task.status, task.stop_requested_at) == ("waiting", None)


def test_unknown_tasks_and_no_key(api):
    assert api.get("/api/task/77").json() == {"error": "Task not found"}
    for number in (77, 10**20):
        path = f"/api/task/{number}"
        assert api.get(path).status_code == api.delete(path).status_code == 404
    assert api.get("/api/task/list/").status_code == 404
    for path in ("/api/task/list", "/api/task/1"):
        assert Client().get(path).status_code == 401
    assert make_client(scope="read").get("/api/task/list").status_code == 200
