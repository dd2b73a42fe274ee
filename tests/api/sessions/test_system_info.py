"""GET /api/v1/system/info (T12), and the sampling behind it."""

import errno
import threading
from datetime import UTC, datetime

import pytest
from django.test import Client

from gpus import host
from gpus.host import HostSampler, sample_host, store_host_sample
from gpus.inventory import node_name
from gpus.models import Node
from tests.make import make_client, make_gpu, make_node
from tests.waiting import until
from training.execution.agent import Agent

pytestmark = pytest.mark.django_db

URL = "/api/v1/system/info"
SAMPLE = {
    "host_sampled_at": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "cpu_usage_percent": 12.5,
    "used_memory_bytes": 3 * 1024**3, "total_memory_bytes": 4 * 1024**3, "disk_free_bytes": 512 * 1024**2,
    "disk_total_bytes": 2 * 1024**3,
}  # fmt: skip


@pytest.fixture
def client() -> Client:
    return make_client(scope="read")


@pytest.fixture
def own_node() -> Node:
    return make_node(node_name(), **SAMPLE)


def test_it_gives_the_newest_sample_in_documented_units(client, own_node):
    make_node("another", **SAMPLE | {"cpu_usage_percent": 99.0})
    answer = client.get(URL)
    assert answer.status_code == 200
    assert answer.json() == {
        "cpu_usage_percent": 12.5, "memory_percent": 75.0, "memory_used_mb": 3072.0, "memory_total_mb": 4096.0,
        "disk_free_gb": 0.5, "disk_total_gb": 2.0, "gpu_available": False, "gpu_usage_percent": None,
        "gpu_memory_used_mb": None, "gpu_memory_total_mb": None, "timestamp": "2026-01-02T03:04:05Z",
    }  # fmt: skip


def gpu_part(client: Client) -> tuple[object, ...]:
    said = client.get(URL).json()
    return tuple(said[f"gpu_{name}"] for name in ("available", "usage_percent", "memory_used_mb", "memory_total_mb"))


def test_it_takes_the_mean_load_and_the_sum_of_memory(client, own_node):
    for load, mib in ((10.0, 1000), (50.0, 3000)):
        make_gpu(own_node, utilization_percent=load, used_memory_mib=mib, memory_mib=8000)
    make_gpu(own_node, is_present=False, utilization_percent=100.0)
    make_gpu(make_node("another"), utilization_percent=100.0)
    assert gpu_part(client) == (True, 30.0, 4000.0, 16000.0)


def test_it_leaves_out_what_a_driver_does_not_say(client, own_node):
    make_gpu(own_node, utilization_percent=None, used_memory_mib=None, memory_mib=8000)
    assert gpu_part(client) == (True, None, None, 8000.0)
    make_gpu(own_node, utilization_percent=40.0, used_memory_mib=5, memory_mib=8000)
    assert gpu_part(client) == (True, 40.0, 5.0, 16000.0)


@pytest.mark.parametrize("has_node", [True, False])
def test_it_looks_itself_when_nothing_was_sampled_yet(has_node, client):
    if has_node:
        make_node(node_name())
    said = client.get(URL).json()
    assert 0 <= said["cpu_usage_percent"] <= 100 and 0 < said["memory_percent"] <= 100
    assert 0 < said["memory_used_mb"] <= said["memory_total_mb"]
    assert 0 < said["disk_free_gb"] <= said["disk_total_gb"]
    assert said["timestamp"].endswith("Z")


def test_it_only_reads_rows(client, own_node, django_assert_num_queries):
    make_gpu(own_node)
    client.get(URL)
    with django_assert_num_queries(3):  # key, GPUs, node
        client.get(URL)


def test_the_disk_is_that_of_the_models_even_before_their_directory_is_made(settings, tmp_path):
    settings.MODELS_DIR = tmp_path / "not" / "there"
    assert sample_host().disk_total_bytes > 0


def test_a_stored_sample_is_answered(client):
    node = make_node(node_name())
    store_host_sample(node, HostSampler())
    node.refresh_from_db()
    assert node.host_sampled_at is not None
    assert client.get(URL).json()["memory_total_mb"] == node.total_memory_bytes / 1024**2


def test_the_agent_samples_its_node():
    agent = Agent()
    agent.sample_host()
    agent.node = make_node()
    agent.sample_host()
    agent.node.refresh_from_db()
    assert agent.node.host_sampled_at is not None
    assert [every.period_s for every, job in agent.jobs if job == agent.sample_host] == [5]


def test_returns_401_without_a_key():
    assert Client().get(URL).status_code == 401


def test_returns_405_when_it_is_posted_to():
    assert make_client().post(URL).status_code == 405


def test_a_file_system_that_does_not_answer_keeps_nobody_waiting_and_is_asked_no_more(monkeypatch):
    answers, asked = threading.Event(), []

    def look():
        asked.append(1)
        assert answers.wait(10)
        return sample_host()

    monkeypatch.setattr(host, "sample_host", look)
    sampler = HostSampler()
    assert [sampler.sample(within_s=0.01) for _ in range(3)] == [None, None, None]
    answers.set()
    assert until(lambda: sampler.sample(within_s=0.01), what="a sample, now that it answers") is not None
    assert len(asked) <= 2


def test_a_file_system_that_fails_is_asked_again(monkeypatch):
    def fail():
        raise OSError(errno.ESTALE, "Stale file handle")

    sampler = HostSampler()
    with monkeypatch.context() as broken:
        broken.setattr(host, "sample_host", fail)
        assert sampler.sample(within_s=5) is None
    assert sampler.sample(within_s=5) is not None
