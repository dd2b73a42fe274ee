"""GET /api/v1/leases and /api/v1/leases/{id} (N13)."""

import pytest
from django.test import Client
from django.utils import timezone

from tests.make import make_client, make_gpu, make_lease, make_node, make_run

pytestmark = pytest.mark.django_db


@pytest.fixture
def reader() -> Client:
    return make_client(scope="read")


def ids(client: Client, **query: object) -> list[int]:
    return [row["id"] for row in client.get("/api/v1/leases", query).json()["results"]]


def test_it_shows_a_lease(reader):
    run, gpu = make_run(), make_gpu(make_node("box"), index=3, memory_mib=8000)
    lease = make_lease(run, gpu, memory_mib=1000, is_exclusive=False)
    shown = reader.get(f"/api/v1/leases/{lease.pk}").json()
    assert (shown["run"], shown["task"], shown["node"]) == (run.pk, run.task_id, "box")
    assert (shown["gpu"], shown["gpu_index"], shown["gpu_uuid"]) == (gpu.pk, 3, gpu.uuid)
    assert (shown["memory_mib"], shown["exclusive"], shown["released_at"]) == (1000, False, None)


def test_it_filters_by_run_task_gpu_and_whether_it_is_held(reader):
    held, released = make_lease(), make_lease(released_at=timezone.now())
    assert ids(reader) == [released.pk, held.pk]
    assert (
        ids(reader, run=held.run_id) == ids(reader, task=held.run.task_id) == ids(reader, gpu=held.gpu_id) == [held.pk]
    )
    assert ids(reader, active="1") == [held.pk]
    assert ids(reader, active="False") == [released.pk]


def test_it_lists_in_two_queries_however_many(reader, django_assert_num_queries):
    for _ in range(3):
        make_lease()
    ids(reader)
    with django_assert_num_queries(2):  # key, page
        assert len(ids(reader)) == 3


def test_returns_404_when_unknown(reader):
    assert reader.get("/api/v1/leases/999").status_code == 404


def test_returns_401_without_a_key():
    assert Client().get("/api/v1/leases").status_code == 401
    assert Client().get(f"/api/v1/leases/{make_lease().pk}").status_code == 401
