"""/api/v1/schedules."""

import pytest
from django.test import Client
from django.utils import timezone

from tests.make import make_client, make_queue, make_schedule, make_task, make_user
from training.models import Task, TaskSchedule

pytestmark = pytest.mark.django_db

FULL = {
    "name": "nightly",
    "cron": "0 3 * * 1-5",
    "timezone": "Europe/Berlin",
    "task": {"command": ["python", "train.py"], "gpus": 1, "queue": "night", "env": {"TOKEN": "secret"}},
    "missed": "skip",
    "overlap": "skip",
    "paused": False,
}


@pytest.fixture
def owner():
    return make_user("ada")


@pytest.fixture
def client(owner) -> Client:
    return make_client(owner)


def post(client: Client, **body: object):
    return client.post("/api/v1/schedules", body, content_type="application/json")


def patch(client: Client, pk: int, **body: object):
    return client.patch(f"/api/v1/schedules/{pk}", body, content_type="application/json")


def test_it_makes_one_and_keeps_every_field(client):
    make_queue("night")
    answer = post(client, **FULL)
    said = answer.json()
    assert answer.status_code == 201
    assert said == client.get(answer["Location"]).json()
    assert {name: said[name] for name in FULL} == FULL
    assert (said["owner"], said["last_at"], said["in_words"]) == ("ada", None, "At 03:00 on Monday through Friday")
    assert said["next_at"] > timezone.now().isoformat()


def test_it_has_defaults(client):
    said = post(client, cron="@daily", task={"command": "x", "name": "sweep"}).json()
    assert (said["name"], said["timezone"], said["missed"], said["overlap"], said["paused"]) == (
        "sweep", "UTC", "once", "allow", False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("cron", "61 * * * *"),
        ("cron", None),
        ("timezone", "Mars/Olympus"),
        ("task", []),
        ("task", {}),
        ("task", {"command": "x", "gpus": -1}),
        ("task", {"command": "x", "pool": "gone"}),
        ("task", {"command": "x", "depends_on": [1]}),
        ("task", {"command": "x", "array": [{"lr": 1}]}),
        ("missed", "twice"),
        ("overlap", 1),
        ("paused", "yes"),
        ("name", 7),
    ],
)
def test_returns_422_and_names_the_field_when_refused(field, value, client):
    answer = post(client, **{"cron": "@daily", "task": {"command": "x"}, field: value})
    assert (answer.status_code, list(answer.json()["errors"])) == (422, [field])
    assert not TaskSchedule.objects.exists()


def test_returns_422_for_what_is_missing(client):
    assert sorted(post(client).json()["errors"]) == ["cron", "task"]


def test_it_changes_and_pauses(client, owner):
    schedule = make_schedule(owner)
    said = patch(client, schedule.pk, cron="0 0 1 1 *", missed="skip").json()
    assert (said["cron"], said["missed"], said["next_at"][4:]) == ("0 0 1 1 *", "skip", "-01-01T00:00:00Z")
    assert patch(client, schedule.pk, paused=True).json()["next_at"] is None
    assert patch(client, schedule.pk, cron="never").status_code == 422


def test_it_fires_now(client, owner):
    schedule = make_schedule(owner, overlap="skip")
    answer = client.post(f"/api/v1/schedules/{schedule.pk}/fire")
    assert (answer.status_code, answer.json()["schedule"]) == (201, schedule.pk)
    assert client.get(f"/api/v1/tasks?schedule={schedule.pk}").json()["results"][0]["id"] == answer.json()["id"]
    assert client.post(f"/api/v1/schedules/{schedule.pk}/fire").status_code == 409


def test_it_deletes_and_leaves_the_tasks(client, owner):
    schedule = make_schedule(owner)
    task = make_task(owner, schedule=schedule)
    assert client.delete(f"/api/v1/schedules/{schedule.pk}").status_code == 204
    assert Task.objects.get(pk=task.pk).schedule is None


def test_it_shows_values_of_the_environment_to_the_owner_and_administrators_only(client, owner):
    schedule = make_schedule(owner, template={"command": "x", "env": {"TOKEN": "secret"}})
    url = f"/api/v1/schedules/{schedule.pk}"
    for friend in (client, make_client(scope="admin")):
        assert friend.get(url).json()["task"]["env"] == {"TOKEN": "secret"}
    assert make_client().get(url).json()["task"]["env"] == {"TOKEN": None}
    assert b"secret" not in make_client(scope="read").get("/api/v1/schedules").content


def test_returns_403_when_it_is_somebody_elses(owner):
    pk, stranger = make_schedule(owner).pk, make_client()
    assert patch(stranger, pk, paused=True).status_code == 403
    assert stranger.delete(f"/api/v1/schedules/{pk}").status_code == 403
    assert stranger.post(f"/api/v1/schedules/{pk}/fire").status_code == 403
    assert post(make_client(scope="read"), cron="@daily", task={"command": "x"}).status_code == 403
    assert patch(make_client(scope="admin"), pk, paused=True).status_code == 200


def test_returns_404_when_unknown_and_401_without_a_key(client):
    assert client.get("/api/v1/schedules/99").status_code == 404
    assert patch(client, 99).json() == {"detail": "schedule 99 does not exist"}
    assert Client().get("/api/v1/schedules").status_code == 401


def test_it_lists_in_two_queries_however_many(django_assert_num_queries):
    reader = make_client(scope="read")
    for paused in (False, True, True):
        make_schedule(is_paused=paused)
    reader.get("/api/v1/schedules")
    with django_assert_num_queries(2):  # key, page
        assert len(reader.get("/api/v1/schedules").json()["results"]) == 3
    assert len(reader.get("/api/v1/schedules?paused=true").json()["results"]) == 2
