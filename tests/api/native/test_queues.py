"""/api/v1/queues and /api/v1/user-limits."""

import pytest
from django.test import Client

from tests.make import make_client, make_queue, make_run, make_task, make_user
from training.models import Queue, Task, UserLimits

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin() -> Client:
    return make_client(scope="admin")


def post(client: Client, noun: str = "queues", **body: object):
    return client.post(f"/api/v1/{noun}", body, content_type="application/json")


def patch(client: Client, row: Queue | UserLimits, **body: object):
    noun = "queues" if isinstance(row, Queue) else "user-limits"
    return client.patch(f"/api/v1/{noun}/{row.pk}", body, content_type="application/json")


def test_the_default_one_is_built_in_without_limits(admin):
    [shown] = admin.get("/api/v1/queues").json()["results"]
    assert {**shown, "id": 0, "created_at": ""} == {
        "id": 0, "name": "default", "description": "", "priority": 0, "max_gpus": None, "max_running": None,
        "running": 0, "gpus_used": 0, "created_at": "",
    }  # fmt: skip


def test_it_makes_and_changes_a_queue(admin):
    answer = post(admin, name="night", priority=-5, max_gpus=4)
    assert answer.status_code == 201
    assert answer.json() == admin.get(answer["Location"]).json()
    said = patch(admin, Queue.objects.get(name="night"), max_gpus=None, max_running=2).json()
    assert (said["max_gpus"], said["max_running"], said["priority"]) == (None, 2, -5)


def test_it_shows_what_its_runs_hold(admin):
    make_queue("night")
    task = make_task(queue="night", status="active")
    make_run(task, gpus=2)
    make_run(task, gpus=1)
    make_run(task, gpus=1, status="finished")
    make_run(make_task(queue="night", status="active", is_demo=True))
    shown = admin.get("/api/v1/queues?name=night").json()["results"][0]
    assert (shown["running"], shown["gpus_used"]) == (2, 3)


def test_a_new_priority_moves_the_tasks_that_wait(admin):
    queue = make_queue("night")
    usual, nightly, ended = make_task(), make_task(queue="night"), make_task(queue="night", status="failed")
    patch(admin, queue, priority=3)
    assert list(Task.objects.placeable()) == [nightly, usual]
    ended.refresh_from_db()
    assert ended.queue_priority == 0


@pytest.mark.parametrize(
    ("field", "value"), [("name", "a/b"), ("priority", 101), ("max_gpus", -1), ("max_running", "3"), ("name", None)]
)
def test_returns_422_and_names_the_field_when_refused(field, value, admin):
    answer = post(admin, **{"name": "night", field: value})
    assert (answer.status_code, list(answer.json()["errors"])) == (422, [field])


def test_returns_409_when_it_is_in_use_there_already_or_built_in(admin):
    queue, default = make_queue("night"), Queue.objects.get(name="default")
    make_task(queue="night", status="held")
    assert post(admin, name="night").status_code == 409
    assert admin.delete(f"/api/v1/queues/{queue.pk}").status_code == 409
    assert admin.delete(f"/api/v1/queues/{default.pk}").status_code == 409
    assert patch(admin, default, priority=1).status_code == 409
    assert patch(admin, default, max_running=1).json()["max_running"] == 1
    Task.objects.update(status="stopped")
    assert admin.delete(f"/api/v1/queues/{queue.pk}").status_code == 204


def test_it_limits_a_user(admin):
    ada = make_user("ada")
    make_run(make_task(ada, status="active"), gpus=2)
    answer = post(admin, "user-limits", user="ada", max_gpus=2)
    assert answer.status_code == 201
    assert {**answer.json(), "id": 0} == {
        "id": 0, "user": "ada", "max_gpus": 2, "max_running": None, "running": 1, "gpus_used": 2,
    }  # fmt: skip
    limits = UserLimits.objects.get()
    assert patch(admin, limits, max_running=1).json()["max_running"] == 1
    assert admin.get("/api/v1/user-limits?user=ada").json()["results"][0]["id"] == limits.pk
    assert post(admin, "user-limits", user="ada").status_code == 409
    assert admin.delete(f"/api/v1/user-limits/{limits.pk}").status_code == 204
    assert not UserLimits.objects.exists()


def test_returns_422_when_the_user_is_unknown(admin):
    assert post(admin, "user-limits", user="bob").json()["errors"] == {"user": ['there is no user "bob"']}
    assert list(post(admin, "user-limits").json()["errors"]) == ["user"]


@pytest.mark.parametrize("noun", ["queues", "user-limits"])
@pytest.mark.parametrize("scope", ["read", "submit"])
def test_others_read_and_change_nothing(scope, noun):
    client = make_client(scope=scope)
    queue, limits = make_queue("night"), UserLimits.objects.create(user=make_user())
    row = queue if noun == "queues" else limits
    assert client.get(f"/api/v1/{noun}").status_code == 200
    assert post(client, noun, name="x").status_code == 403
    assert patch(client, row).status_code == 403
    assert client.delete(f"/api/v1/{noun}/{row.pk}").status_code == 403


@pytest.mark.parametrize("noun", ["queues", "user-limits"])
def test_returns_404_when_unknown_and_401_without_a_key(noun, admin):
    assert admin.get(f"/api/v1/{noun}/99").status_code == 404
    assert admin.patch(f"/api/v1/{noun}/99", {}, content_type="application/json").status_code == 404
    assert Client().get(f"/api/v1/{noun}").status_code == 401


@pytest.mark.parametrize("noun", ["queues", "user-limits"])
def test_it_lists_in_three_queries_however_many(noun, django_assert_num_queries):
    reader = make_client(scope="read")
    for number in range(3):
        make_queue(f"q{number}")
        UserLimits.objects.create(user=make_user())
    reader.get(f"/api/v1/{noun}")
    with django_assert_num_queries(3):  # key, page, what runs hold
        assert len(reader.get(f"/api/v1/{noun}").json()["results"]) >= 3
