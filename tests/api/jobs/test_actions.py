"""J4-J8 against the database alone."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from tests.logs import WrittenLog
from tests.make import make_client, make_process, make_run, make_task, make_user
from training.execution.settle import settle
from training.models import Event, Run, Task
from training.queue.spec import TaskSpec
from training.queue.submit import submit

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("home")]
UNKNOWN = "job-000000000000"


def url(task: Task, rest: str = "") -> str:
    return f"/api/jobs/{task.job_id}{rest}"


def test_a_stop_is_recorded_and_may_be_repeated(api, owner):
    run = make_run(make_task(owner, status="active", pending_runs=0))
    for _ in range(2):
        answer = api.post(url(run.task, "/stop"))
        assert answer.status_code == 200 and answer.json()["success"] is True and answer.json()["message"]
    run.refresh_from_db()
    assert run.status == "ending"
    waiting = make_task(owner)
    api.post(url(waiting, "/stop"))
    assert api.get(url(waiting)).json()["data"]["status"] == "ManualTermination"
    again = api.post(url(waiting, "/stop"))
    assert (again.status_code, again.json()["errorCode"]) == (409, "INVALID_STATE")


def test_a_live_job_is_stopped_and_deleted_and_comes_to_its_end_unseen(api, owner):
    run = make_run(make_task(owner, status="active", pending_runs=0))
    assert api.delete(url(run.task)).json()["success"] is True
    assert api.delete(url(run.task)).status_code == api.get(url(run.task)).status_code == 404
    assert api.generic("POST", "/api/jobs").json()["data"]["totalCount"] == 0
    run.refresh_from_db()
    assert run.status == "ending"
    settle(run, "stopped", "stopped", "stopped by a user")
    task = Task.objects.get(pk=run.task_id)
    assert (task.status, task.deleted_at is None) == ("stopped", False)
    assert Run.objects.visible().filter(pk=run.pk).exists()


def test_an_ended_job_is_deleted(api, owner):
    task = make_task(owner, status="failed")
    assert api.delete(url(task)).status_code == 200
    assert Event.objects.filter(task=task, reason="Deleted").count() == 1


@pytest.mark.parametrize(("method", "rest"), [("post", "/stop"), ("delete", ""), ("get", "/events"),
                                              ("get", "/pods/x/logs"), ("get", "/pods/x/webterminal")])  # fmt: skip
def test_unknown_jobs_other_owners_and_no_key(api, method, rest):
    answer = getattr(api, method)(f"/api/jobs/{UNKNOWN}{rest}")
    assert (answer.status_code, answer.json()["errorCode"]) == (404, "JOB_NOT_FOUND")
    assert getattr(Client(), method)(f"/api/jobs/{UNKNOWN}{rest}").json()["errorCode"] == "AUTH_FAILED"
    if method != "get" or "terminal" in rest:
        task = make_run(make_task(make_user(), status="active")).task
        assert getattr(api, method)(url(task, rest)).status_code == 403
        assert getattr(make_client(scope="read"), method)(url(task, rest)).status_code == 403


def events(api: Client, task: Task, **query: object) -> list[tuple[str, str]]:
    answer = api.get(url(task, "/events"), query)
    assert answer.status_code == 200, answer.content
    return [(event["type"], event["reason"]) for event in answer.json()["data"]["events"]]


def test_events_tell_the_life_of_a_job(api, owner):
    task = submit(TaskSpec.clean({"command": "true", "max_retries": 1}), owner=owner, source="jobs")
    assert events(api, task) == [("Normal", "Queued"), ("Warning", "FailedScheduling")]
    run = make_run(task, status="starting")
    Task.objects.filter(pk=task.pk).update(status="waiting")
    task.refresh_from_db()
    task.activate(run.pk, "box")
    run.claim_launch()
    run.mark_running(started_at=timezone.now())
    settle(run, "failed", "error", "exit code 1")
    found = events(api, task)
    assert found[:4] == [("Normal", "Queued"), ("Normal", "Scheduled"), ("Normal", "Creating"), ("Normal", "Started")]
    assert ("Warning", "Failed") in found and ("Warning", "BackOff") in found
    row = api.get(url(task, "/events")).json()["data"]["events"][3]
    assert set(row) == {"type", "reason", "message", "timestamp", "podName", "count"}
    assert row["podName"] == f"{task.job_id}-master-0" and row["count"] == 1


def test_a_process_that_is_lost_is_an_event(api, owner):
    run = make_run(make_task(owner, status="active", pending_runs=0))
    settle(run, "failed", "killed", "its supervisor was killed")
    assert ("Warning", "Lost") in events(api, run.task)
    stopped = make_run(make_task(owner, status="active", pending_runs=0))
    api.post(url(stopped.task, "/stop"))
    settle(stopped, "stopped", "stopped", "stopped by a user")
    assert events(api, stopped.task)[-2:] == [("Normal", "Killing"), ("Normal", "Stopped")]


def test_events_between_two_instants(api, owner):
    task = make_task(owner, status="completed")
    now = timezone.now().replace(microsecond=0)
    for minutes in (0, 10, 20):
        at = now - timedelta(minutes=minutes)
        Event.objects.create(task=task, reason="Submitted", message=str(minutes), created_at=at, last_at=at)
    start = (now - timedelta(minutes=10)).timestamp()
    iso = (now - timedelta(minutes=10)).isoformat()
    assert len(events(api, task, startTime=start)) == len(events(api, task, startTime=iso)) == 2
    assert len(events(api, task, endTime=iso)) == 2 and len(events(api, task, startTime=start, endTime=iso)) == 1
    for bad in ("yesterday", "-1", "1e99", "nan", "2026-13-01T00:00:00Z"):
        assert api.get(url(task, "/events"), {"startTime": bad}).json()["errorCode"] == "INVALID_PARAMETER"


@pytest.fixture
def run(owner):
    run = make_run(make_task(owner, status="active", ranks=2, pending_runs=0))
    for rank in range(2):
        make_process(run, rank=rank)
    return run


def test_the_log_of_each_pod(api, run):
    WrittenLog(run).write("one\n").write("two\n", "stderr").write("three")
    WrittenLog(run, 1).write("worker\n")
    logs = url(run.task, f"/pods/{run.task.job_id}-master-0/logs")
    assert api.get(logs).json() == {"success": True, "data": {"logs": "one\ntwo\nthree"}}
    assert api.get(logs, {"tailLines": 1}).json()["data"]["logs"] == "three"
    assert api.get(logs, {"maxLines": 2}).json()["data"]["logs"] == "two\nthree"
    assert api.get(logs, {"tailLines": 0}).json()["data"]["logs"] == ""
    assert api.get(logs, {"keywords": "tw"}).json()["data"]["logs"] == "two"
    worker = api.get(url(run.task, f"/pods/{run.task.job_id}-worker-0/logs"))
    assert worker.json()["data"]["logs"] == "worker"


@pytest.mark.parametrize("query", [{"tailLines": -1}, {"tailLines": 10_001}, {"follow": "maybe"}, {"keywords": "a\nb"}])
def test_the_log_refuses(api, run, query):
    answer = api.get(url(run.task, f"/pods/{run.task.job_id}-master-0/logs"), query)
    assert (answer.status_code, answer.json()["errorCode"]) == (400, "INVALID_PARAMETER")


@pytest.mark.parametrize("pod", ["x", "{}-worker-1", "{}-master-1", "job-aaaaaaaaaaaa-master-0"])
@pytest.mark.parametrize("rest", ["logs", "webterminal"])
def test_unknown_pods(api, run, pod, rest):
    answer = api.get(url(run.task, f"/pods/{pod.format(run.task.job_id)}/{rest}"))
    assert (answer.status_code, answer.json()["errorCode"]) == (404, "POD_NOT_FOUND")


def test_a_waiting_job_has_an_empty_log_and_no_terminal(api, owner):
    task = make_task(owner)
    assert api.get(url(task, f"/pods/{task.job_id}-master-0/logs")).json()["data"]["logs"] == ""
    refused = api.get(url(task, f"/pods/{task.job_id}-master-0/webterminal"))
    assert (refused.status_code, refused.json()["errorCode"]) == (409, "INVALID_STATE")


def test_the_url_of_a_terminal(api, run, settings):
    path = url(run.task, f"/pods/{run.task.job_id}-worker-0/webterminal")
    data = api.get(path, {"handshakeTimeoutSecond": 5, "pingTimeoutSecond": 30}).json()["data"]
    assert data["webTerminalUrl"] == data["WebTerminalUrl"] and data["webTerminalUrl"].startswith(
        "ws://testserver/webterminal/"
    )
    for bad in ({"handshakeTimeoutSecond": 4}, {"handshakeTimeoutSecond": 301}, {"pingTimeoutSecond": 29}):
        assert api.get(path, bad).status_code == 400
