"""GET /api/gpu/telemetry (R44) and GET /api/gpu (R53)."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from gpus.inventory import node_name
from gpus.models import Node
from tests.make import make_client, make_gpu, make_node

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("home")]
PATHS = pytest.mark.parametrize("path", ["/api/gpu/telemetry", "/api/gpu"])


@pytest.fixture
def node(home) -> Node:
    return make_node(node_name())


@pytest.fixture
def client() -> Client:
    return make_client(scope="read")


@PATHS
def test_it_answers_the_last_sample_of_each_gpu(path, node, client, django_assert_num_queries):
    now = timezone.now()
    busy = make_gpu(
        node, sampled_at=now, name="Fake 4090", memory_mib=24000, used_memory_mib=6000, utilization_percent=73.0,
        memory_utilization_percent=20.0, temperature_c=61.0, power_w=123.5, power_limit_w=450.0, sm_clock_mhz=2520.0,
        memory_clock_mhz=10501.0, performance_state="P2", fan_speed_percent=35.0,
    )  # fmt: skip
    make_gpu(node, sampled_at=now - timedelta(seconds=1), used_memory_mib=None, memory_mib=0)
    client.get(path)
    with django_assert_num_queries(2):
        answer = client.get(path)

    said = answer.json()
    assert (answer.status_code, said["available"], said["ts"]) == (200, True, now.timestamp())
    assert said["gpus"][0] == {
        "index": busy.index, "name": "Fake 4090", "util_gpu": 73.0, "util_mem": 20.0, "mem_total_mib": 24000.0,
        "mem_used_mib": 6000.0, "mem_used_pct": 25.0, "temp_c": 61.0, "power_w": 123.5, "power_limit_w": 450.0,
        "clock_sm_mhz": 2520.0, "clock_mem_mhz": 10501.0, "pstate": "P2", "fan_speed_pct": 35.0,
    }  # fmt: skip
    silent = said["gpus"][1]
    assert {name for name, value in silent.items() if value is not None} == {"index", "name"}


def test_it_leaves_out_gpus_of_other_machines_and_those_that_are_gone(node, client):
    here = make_gpu(node, index=0)
    make_gpu(node, index=1, is_present=False)
    make_gpu(node, index=2, sampled_at=timezone.now() - timedelta(seconds=11))
    make_gpu(make_node(), index=3)
    assert [gpu["index"] for gpu in client.get("/api/gpu").json()["gpus"]] == [here.index]


@PATHS
def test_it_says_that_there_is_no_gpu(path, node, client):
    said = client.get(path).json()
    assert said == {"available": False, "reason": "No GPU is known on this machine, or its driver is not loaded"}


def test_it_says_that_the_agent_is_silent(client):
    assert "no sign of it yet" in client.get("/api/gpu").json()["reason"]
    node = make_node(node_name(), agent_seen_at=timezone.now() - timedelta(minutes=1))
    make_gpu(node, sampled_at=node.agent_seen_at)
    reason = client.get("/api/gpu").json()["reason"]
    assert reason.startswith("The agent of this machine does not report: the last sign of it was at ")


@pytest.mark.parametrize(
    ("is_present", "words"), [(True, "The driver does not answer"), (False, "The driver lists no GPU")]
)
def test_it_says_that_the_driver_is_silent(is_present, words, node, client):
    make_gpu(node, sampled_at=timezone.now() - timedelta(minutes=1), is_present=is_present)
    assert words in client.get("/api/gpu").json()["reason"]


@PATHS
def test_returns_401_when_there_is_no_key(path):
    answer = Client().get(path)
    assert (answer.status_code, list(answer.json())) == (401, ["detail"])
