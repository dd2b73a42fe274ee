"""GET, POST /api/v1/pools; GET, PATCH, DELETE /api/v1/pools/{id}."""

import pytest
from django.test import Client

from gpus.models import Pool
from tests.make import make_client, make_gpu, make_node, make_pool, make_task
from tests.together import together

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin() -> Client:
    return make_client(scope="admin")


def post(client: Client, **body: object):
    return client.post("/api/v1/pools", body, content_type="application/json")


def patch(client: Client, pool: Pool, **body: object):
    return client.patch(f"/api/v1/pools/{pool.pk}", body, content_type="application/json")


def test_the_default_one_is_built_in(admin):
    [shown] = admin.get("/api/v1/pools").json()["results"]
    assert (shown["name"], shown["nodes"], shown["gpus"]) == ("default", [], [])


def test_it_makes_a_pool_of_nodes_and_single_gpus(admin):
    make_node("box")
    gpu = make_gpu(make_node("rack"))
    answer = post(admin, name="fast", description="new ones", nodes=["box"], gpus=[gpu.pk])
    assert answer.status_code == 201
    assert answer.json() == admin.get(answer["Location"]).json()
    assert answer.json()["nodes"] == ["box"]
    assert answer.json()["gpus"] == [{"id": gpu.pk, "node": "rack", "index": 0, "uuid": gpu.uuid}]


def test_it_changes_members_and_keeps_what_is_not_named(admin):
    node = make_node("box")
    pool = make_pool("fast", node, make_gpu(node), description="d")
    said = patch(admin, pool, nodes=[]).json()
    assert (said["nodes"], len(said["gpus"]), said["description"], said["name"]) == ([], 1, "d", "fast")


def test_a_new_member_lets_a_task_start(admin, django_capture_on_commit_callbacks):
    node = make_node("box")
    pool = make_pool("fast")
    with django_capture_on_commit_callbacks() as asked:
        patch(admin, pool, nodes=[node.name])
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "a/b"),
        ("name", 7),
        ("nodes", ["gone"]),
        ("nodes", "box"),
        ("gpus", [99]),
        ("gpus", ["0"]),
    ],
)
def test_returns_422_and_names_the_field_when_refused(field, value, admin):
    answer = post(admin, **{"name": "fast", field: value})
    assert answer.status_code == 422
    assert list(answer.json()["errors"]) == [field]
    assert Pool.objects.count() == 1


def test_an_unknown_node_is_refused_with_those_there_are(admin):
    make_node("box")
    assert post(admin, name="fast", nodes=["gone"]).json()["detail"] == 'nodes: there is no node "gone"; there are: box'


def test_returns_422_without_a_name(admin):
    assert list(post(admin).json()["errors"]) == ["name"]


def test_returns_409_when_there_is_one_of_this_name(admin):
    make_pool("fast")
    assert post(admin, name="fast").status_code == 409


@pytest.mark.database
@pytest.mark.django_db(transaction=True)
def test_of_two_at_once_of_one_name_one_is_a_conflict():
    clients = [make_client(scope="admin") for _ in range(2)]
    answers = together(*[lambda client=client: post(client, name="fast") for client in clients])
    assert sorted(answer.status_code for answer in answers) == [201, 409]


def test_it_deletes_a_pool_that_nothing_names(admin):
    pool = make_pool("fast")
    make_task(pool="fast", status="completed")
    assert admin.delete(f"/api/v1/pools/{pool.pk}").status_code == 204
    assert not Pool.objects.filter(name="fast").exists()


@pytest.mark.parametrize("status", ["held", "waiting", "active"])
def test_returns_409_when_a_task_names_it(status, admin):
    pool = make_pool("fast")
    make_task(pool="fast", status=status)
    answer = admin.delete(f"/api/v1/pools/{pool.pk}")
    assert answer.status_code == 409
    assert answer.json()["detail"] == "pool fast is in use by 1 task that has not ended"


def test_returns_409_for_what_the_default_one_cannot(admin):
    pool = Pool.objects.get(name="default")
    make_node("box")
    assert admin.delete(f"/api/v1/pools/{pool.pk}").status_code == 409
    assert patch(admin, pool, nodes=["box"]).status_code == 409
    assert patch(admin, pool, description="all").json()["description"] == "all"


@pytest.mark.parametrize("scope", ["read", "submit"])
def test_others_read_and_change_nothing(scope):
    client, pool = make_client(scope=scope), make_pool("fast")
    assert len(client.get("/api/v1/pools").json()["results"]) == 2
    assert client.get("/api/v1/pools", {"name": "fast"}).json()["results"][0]["id"] == pool.pk
    assert post(client, name="x").status_code == 403
    assert patch(client, pool).status_code == 403
    assert client.delete(f"/api/v1/pools/{pool.pk}").status_code == 403


def test_returns_404_when_unknown(admin):
    for answer in (admin.get("/api/v1/pools/99"), admin.delete("/api/v1/pools/99")):
        assert (answer.status_code, answer.json()["detail"]) == (404, "pool 99 does not exist")


def test_returns_401_without_a_key(client):
    assert client.get("/api/v1/pools").status_code == 401


def test_it_lists_in_four_queries_however_many(django_assert_num_queries):
    reader = make_client(scope="read")
    for number in range(3):
        make_pool(f"p{number}", node := make_node(), make_gpu(node))
    reader.get("/api/v1/pools")
    with django_assert_num_queries(5):  # key, page, nodes, GPUs, their nodes
        assert len(reader.get("/api/v1/pools").json()["results"]) == 4
