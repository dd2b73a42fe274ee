"""POST /api/v1/tasks (N1)."""

import re

import pytest
from django.test import Client
from django.utils import timezone

from tests.make import (
    make_client,
    make_gpu,
    make_lease,
    make_node,
    make_pool,
    make_queue,
    make_run,
    make_task,
    make_user,
)
from tests.together import together
from training.models import Event, Run, Task

pytestmark = pytest.mark.django_db

FULL = {
    "command": ["python", "train.py", "--lr", "0.1"],
    "name": "first",
    "project": "digits",
    "cwd": "/tmp",
    "env": {"SEED": "1"},
    "config": {"lr": 0.1},
    "gpus": 1,
    "gpu_memory_mib": 1000,
    "exclusive": False,
    "cpus": 2,
    "memory_mib": 512,
    "priority": 5,
    "repeat": 2,
    "max_retries": 3,
    "backoff_s": 1.5,
    "time_limit_s": 60.0,
    "grace_s": 3.0,
    "pool": "default",
    "queue": "night",
    "tags": ["a", "b"],
    "labels": [{"key": "team", "value": "vision"}],
    "description": "the first one",
}


@pytest.fixture
def client() -> Client:
    return make_client()


def submit(client: Client, query: str = "", **body: object):
    return client.post(f"/api/v1/tasks{query}", body, content_type="application/json")


def test_it_answers_the_task_and_where_it_is(client):
    make_node()
    answer = submit(client, command=["/bin/true"])
    task = Task.objects.get()

    assert answer.status_code == 201
    assert answer["Location"] == f"/api/v1/tasks/{task.pk}"
    assert answer.json() == client.get(answer["Location"]).json()


def test_it_places_in_the_same_request(client):
    make_gpu(make_node("box"), index=3)
    said = submit(client, command="train", gpus=1).json()
    run = Run.objects.get()

    assert (said["status"], said["waiting_reason"], said["position"]) == ("active", "", None)
    assert (said["newest_run"]["id"], said["newest_run"]["node"]) == (run.pk, "box")
    assert [gpu["index"] for gpu in said["newest_run"]["gpus"]] == [3]


def test_it_says_why_a_task_waits(client):
    make_node()
    make_task()  # ahead of it
    said = submit(client, command="train", gpus=1).json()

    assert (said["status"], said["newest_run"]) == ("waiting", None)
    assert "needs 1 GPU" in said["waiting_reason"]


def test_it_keeps_every_field(client):
    make_queue("night")
    said = submit(client, **FULL).json()
    assert {name: said[name] for name in FULL} == FULL


def test_it_records_who_submitted_through_which_door():
    owner = make_user("ada")
    said = submit(make_client(owner), command="x").json()

    assert (said["owner"], said["source"]) == ("ada", "native")
    assert Event.objects.get(reason="Submitted").message == "submitted by ada through native"


@pytest.mark.parametrize(("gpus", "statements"), [(0, 20), (1, 24)])
def test_it_costs_few_statements_to_place_one(gpus, statements, client, django_assert_num_queries):
    make_gpu(make_node())
    client.get("/api/v1/tasks")  # the first use of a key is recorded, the next within the minute is not
    with django_assert_num_queries(statements):
        assert submit(client, command="x", gpus=gpus).json()["status"] == "active"


def test_it_holds_on_request(client):
    make_node()
    said = submit(client, command="x", hold=True).json()
    assert (said["status"], said["waiting_reason"], said["position"]) == ("held", "held", None)


def test_it_names_the_pools_and_queues_there_are(client):
    make_pool("fast")
    make_queue("night")
    said = submit(client, command="x", pool="slow").json()["errors"]
    assert said == {"pool": ['there is no pool "slow"; there are: default, fast']}
    said = submit(client, command="x", queue="day").json()["errors"]
    assert said == {"queue": ['there is no queue "day"; there are: default, night']}


def test_it_takes_labels_as_an_object_too(client):
    said = submit(client, command="x", labels={"team": "vision", "b": ""}).json()
    assert said["labels"] == [{"key": "team", "value": "vision"}, {"key": "b", "value": ""}]


def test_it_gives_each_task_a_public_name(client):
    one, other = (submit(client, command="x").json()["job_id"] for _ in range(2))
    assert one != other
    assert re.fullmatch("job-[a-z0-9]{12}", one)


def test_it_ignores_unknown_fields(client):
    assert submit(client, command="x", comand="y").status_code == 201


def test_it_answers_where_a_task_would_start_and_writes_nothing(client):
    make_gpu(make_node("box"))
    answer = submit(client, "?dry_run=1", command="x", gpus=1)

    assert answer.status_code == 200
    said = answer.json()
    assert said.pop("starts_at") is not None
    assert said == {
        "would_start": True, "node": "box", "gpus": [0], "waiting_reason": "", "position": 1,
    }  # fmt: skip
    assert not Task.objects.exists()


def test_it_answers_why_a_task_would_wait(client):
    make_node()
    make_task(gpus=1)
    said = submit(client, "?dry_run=true", command="x", gpus=1).json()
    assert (said["would_start"], said["node"], said["gpus"], said["position"]) == (False, None, [], 2)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("command", None),
        ("command", []),
        ("command", ["a", 1]),
        ("command", ""),
        ("name", "n" * 256),
        ("depends_on", 1),
        ("depends_on", ["1"]),
        ("depends_on", [99]),
        ("depends_on", [{"task": 1, "condition": "maybe"}]),
        ("array", 0),
        ("array", 1001),
        ("array", []),
        ("array", [1]),
        ("array", [{"a b": 1}]),
        ("array", [{"a": [1]}]),
        ("array", [{"lr": 1}]),
        ("project", "../x"),
        ("cwd", "relative"),
        ("env", {"A=B": "c"}),
        ("env", {"A": 1}),
        ("config", []),
        ("gpus", -1),
        ("gpus", "1"),
        ("gpus", True),
        ("gpus", 1.5),
        ("gpu_memory_mib", 0),
        ("exclusive", "yes"),
        ("cpus", -1),
        ("priority", 101),
        ("priority", -101),
        ("repeat", 0),
        ("max_retries", -1),
        ("backoff_s", -1),
        ("time_limit_s", 0),
        ("grace_s", 1e9),
        ("pool", ""),
        ("pool", "nowhere"),
        ("queue", "nowhen"),
        ("labels", "a=b"),
        ("labels", [{"key": "a"}]),
        ("labels", [{"key": [], "value": "b"}]),
        ("labels", {"a": 1}),
        ("labels", [{"key": "a", "value": "b"}, {"key": "a", "value": "c"}]),
        ("description", 7),
        ("tags", "a"),
        ("tags", [1]),
        ("hold", 1),
    ],
)
def test_returns_422_and_names_the_field_when_refused(field, value, client):
    answer = submit(client, **{"command": "x", field: value})

    assert answer.status_code == 422
    assert list(answer.json()["errors"]) == [field]
    assert field in answer.json()["detail"]
    assert not Task.objects.exists()


def test_returns_422_for_every_bad_field_at_once(client):
    errors = submit(client, command="x", gpus=-1, priority=500, tags=3).json()["errors"]
    assert sorted(errors) == ["gpus", "priority", "tags"]
    assert "500" in errors["priority"][0]


def test_returns_422_when_there_is_no_command(client):
    assert "required" in submit(client).json()["errors"]["command"][0]


def test_returns_400_when_the_body_is_not_json(client):
    assert client.post("/api/v1/tasks", "{", content_type="application/json").status_code == 400


def test_returns_415_when_the_body_is_a_form(client):
    assert client.post("/api/v1/tasks", {"command": "x"}).status_code == 415


def test_returns_401_without_a_key():
    assert submit(Client(), command="x").status_code == 401


def test_returns_403_when_the_key_only_reads():
    assert submit(make_client(scope="read"), command="x").status_code == 403


def test_it_answers_a_repetition_with_the_first_task(client):
    again = [
        client.post(
            "/api/v1/tasks", {"command": "x"}, content_type="application/json", headers={"Idempotency-Key": "one"}
        )
        for _ in range(2)
    ]
    assert [answer.status_code for answer in again] == [201, 201]
    assert again[0].json()["id"] == again[1].json()["id"]
    assert again[1]["Location"] == again[0]["Location"]
    assert Task.objects.count() == 1


def test_returns_422_when_the_key_of_another_body_is_used(client):
    headers = {"Idempotency-Key": "one"}
    client.post("/api/v1/tasks", {"command": "x"}, content_type="application/json", headers=headers)
    other = client.post("/api/v1/tasks", {"command": "y"}, content_type="application/json", headers=headers)
    assert other.status_code == 422


@pytest.mark.django_db(transaction=True)
def test_it_makes_one_task_of_two_equal_requests_at_once():
    client, headers = make_client(), {"Idempotency-Key": "one"}

    def post():
        return client.post("/api/v1/tasks", {"command": "x"}, content_type="application/json", headers=headers)

    one, other = together(post, post)
    assert one.json()["id"] == other.json()["id"]
    assert Task.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_it_never_gives_one_gpu_to_two_tasks_at_once():
    client = make_client()
    make_gpu(make_node())
    one, other = together(*[lambda: submit(client, command="x", gpus=1)] * 2)

    assert sorted((one.json()["status"], other.json()["status"])) == ["active", "waiting"]
    assert Run.objects.count() == 1


def test_it_places_on_a_gpu_whose_lease_has_ended(client):
    make_lease(make_run(status="finished"), make_gpu(make_node()), released_at=timezone.now())
    assert submit(client, command="x", gpus=1).json()["status"] == "active"
