"""J1, J2."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.make import make_client, make_gpu, make_lease, make_node, make_process, make_run, make_task, make_user
from training.api.jobs.job_json import pod_name, rank_of
from training.api.jobs.statuses import JOB, job_status, pod_phase
from training.models import RunStatus, TaskStatus

pytestmark = [pytest.mark.django_db, pytest.mark.database]
URL = "/api/jobs"


def listed(api: Client, **body: object):
    answer = api.post(URL, body, content_type="application/json")
    assert answer.status_code == 200, answer.content
    return answer.json()["data"]


def names(api: Client, **body: object) -> list[str]:
    return [job["jobName"] for job in listed(api, **body)["jobs"]]


def test_an_absent_body_lists_everything_the_newest_first(api, owner):
    for name in ("first", "second"):
        make_task(owner, name=name)
    answer = api.generic("POST", URL)
    assert answer.status_code == 200 and answer.json()["success"] is True
    assert [job["jobName"] for job in answer.json()["data"]["jobs"]] == ["second", "first"]
    assert answer.json()["data"]["totalCount"] == 2


def test_an_item_has_the_names_of_document_and_client(api, owner):
    at = datetime(2026, 3, 7, 9, 15, 2, 999, tzinfo=UTC)
    task = make_task(owner, name="fit", labels=[{"key": "team", "value": "asr"}], description="why", created_at=at)
    assert listed(api)["jobs"] == [
        {
            "jobId": task.job_id, "jobName": "fit", "status": "Pending", "createdAt": "2026-03-07T09:15:02Z",
            "id": task.job_id, "name": "fit", "startedAt": "", "finishedAt": "", "resourcePoolId": "default",
            "queue": "default", "queueID": "default", "userId": "mei", "owner": "mei", "ownerName": "mei",
            "labels": [{"key": "team", "value": "asr"}], "jobType": "", "description": "why",
        }
    ]  # fmt: skip


def test_it_filters(api, owner):
    other = make_user("jo")
    make_task(owner, name="Fit one", queue="fast", status="completed")
    task = make_task(other, name="eval", pool="big", status="failed")
    make_run(make_task(owner, name="starting", status="active"), status="starting")
    make_run(make_task(owner, name="going", status="active"))
    make_task(owner, name="ended", status="stopped")
    assert names(api, keyword="fIT") == ["Fit one"]
    assert names(api, keyword=task.job_id[4:]) == ["eval"]
    assert names(api, keyword="fas", keywordType="queueName") == names(api, queue="fast") == ["Fit one"]
    assert names(api, owner="jo") == names(api, resourcePoolId="big") == ["eval"]
    assert names(api, status="completed") == ["Fit one"]
    assert names(api, status="Error") == names(api, status="FAILED") == ["eval"]
    assert names(api, status="Stopped") == names(api, status="ManualTermination") == ["ended"]
    assert names(api, status="Creating") == ["starting"] and names(api, status="Running") == ["going"]
    assert names(api, status="") == names(api)
    assert names(api, keyword="100%") == []


def test_filters_go_together_and_one_request_knows_nothing_of_another(api, owner):
    for name in ("50%", "50_", "50x"):
        for queue in ("fast", "slow"):
            make_run(make_task(owner, name=f"{name} {queue}", queue=queue, status="active", pool="big"))
    for name in ("50%", "50_", "50x"):
        body = {"keyword": name, "status": "running", "queue": "fast", "owner": owner.username, "resourcePoolId": "big"}
        assert names(api, **body) == [f"{name} fast"] and listed(api, **body)["totalCount"] == 1
        assert names(api, **body, pageNumber=2) == [] and names(api, **{**body, "owner": "x"}) == []
    assert names(api, keyword="\\") == names(api, keyword="'") == []
    assert names(api, keyword="slow", keywordType="queueName", order="asc") == ["50% slow", "50_ slow", "50x slow"]


def test_queue_and_pool_are_read_from_the_query_too(api, owner):
    make_task(owner, name="a", queue="fast", pool="big")
    make_task(owner, name="b")
    for query in ("queueID=fast", "queueId=fast", "resourcePoolId=big"):
        assert [job["name"] for job in api.generic("POST", f"{URL}?{query}").json()["data"]["jobs"]] == ["a"]


def test_it_pages_and_orders(api, owner):
    now = timezone.now()
    for number in range(12):
        make_task(owner, name=str(number), status="completed", ended_at=now - timedelta(seconds=number))
    make_task(owner, name="waiting")
    assert len(names(api)) == 10 and listed(api)["totalCount"] == 13
    assert names(api, pageNumber=2) == ["2", "1", "0"] and names(api, pageNumber=9) == []
    assert names(api, pageSize=2, order="asc") == ["0", "1"]
    assert names(api, pageSize=2, orderBy="finishedAt") == ["0", "1"]
    assert names(api, pageSize=13, orderBy="finishedAt")[-1] == "waiting"
    assert names(api, pageSize=2, orderBy="finishedAt", order="asc") == ["11", "10"]


@pytest.mark.parametrize(
    "body",
    [{"status": "gone"}, {"pageNumber": 0}, {"pageSize": 1001}, {"pageSize": "x"}, {"order": "up"}, {"keyword": 7},
     {"orderBy": "name"}, {"keywordType": "id"}],
)  # fmt: skip
def test_it_refuses(api, body):
    answer = api.post(URL, body, content_type="application/json")
    assert answer.status_code == 400
    assert answer.json()["success"] is False and answer.json()["errorCode"] == "INVALID_PARAMETER"
    assert next(iter(body)) in answer.json()["message"]


def test_bad_json_and_no_key(api):
    bad = api.post(URL, "{", content_type="application/json")
    assert (bad.status_code, bad.json()["errorCode"]) == (400, "INVALID_JSON")
    assert api.post(URL, "x", content_type="text/plain").json()["errorCode"] == "UNSUPPORTED_MEDIA_TYPE"
    refused = Client().generic("POST", URL)
    assert (refused.status_code, refused.json()["errorCode"]) == (401, "AUTH_FAILED")
    assert make_client(scope="read").generic("POST", URL).status_code == 200
    assert (
        Client(headers={"X-Auth-Token": "nonsense", "Authorization": "Bearer nonsense"})
        .generic("POST", URL)
        .status_code
        == 401
    )


def test_it_asks_the_database_little(api, owner, django_assert_num_queries):
    for _ in range(3):
        make_run(make_task(owner, status="active"))
    listed(api)
    with django_assert_num_queries(3):  # the key, the page and the count
        listed(api)


@pytest.mark.parametrize("body", [{}, {"status": "Completed"}, {"owner": "mei"}])
def test_a_page_far_away_is_found_in_an_index_alone(api, owner, body):
    make_task(owner, status="completed")
    with CaptureQueriesContext(connection) as asked:
        assert listed(api, **body, pageNumber=500) == {"jobs": [], "totalCount": 1}
    if connection.vendor == "sqlite":
        plans = [row[3] for it in asked for row in connection.cursor().execute(f"EXPLAIN QUERY PLAN {it['sql']}")]
        assert sum("COVERING INDEX task_by" in plan for plan in plans) == 2  # the keys of the page, and the total


def test_a_detail_has_request_pods_and_message(api, owner):
    task = make_task(
        owner, name="fit", command=["python", "fit.py"], env={"TOKEN": "secret"}, gpus=2, ranks=2, status="active",
        priority=50, max_retries=1, time_limit_s=60, image="torch", job={"mounts": {"volumes": [1]}, "jobType": "t"},
    )  # fmt: skip
    run = make_run(task, node=make_node("box"))
    make_process(run, rank=0)
    make_process(run, rank=1, ended_at=timezone.now(), exit_signal=9)
    for index in (0, 3):
        make_lease(run, make_gpu(run.node, index=index))
    data = api.get(f"{URL}/{task.job_id}?needDetail=true").json()["data"]
    assert (data["status"], data["jobType"]) == ("Running", "t")
    assert data["config"] == {
        "jobName": "fit", "command": ["python", "fit.py"], "image": "torch", "resourcePoolId": "default",
        "queue": "default", "envs": [{"name": "TOKEN", "value": "secret"}], "replicas": 2, "gpuCount": 1,
        "priority": "high", "maxRetries": 1, "timeout": 60, "workingDir": "", "labels": [], "description": "",
        "jobType": "t", "volumes": [1],
    }  # fmt: skip
    assert data["pods"] == [
        {"name": f"{task.job_id}-master-0", "podName": f"{task.job_id}-master-0", "status": "Running",
         "phase": "Running", "nodeName": "box", "gpuIds": [0], "exitCode": None},
        {"name": f"{task.job_id}-worker-0", "podName": f"{task.job_id}-worker-0", "status": "Failed",
         "phase": "Failed", "nodeName": "box", "gpuIds": [3], "exitCode": 137},
    ]  # fmt: skip
    assert make_client().get(f"{URL}/{task.job_id}").json()["data"]["config"]["envs"][0]["value"] is None


def test_a_waiting_job_shows_the_pods_it_will_have_and_why_it_waits(api, owner):
    task = make_task(owner, ranks=2, waiting_reason="no GPU is free")
    data = api.get(f"{URL}/{task.job_id}").json()["data"]
    assert [pod["phase"] for pod in data["pods"]] == ["Pending", "Pending"]
    assert data["message"] == "no GPU is free"


@pytest.mark.parametrize("job_id", ["job-000000000000", "x", "create", "job-", "1"])
def test_an_unknown_job_is_not_found(api, job_id):
    answer = api.get(f"{URL}/{job_id}")
    assert answer.status_code in (404, 405)
    if job_id != "create":
        assert answer.json()["errorCode"] == "JOB_NOT_FOUND"


def test_pod_names_and_ranks_are_one_to_one():
    job_id = "job-abcdefghijkl"
    for rank in range(12):
        assert rank_of(job_id, pod_name(job_id, rank)) == rank
    for name in ("", job_id, f"{job_id}-master-1", f"{job_id}-worker-01", f"{job_id}-worker-x", "job-x-master-0"):
        assert rank_of(job_id, name) is None


def test_every_status_has_a_word():
    assert set(JOB) == set(TaskStatus.values)
    assert job_status("active", "starting") == "Creating"
    words = {pod_phase(status, code) for status in [*RunStatus.values, None] for code in (0, 1, None)}
    assert words == {"Pending", "Running", "Succeeded", "Failed"}


@pytest.mark.parametrize(("time_limit_s", "shown"), [(None, "null"), (60.0, "60"), (0.5, "1")])
def test_a_time_limit_is_whole_seconds(api, owner, time_limit_s, shown):
    task = make_task(owner, time_limit_s=time_limit_s)
    assert f'"timeout":{shown},' in api.get(f"{URL}/{task.job_id}").content.decode()
