"""J3."""

import json

import pytest
from django.test import Client

from gpus.models import Pool
from tests.make import make_client, make_gpu, make_node
from training.models import Queue, Task

pytestmark = pytest.mark.django_db
URL = "/api/jobs/create"
MINIMAL = {"jobName": "fit", "command": ["python", "fit.py"]}


def create(api: Client, **body: object):
    return api.post(URL, body, content_type="application/json")


def created(api: Client, **body: object) -> Task:
    answer = create(api, **body)
    assert answer.status_code == 200, answer.content
    task = Task.objects.latest("pk")
    assert answer.json()["success"] is True and answer.json()["message"]
    assert answer.json()["data"] == {"jobId": task.job_id, "jobName": task.name}
    return task


def test_the_fields_of_the_document(api, owner, tmp_path):
    make_gpu()
    make_gpu()
    Queue.objects.create(name="fast")
    task = created(
        api, **MINIMAL, queue="fast", envs=[{"name": "LR", "value": "0.1"}, {"name": "N", "value": 3}], replicas=2,
        gpuCount=1, priority="high", maxRetries=2, timeout=60, workingDir=str(tmp_path),
        labels=[{"key": "team", "value": "asr"}], description="why",
    )  # fmt: skip
    assert (task.owner, task.source, task.command) == (owner, "jobs", ["python", "fit.py"])
    assert (task.queue, task.env, task.ranks, task.gpus) == ("fast", {"LR": "0.1", "N": "3"}, 2, 2)
    assert (task.priority, task.max_retries, task.time_limit_s, task.grace_s) == (50, 2, 60, 30)
    assert (task.cwd, task.labels, task.description) == (str(tmp_path), [{"key": "team", "value": "asr"}], "why")
    assert task.status == "active"


def test_defaults(api):
    make_node()
    task = created(api, jobName="任务", command="echo $HOME", envs={"A": "b"}, image="", priority=None)
    assert (task.command, task.gpus, task.ranks, task.pool, task.queue) == ("echo $HOME", 0, 1, "default", "default")
    assert (task.priority, task.env, task.image) == (0, {"A": "b"}, "")
    make_gpu()
    assert created(api, **MINIMAL).gpus == 1


CONTAINER = {
    "name": "boxed", "queueName": "fast", "replicas": 2, "priority": "low", "maxRetries": 1, "timeout": 9,
    "description": "d", "labels": [{"key": "a", "value": "b"}],
    "container": {
        "image": "", "command": ["sh", "-c", "true"], "envs": [{"name": "A", "value": "b"}],
        "resources": {"gpu": {"count": 0}}, "volumes": [{"hostPath": "/data", "mountPath": "/data"}],
    },
}  # fmt: skip
SPEC = {
    "name": "specified", "queue": "fast", "jobType": "pytorch", "datasources": [{"id": 1}],
    "jobSpec": {
        "image": None, "command": "true", "envs": {"A": "b"}, "replicas": 2, "resources": [{"name": "gpu", "count": 0}],
    },
}  # fmt: skip


@pytest.mark.parametrize("is_text", [True, False])
@pytest.mark.parametrize("form", [CONTAINER, SPEC], ids=["container", "jobSpec"])
def test_both_shapes_of_the_client(api, form, is_text):
    make_node()
    Queue.objects.create(name="fast")
    task = created(api, taskParams=json.dumps(form) if is_text else form)
    assert (task.name, task.queue, task.ranks, task.gpus, task.env) == (form["name"], "fast", 2, 0, {"A": "b"})
    if form is CONTAINER:
        assert (task.command, task.priority, task.max_retries, task.time_limit_s) == (["sh", "-c", "true"], -50, 1, 9)
        assert task.job["mounts"] == {"volumes": form["container"]["volumes"]}
    else:
        assert (task.command, task.job["jobType"]) == ("true", "pytorch")
        assert task.job["mounts"] == {"datasources": [{"id": 1}]}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"command": "true"}, "jobName"), ({"jobName": "a"}, "command"), (MINIMAL | {"jobName": " "}, "jobName"),
        (MINIMAL | {"jobName": "n" * 129}, "jobName"), (MINIMAL | {"command": []}, "command"),
        (MINIMAL | {"command": [1]}, "command"), (MINIMAL | {"replicas": 9}, "replicas"),
        (MINIMAL | {"gpuCount": 5}, "gpuCount"), (MINIMAL | {"gpuCount": -1}, "gpuCount"),
        (MINIMAL | {"priority": "urgent"}, "priority"), (MINIMAL | {"maxRetries": 11}, "maxRetries"),
        (MINIMAL | {"timeout": 0}, "timeout"), (MINIMAL | {"workingDir": "here"}, "workingDir"),
        (MINIMAL | {"envs": [{"value": "x"}]}, "envs"), (MINIMAL | {"labels": "x"}, "labels"),
        (MINIMAL | {"queue": "nowhere"}, "queue: there"), (MINIMAL | {"resourcePoolId": "x"}, "resourcePoolId: there"),
        (MINIMAL | {"image": "torch:2"}, "JOB_IMAGES"), (MINIMAL | {"envs": {"MLSERVER_X": "1"}}, "MLSERVER_X"),
    ],
)  # fmt: skip
def test_it_refuses(api, body, said):
    make_gpu()
    answer = create(api, **body)
    assert answer.status_code == 400 and answer.json()["errorCode"] == "INVALID_PARAMETER"
    assert said in answer.json()["message"] and not Task.objects.exists()


def test_mounts_hide_no_other_field(api):
    task = created(api, **MINIMAL, mounts={"jobName": "another", "envs": [1], "volumes": ["/data"]})
    config = api.get(f"/api/jobs/{task.job_id}").json()["data"]["config"]
    assert (config["jobName"], config["envs"], config["volumes"]) == (task.name, [], ["/data"])


def test_a_number_of_gpus_that_is_none_is_refused(api):
    resources = [{"name": "gpu", "count": "9" * 5000}]
    refused = create(api, taskParams=SPEC | {"jobSpec": SPEC["jobSpec"] | {"resources": resources}})
    assert refused.status_code == 400 and "gpuCount" in refused.json()["message"]


@pytest.mark.parametrize("value", ["{", "[]", 7, '"x"', "[" * 100_000])
def test_unreadable_task_params_are_bad_json(api, value):
    answer = create(api, taskParams=value)
    assert (answer.status_code, answer.json()["errorCode"]) == (400, "INVALID_JSON")


def test_a_pool_has_its_own_gpus(api):
    gpu = make_gpu()
    make_gpu()
    pool = Pool.objects.create(name="small")
    pool.gpus.add(gpu)
    assert created(api, **MINIMAL, resourcePoolId="small").gpus == 1
    refused = create(api, **MINIMAL, resourcePoolId="small", gpuCount=2)
    assert "more than the 1 GPUs of pool small" in refused.json()["message"]


def test_an_image_is_a_python_environment_of_the_settings(api, settings, tmp_path):
    make_node()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to("/usr/bin/python3")
    settings.JOB_IMAGES = {"torch:2": str(tmp_path), "gone": "/nowhere", "boxed": "docker:pytorch"}
    assert created(api, **MINIMAL, image="torch:2").image == "torch:2"
    assert "is no Python environment" in create(api, **MINIMAL, image="gone").json()["message"]
    settings.JOB_IMAGES = {"*": str(tmp_path)}
    assert created(api, **MINIMAL, image="anything").image == "anything"


def test_it_needs_a_key_that_may_submit(api):
    assert create(Client(), **MINIMAL).json()["errorCode"] == "AUTH_FAILED"
    assert create(make_client(scope="read"), **MINIMAL).status_code == 403


def test_a_repeated_request_with_an_idempotency_key_makes_one_job(api):
    make_node()
    ids = {
        api.post(URL, MINIMAL, content_type="application/json", headers={"Idempotency-Key": "k"}).json()["data"][
            "jobId"
        ]
        for _ in range(2)
    }
    assert len(ids) == 1 and Task.objects.count() == 1
