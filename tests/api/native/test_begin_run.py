"""POST /api/v1/runs (N6)."""

import pytest
from django.test import Client
from django.utils import timezone

from tests.make import make_client, make_process, make_run, make_sdk_run
from tests.together import together
from training.execution.liveness import pid_namespace
from training.models import Event, Run, RunProcess

pytestmark = pytest.mark.django_db

RUN_ID = "20260102_030405_0a1b2c"


@pytest.fixture
def client() -> Client:
    return make_client()


def begin(client: Client, **body: object):
    return client.post("/api/v1/runs", body, content_type="application/json")


def test_it_begins_a_run_outside_the_queue(client):
    answer = begin(client, project="digits", name="first", tags=["a"], config={"lr": 0.1}, notes="n")
    said = answer.json()

    assert answer.status_code == 201
    assert answer["Location"] == f"/api/v1/runs/{said['id']}"
    assert said.pop("next_seq") == 0
    assert said | {"duration_s": None} == client.get(answer["Location"]).json() | {"duration_s": None}
    assert (said["source"], said["status"], said["task"], said["node"]) == ("sdk", "running", None, None)
    assert (said["project"], said["name"], said["tags"], said["config"]) == ("digits", "first", ["a"], {"lr": 0.1})
    assert Event.objects.get(run=said["id"]).reason == "Started"


def test_it_needs_nothing(client):
    said = begin(client).json()
    assert (said["project"], said["name"], said["config"], said["gpus"]) == ("default", "", {}, [])


def test_it_takes_the_id_of_the_sdk(client):
    assert begin(client, id=RUN_ID).json()["id"] == RUN_ID


def test_it_records_the_process_so_that_its_end_can_be_noticed(client):
    said = begin(client, pid=4711, start_ticks=99, boot_id="b").json()
    process = RunProcess.objects.get(run=said["id"])
    assert (process.pid, process.start_ticks, process.boot_id) == (4711, 99, "b")


def test_returns_409_when_the_id_is_taken(client):
    taken = make_run().pk
    answer = begin(client, id=taken)
    assert (answer.status_code, taken in answer.json()["detail"]) == (409, True)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", "../../etc"),
        ("id", RUN_ID.upper()),
        ("id", RUN_ID + "\n"),
        ("id", None),
        ("project", "a/b"),
        ("name", "n" * 256),
        ("tags", {}),
        ("config", [1]),
        ("pid", 0),
        ("pid", True),
        ("start_ticks", -1),
        ("boot_id", 5),
        ("host", "h" * 256),
        ("pid_namespace", -1),
        ("resume", "yes"),
        ("started_at", "yesterday"),
        ("started_at", "2026-02-30T00:00:00Z"),
        ("started_at", "2026-03-07T09:15:11"),
    ],
)
def test_returns_422_when_a_value_is_refused(field, value, client):
    answer = begin(client, **{field: value})
    assert (answer.status_code, list(answer.json()["errors"])) == (422, [field])
    assert not Run.objects.exists()


def test_it_says_when_and_where_it_began(client):
    said = begin(client, host="box", started_at="2026-03-07T10:15:11.25+01:00").json()
    assert (said["created_at"], said["started_at"]) == ("2026-03-07T09:15:11.250000Z",) * 2
    assert Run.objects.get(pk=said["id"]).host == "box"


def test_a_process_of_another_container_is_not_looked_for(client):
    own = pid_namespace()
    for namespace, known in ((own, 1), (own + 1, 0)):
        said = begin(client, pid=4711, start_ticks=99, boot_id="b", pid_namespace=namespace).json()
        assert RunProcess.objects.filter(run=said["id"]).count() == known


@pytest.mark.parametrize("status", ["running", "finished", "failed"])
def test_its_owner_takes_it_up_again(status):
    run = make_sdk_run(status=status, next_seq=7)
    make_process(run, pid=1, ended_at=timezone.now())
    again = {"id": run.pk, "resume": True, "pid": 4711, "start_ticks": 99, "boot_id": "b", "host": "box"}
    answer = begin(make_client(run.owner), **again)
    said = answer.json()
    assert (answer.status_code, said["id"], said["status"], said["next_seq"]) == (200, run.pk, "running", 7)
    assert (said["ended_at"], said["exit_reason"]) == (None, "")
    process = run.processes.get()
    assert (process.pid, process.boot_id, process.ended_at) == (4711, "b", None)
    assert Event.objects.filter(run=run, reason="Resumed").count() == (status != "running")


def test_it_begins_the_run_that_is_not_there_to_be_taken_up(client):
    answer = begin(client, id=RUN_ID, resume=True)
    assert (answer.status_code, answer.json()["id"]) == (201, RUN_ID)


@pytest.mark.parametrize("make", [make_run, lambda: make_sdk_run(deleted_at=timezone.now()), make_sdk_run])
def test_returns_409_when_it_is_not_the_callers_to_take_up(make):
    """Of a task, in the recycle bin, somebody else's."""
    run = make()
    client = make_client() if make is make_sdk_run else make_client(run.owner)
    assert begin(client, id=run.pk, resume=True).status_code == 409


def test_returns_401_without_a_key():
    assert begin(Client()).status_code == 401


def test_returns_403_when_the_key_only_reads():
    assert begin(make_client(scope="read")).status_code == 403


def test_it_answers_a_repetition_with_the_first_run(client):
    one, other = (
        client.post("/api/v1/runs", {}, content_type="application/json", headers={"Idempotency-Key": "a"})
        for _ in range(2)
    )
    assert one.json() == other.json()
    assert Run.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_it_gives_an_id_to_one_of_two_at_once():
    client = make_client()
    codes = sorted(answer.status_code for answer in together(*[lambda: begin(client, id=RUN_ID)] * 2))
    assert codes == [201, 409]
