"""One task, walked through all its states: at each every door shows the same truth in its own words."""

from collections.abc import Callable

import pytest
from django.test import Client
from django.utils import timezone

from tests.make import make_client, make_node, make_process, make_user
from training.execution.settle import settle
from training.models import DispatchLoop, Run, Task
from training.queue.scheduler import schedule

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("home")]


@pytest.fixture
def api() -> Client:
    return make_client(make_user("mei"))


@pytest.fixture
def task(api) -> Task:
    """Made by the FlowLine door while its loop is off."""
    make_node("box")
    DispatchLoop.toggle()
    body = {"name": "fit", "cmd": "python fit.py", "config_dict": {"lr": 0.1}}
    made = api.post("/api/task/create", body, content_type="application/json").json()["task_id"]
    return Task.objects.get(pk=made)


def seen(api: Client, task: Task) -> dict[str, object]:
    """The word of each door for the task and its newest run; None where it has no run yet."""
    native = api.get(f"/api/v1/tasks/{task.pk}").json()
    job = api.get(f"/api/jobs/{task.job_id}").json()["data"]
    listed = api.generic("POST", "/api/jobs").json()["data"]["jobs"]
    assert [it["status"] for it in listed] == [job["status"]]
    runs = api.get("/api/runs").json()
    newest = native["newest_run"]
    if newest is not None:
        assert [it["id"] for it in runs] == [newest["id"]] and runs[0]["name"] == "fit"
        assert api.get(f"/api/runs/{newest['id']}").json()["status"] == runs[0]["status"]
        assert api.get(f"/api/v2/experiments/{newest['id']}").json()["experiment"]["status"] == runs[0]["status"]
        assert [it["status"] for it in api.get("/api/v2/experiments").json()["experiments"]] == [runs[0]["status"]]
    return {
        "native": (native["status"], newest and newest["status"]),
        "flowline": api.get(f"/api/task/{task.pk}").json()["status"],
        "process": [it["status"] for it in api.get("/api/process").json().values()],
        "job": job["status"],
        "pod": job["pods"][0]["phase"],
        "runicorn": runs[0]["status"] if runs else None,
    }


def words(native: tuple[str, str | None], flowline: str, process: str | None, job: str, pod: str, runicorn: str | None):
    return {
        "native": native, "flowline": flowline, "process": [process] if process else [], "job": job, "pod": pod,
        "runicorn": runicorn,
    }  # fmt: skip


def placed(task: Task) -> Run:
    DispatchLoop.toggle()
    [run_id] = schedule()
    return Run.objects.get(pk=run_id)


def started(task: Task) -> Run:
    run = placed(task)
    run.claim_launch()
    run.processes.update(pid=4711, started_at=timezone.now())
    assert run.mark_running(started_at=timezone.now())
    return run


def ended(run: Run, status: str, exit_class: str, code: int | None) -> None:
    run.processes.update(ended_at=timezone.now(), exit_code=code, exit_signal=9 if exit_class == "killed" else None)
    assert settle(run, status, exit_class, "evidence", exit_code=code)


def test_it_waits(api, task):
    assert seen(api, task) == words(("waiting", None), "queued", None, "Pending", "Pending", None)
    reason = "the dispatch loop of FlowLine is off"
    assert api.get(f"/api/v1/tasks/{task.pk}").json()["waiting_reason"] == reason
    assert api.get(f"/api/jobs/{task.job_id}").json()["data"]["message"] == reason


def test_it_is_placed_and_starts(api, task):
    placed(task)
    assert seen(api, task) == words(("active", "starting"), "running", None, "Creating", "Pending", "running")


def test_it_runs(api, task):
    run = started(task)
    assert seen(api, task) == words(("active", "running"), "running", "running", "Running", "Running", "running")
    assert api.get("/api/process").json()["4711"]["task_id"] == task.pk
    assert api.get(f"/api/runs/{run.pk}").json()["pid"] == 4711


def test_it_is_being_stopped(api, task):
    started(task)
    assert api.post(f"/api/jobs/{task.job_id}/stop").status_code == 200
    assert seen(api, task) == words(("active", "ending"), "running", "killing", "Running", "Running", "running")


@pytest.mark.parametrize(
    ("end", "task_status", "job", "pod", "runicorn"),
    [
        (("finished", "ok", 0), "completed", "Completed", "Succeeded", "finished"),
        (("stopped", "stopped", None), "stopped", "ManualTermination", "Failed", "interrupted"),
        (("failed", "error", 3), "failed", "Failed", "Failed", "failed"),
        (("failed", "killed", None), "failed", "Failed", "Failed", "failed"),
    ],
)
def test_it_ends(api, task, end, task_status, job, pod, runicorn):
    Task.objects.filter(pk=task.pk).update(max_retries=0)
    run = started(task)
    if end[0] == "stopped":
        api.post(f"/api/v1/tasks/{task.pk}/stop")
    ended(run, *end)
    assert seen(api, task) == words((task_status, end[0]), task_status, task_status, job, pod, runicorn)


def test_between_two_retries_it_waits(api, task):
    run = started(task)
    ended(run, "failed", "error", 3)
    assert seen(api, task) == words(("waiting", "failed"), "queued", "failed", "Pending", "Failed", "failed")


DELETIONS: dict[str, Callable[[Client, Task], object]] = {
    "flowline": lambda api, task: api.delete(f"/api/task/{task.pk}"),
    "jobs": lambda api, task: api.delete(f"/api/jobs/{task.job_id}"),
    "native": lambda api, task: api.delete(f"/api/v1/tasks/{task.pk}"),
}


@pytest.mark.parametrize("door", DELETIONS)
def test_deleted_by_one_door_it_leaves_the_lists_of_all_but_its_run_stays(api, task, door):
    run = started(task)
    ended(run, "finished", "ok", 0)
    DELETIONS[door](api, task)
    assert api.get("/api/task/list").json()["tasks"] == [] and api.get("/api/process").json() == {}
    assert api.generic("POST", "/api/jobs").json()["data"]["totalCount"] == 0
    assert api.get(f"/api/v1/tasks/{task.pk}").status_code == api.get(f"/api/jobs/{task.job_id}").status_code == 404
    assert [it["id"] for it in api.get("/api/runs").json()] == [run.pk]


def test_an_event_of_it_is_told_by_every_door_that_has_events(api, task):
    make_process(started(task), rank=1)
    native = api.get("/api/v1/events", {"task": task.pk}).json()["results"]
    jobs = api.get(f"/api/jobs/{task.job_id}/events").json()["data"]["events"]
    assert {"Submitted", "Scheduled", "Started"} <= {event["reason"] for event in native}
    assert {"Queued", "Scheduled", "Creating", "Started"} <= {event["reason"] for event in jobs}
