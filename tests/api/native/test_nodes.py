"""GET /api/v1/nodes and /api/v1/nodes/{id} (N13)."""

import pytest
from django.utils import timezone

from tests.make import make_client, make_gpu, make_node, make_pool

pytestmark = pytest.mark.django_db


@pytest.fixture
def reader():
    return make_client(scope="read")


def test_it_shows_a_node_with_the_number_of_its_gpus(reader):
    now = timezone.now()
    node = make_node("box", agent_seen_at=now, driver_version="580.65.06")
    make_gpu(node)
    make_gpu(node, is_present=False)

    assert reader.get(f"/api/v1/nodes/{node.pk}").json() == {
        "id": node.pk,
        "name": "box",
        "pools": ["default"],
        "enabled": True,
        "cpu_slots": 4,
        "memory_mib": 16384,
        "driver_version": "580.65.06",
        "boot_id": "boot-1",
        "gpus": 1,
        "agent_seen_at": now.isoformat().replace("+00:00", "Z"),
        "is_reporting": True,
    }


def test_it_shows_a_node_that_has_never_reported(reader):
    shown = reader.get(f"/api/v1/nodes/{make_node(is_sampled=False).pk}").json()

    assert (shown["agent_seen_at"], shown["is_reporting"], shown["gpus"]) == (None, False, 0)


def test_it_lists_nodes_in_three_queries_however_many(reader, django_assert_num_queries):
    made = [make_gpu(make_node()).node_id for _ in range(3)]
    reader.get("/api/v1/nodes")  # the first use of a key is recorded, the next within the minute is not
    with django_assert_num_queries(3):  # the key, the page, pools
        listed = reader.get("/api/v1/nodes").json()

    assert [node["id"] for node in listed["results"]] == made
    assert [node["gpus"] for node in listed["results"]] == [1, 1, 1]


def test_it_pages(reader):
    made = [make_node().pk for _ in range(3)]
    first = reader.get("/api/v1/nodes", {"page_size": 2}).json()
    second = reader.get(first["next"]).json()

    assert [node["id"] for node in first["results"] + second["results"]] == made
    assert reader.get(second["previous"]).json()["results"] == first["results"]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"name": "a"}, ["a"]),
        ({"pool": "big"}, ["b"]),
        ({"pool": "default"}, ["a", "b", "c"]),
        ({"enabled": "false"}, ["c"]),
        ({"ordering": "-name"}, ["c", "b", "a"]),
    ],
)
def test_it_filters_and_orders(reader, query, names):
    make_node("a")
    make_pool("big", make_node("b"))
    make_node("c", is_enabled=False)

    assert [node["name"] for node in reader.get("/api/v1/nodes", query).json()["results"]] == names


def test_returns_422_when_the_query_is_bad(reader):
    answer = reader.get("/api/v1/nodes", {"enabled": "maybe"})

    assert answer.status_code == 422
    assert answer.json()["errors"] == {"enabled": ['"maybe" must be one of true, false, 1, 0']}


@pytest.mark.parametrize("path", ["/api/v1/nodes", "/api/v1/nodes/1"])
def test_returns_401_when_there_is_no_key(client, path):
    assert client.get(path).status_code == 401


def test_returns_404_when_the_node_is_unknown(reader):
    assert reader.get("/api/v1/nodes/99").json() == {"detail": "node 99 does not exist"}


def test_returns_405_when_a_node_is_written():
    assert make_client().delete(f"/api/v1/nodes/{make_node().pk}").status_code == 405
