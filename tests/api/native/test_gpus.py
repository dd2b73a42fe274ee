"""GET /api/v1/gpus, GET and PATCH /api/v1/gpus/{id} (N13)."""

import json

import pytest
from django.test import Client
from django.utils import timezone
from django_q.models import OrmQ

from gpus.models import Gpu
from tests.make import make_client, make_gpu, make_node

pytestmark = pytest.mark.django_db


@pytest.fixture
def reader():
    return make_client(scope="read")


@pytest.fixture
def admin():
    return make_client(scope="admin")


def switch(client: Client, pk: int, body):
    return client.patch(f"/api/v1/gpus/{pk}", body, content_type="application/json")


def test_it_shows_a_gpu_with_its_sample(reader):
    now = timezone.now()
    node = make_node("box", agent_seen_at=now)
    gpu = make_gpu(node, index=3, uuid="GPU-a", sampled_at=now, used_memory_mib=123, power_w=210.5)

    assert reader.get(f"/api/v1/gpus/{gpu.pk}").json() == {
        "id": gpu.pk,
        "node": "box",
        "index": 3,
        "uuid": "GPU-a",
        "name": "Test GPU",
        "memory_mib": 24576,
        "enabled": True,
        "present": True,
        "simulated": False,
        "quarantine": None,
        "sample": {
            "at": now.isoformat().replace("+00:00", "Z"),
            "used_memory_mib": 123,
            "foreign_memory_mib": 0,
            "foreign_process_count": 0,
            "utilization_percent": None,
            "temperature_c": None,
            "power_w": 210.5,
        },
        "is_schedulable": True,
        "reason": "",
    }


def test_it_says_why_a_gpu_takes_no_work(reader):
    gpu = make_gpu()
    gpu.quarantine("process 4711 would not go")
    shown = reader.get(f"/api/v1/gpus/{gpu.pk}").json()

    assert shown["quarantine"]["reason"] == "process 4711 would not go"
    assert shown["quarantine"]["at"].endswith("Z")
    assert not shown["is_schedulable"] and shown["reason"] == "quarantined: process 4711 would not go"


def test_it_lists_gpus_in_two_queries_however_many(reader, django_assert_num_queries):
    for _ in range(3):
        make_gpu()
    reader.get("/api/v1/gpus")  # the first use of a key is recorded, the next within the minute is not
    with django_assert_num_queries(2):  # the key, the page
        listed = reader.get("/api/v1/gpus").json()

    assert [gpu["index"] for gpu in listed["results"]] == [0, 1, 2]
    assert (listed["next"], listed["previous"]) == (None, None)


def test_it_pages(reader):
    made = [make_gpu().pk for _ in range(3)]
    first = reader.get("/api/v1/gpus", {"page_size": 2, "count": 1}).json()
    second = reader.get(first["next"]).json()

    assert [gpu["id"] for gpu in first["results"] + second["results"]] == made
    assert first["count"] == 3 and second["next"] is None


@pytest.mark.parametrize(
    ("query", "indexes"),
    [
        ({"node": "other"}, [9]),
        ({"enabled": "false"}, [1]),
        ({"present": "0"}, [2]),
        ({"quarantined": "true"}, [3]),
        ({"quarantined": "false", "enabled": "true", "present": "true", "node": "box"}, [0]),
        ({"ordering": "-index"}, [9, 3, 2, 1, 0]),
        ({"ordering": "used_memory_mib", "node": "box"}, [1, 2, 3, 0]),
    ],
)
def test_it_filters_and_orders(reader, query, indexes):
    box = make_node("box")
    make_gpu(box, used_memory_mib=None)
    make_gpu(box, is_enabled=False)
    make_gpu(box, is_present=False)
    make_gpu(box, quarantined_at=timezone.now())
    make_gpu(make_node("other"), index=9)

    assert [gpu["index"] for gpu in reader.get("/api/v1/gpus", query).json()["results"]] == indexes


@pytest.mark.parametrize("query", [{"enabled": "maybe"}, {"page_size": "0"}, {"ordering": "uuid"}, {"cursor": "x"}])
def test_returns_422_when_the_query_is_bad(reader, query):
    answer = reader.get("/api/v1/gpus", query)

    assert answer.status_code == 422
    assert list(answer.json()["errors"]) == list(query)


def test_it_switches_a_gpu_off_and_on_and_asks_for_a_pass(admin, django_capture_on_commit_callbacks):
    gpu = make_gpu()
    with django_capture_on_commit_callbacks(execute=True):
        off = switch(admin, gpu.pk, {"enabled": False})
    assert off.status_code == 200
    assert off.json()["enabled"] is False and off.json()["reason"] == "switched off by an administrator"
    assert [message.task["func"] for message in OrmQ.objects.all()] == ["training.queue.tasks.schedule"]

    assert switch(admin, gpu.pk, {"enabled": True}).json()["is_schedulable"] is True
    assert Gpu.objects.get().is_enabled


def test_it_asks_for_no_pass_when_nothing_changes(admin, django_capture_on_commit_callbacks):
    gpu = make_gpu()
    with django_capture_on_commit_callbacks() as passes:
        answer = switch(admin, gpu.pk, {"enabled": True, "unknown": 1})

    assert answer.status_code == 200 and passes == []


@pytest.mark.parametrize("bad", ["yes", "true", 1, 0, None, []])
def test_returns_422_when_the_switch_is_neither_true_nor_false(admin, bad):
    gpu = make_gpu()
    answer = switch(admin, gpu.pk, {"enabled": bad})

    assert answer.status_code == 422
    assert answer.json()["errors"] == {"enabled": [f"{json.dumps(bad)} must be true or false"]}
    assert Gpu.objects.get().is_enabled


def test_returns_422_when_the_switch_is_missing(admin):
    answer = switch(admin, make_gpu().pk, {"is_enabled": False})

    assert answer.status_code == 422
    assert answer.json()["errors"] == {"enabled": ["it is missing and must be true or false"]}


def test_returns_400_when_the_body_is_no_json(admin):
    assert switch(admin, make_gpu().pk, "{").status_code == 400


def test_returns_415_when_the_body_has_another_type(admin):
    answer = admin.patch(f"/api/v1/gpus/{make_gpu().pk}", "enabled=0", content_type="text/plain")

    assert answer.status_code == 415


@pytest.mark.parametrize("scope", ["read", "submit"])
def test_returns_403_when_the_key_is_not_an_administrators(scope):
    gpu = make_gpu()

    assert switch(make_client(scope=scope), gpu.pk, {"enabled": False}).status_code == 403
    assert Gpu.objects.get().is_enabled


@pytest.mark.parametrize("path", ["/api/v1/gpus", "/api/v1/gpus/1"])
def test_returns_401_when_there_is_no_key(client, path):
    assert client.get(path).status_code == 401
    assert client.get(path, headers={"X-API-Key": "wrong"}).status_code == 401


@pytest.mark.parametrize("pk", [99, 10**30])
def test_returns_404_when_the_gpu_is_unknown(admin, pk):
    assert admin.get(f"/api/v1/gpus/{pk}").json() == {"detail": f"GPU {pk} does not exist"}
    assert switch(admin, pk, {"enabled": False}).status_code == 404
