"""POST /api/v1/training/start (T3)."""

import re
import sys
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from tests.datasets import stored_dataset
from tests.make import make_client, make_dataset, make_gpu, make_node, make_user
from tests.together import together
from training import sessions
from training.models import Event, Run, Task, TrainingSession
from training.queue.spec import Refused

pytestmark = pytest.mark.django_db

MINIMAL = {
    "model_architecture": "mlp", "dataset_name": "digits", "learning_rate": 0.001, "batch_size": 16, "epochs": 5,
}  # fmt: skip
URL = "/api/v1/training/start"


@pytest.fixture
def client() -> Client:
    return make_client()


@pytest.fixture
def digits() -> None:
    stored_dataset("digits")


def start(client: Client, headers: Any = None, **fields: object):
    body = {name: value for name, value in (MINIMAL | fields).items() if value is not ...}
    return client.post(URL, body, content_type="application/json", headers=headers or {})


def test_it_starts_at_once_when_there_is_room(client, digits):
    make_node()
    answer = start(client)
    session = TrainingSession.objects.get()

    assert answer.status_code == 200
    assert answer.json() == {
        "session_id": session.pk, "status": "running", "message": "training of mlp_digits started",
    }  # fmt: skip
    assert re.fullmatch(r"sess_[0-9a-f]{12}", session.pk)
    assert Run.objects.get().task_id == session.task_id


def test_returns_503_and_queues_nothing_while_the_account_of_jobs_cannot_come_to_python(client, digits, monkeypatch):
    monkeypatch.setattr(sessions, "why_no_training_starts", lambda: "the directory is closed")
    answer = start(client)
    assert (answer.status_code, answer.json()) == (503, {"detail": "the directory is closed"})
    assert not Task.objects.exists()


def test_it_queues_at_capacity_and_says_why(client, digits, settings):
    settings.MAX_CONCURRENT_SESSIONS = 1
    make_node()
    start(client)
    said = start(client).json()
    assert said["status"] == "queued"
    waiting = TrainingSession.objects.get(pk=said["session_id"]).task
    assert waiting.waiting_reason in said["message"]
    assert Run.objects.count() == 1


def test_it_starts_as_many_as_the_ceiling_lets_in(client, digits, settings):
    settings.MAX_CONCURRENT_SESSIONS = 2
    make_node()
    assert [start(client).json()["status"] for _ in range(3)] == ["running", "running", "queued"]


def test_it_queues_without_a_node(client, digits):
    assert start(client).json()["status"] == "queued"


def test_it_makes_a_task_of_the_built_in_trainer(digits, home: Path, settings):
    owner = make_user("ada")
    said = start(make_client(owner), learning_rate=1e-4, optimizer="sgd").json()
    session = TrainingSession.objects.get()
    task = session.task
    data = next((home / "datasets").iterdir())

    assert (task.owner, task.source, task.project, task.name) == (owner, "training", "training", "mlp_digits")
    assert (task.is_session, task.grace_s, task.ranks, task.gpus, task.cpus) == (True, 30, 1, 0, 1)
    assert sorted(task.config) == sorted([
        "model_architecture", "dataset_name", "learning_rate", "batch_size", "epochs", "optimizer", "loss_function",
    ])  # fmt: skip
    assert task.command == [
        sys.executable, "-m", "training.trainer", "--architecture", "mlp", "--dataset", "digits", "--data", str(data),
        "--session-dir", str(home / "sessions" / said["session_id"]), "--learning-rate", "0.0001",
        "--batch-size", "16", "--epochs", "5", "--optimizer", "sgd", "--loss-function", "cross_entropy",
    ]  # fmt: skip
    threads = str(sessions.threads_of_a_rank())
    assert task.env == {
        "PYTHONPATH": str(settings.BASE_DIR), "OMP_NUM_THREADS": threads, "OMP_WAIT_POLICY": "PASSIVE",
    }  # fmt: skip
    assert Event.objects.get(reason="Submitted").message == "submitted by ada through training"


@pytest.mark.parametrize(("at_once", "ranks", "cores", "threads"), [(1, 1, 8, 8), (2, 2, 8, 2), (4, 4, 8, 1)])
def test_it_shares_the_cores_among_all_ranks(at_once, ranks, cores, threads, settings, monkeypatch):
    settings.MAX_CONCURRENT_SESSIONS, settings.SESSION_RANKS = at_once, ranks
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    assert sessions.threads_of_a_rank() == threads


@pytest.mark.parametrize(
    ("gpu", "node", "gpus"),
    [
        ({}, {}, 2),
        ({"is_enabled": False}, {}, 0),
        ({"is_present": False}, {}, 0),
        ({}, {"is_enabled": False}, 0),
    ],
)
def test_it_takes_a_gpu_for_each_rank_where_there_are_gpus(gpu, node, gpus, client, digits, settings):
    settings.SESSION_RANKS = 2
    make_gpu(make_node(**node), **gpu)
    start(client)
    task = Task.objects.get()
    assert (task.ranks, task.gpus, task.cpus) == (2, gpus, 0 if gpus else 1)


def test_it_fills_in_the_defaults_and_takes_whole_floats(client, digits):
    start(client, batch_size=16.0, epochs=5.0, learning_rate=1)
    assert Task.objects.get().config == MINIMAL | {
        "learning_rate": 1.0, "optimizer": "adam", "loss_function": "cross_entropy",
    }  # fmt: skip
    session = TrainingSession.objects.get()
    assert (session.batch_size, session.epochs, session.learning_rate) == (16, 5, 1.0)


INSIDE = [
    ("learning_rate", 0.0001), ("learning_rate", 1), ("learning_rate", 1.0), ("batch_size", 1), ("batch_size", 256),
    ("epochs", 1), ("epochs", 1000), *(("optimizer", word) for word in ("adam", "sgd", "rmsprop", "adamw")),
    ("unknown", "ignored"),
]  # fmt: skip
OUTSIDE = [
    ("model_architecture", ...), ("model_architecture", ""), ("model_architecture", "a" * 101),
    ("model_architecture", 1), ("model_architecture", None), ("model_architecture", ["mlp"]),
    ("dataset_name", ...), ("dataset_name", ""), ("dataset_name", "d" * 101), ("dataset_name", True),
    ("learning_rate", ...), ("learning_rate", 0.000099), ("learning_rate", 1.0001), ("learning_rate", 0),
    ("learning_rate", -1), ("learning_rate", "0.1"), ("learning_rate", True), ("learning_rate", None),
    ("learning_rate", 10**30),
    ("batch_size", ...), ("batch_size", 0), ("batch_size", 257), ("batch_size", 1.5), ("batch_size", "16"),
    ("batch_size", True), ("batch_size", None),
    ("epochs", ...), ("epochs", 0), ("epochs", 1001), ("epochs", 2.5), ("epochs", "5"), ("epochs", False),
    ("optimizer", "Adam"), ("optimizer", ""), ("optimizer", None), ("optimizer", 1), ("optimizer", ["adam"]),
    ("loss_function", "hinge"), ("loss_function", None), ("loss_function", {}),
]  # fmt: skip


@pytest.mark.parametrize(("field", "value"), INSIDE)
def test_it_takes_the_bounds_themselves(field, value, client, digits):
    assert start(client, **{field: value}).status_code == 200


@pytest.mark.parametrize(
    ("loss", "target", "classes"), [("bce", "classes", 2), ("mse", "numbers", None), ("mae", "integers", 9)]
)
def test_it_takes_each_loss_for_data_that_fits(loss, target, classes, client):
    stored_dataset("digits", target=target, class_count=classes)
    assert start(client, loss_function=loss).status_code == 200


@pytest.mark.parametrize(("field", "value"), OUTSIDE)
def test_returns_422_and_names_the_field_when_it_is_refused(field, value, client, digits):
    answer = start(client, **{field: value})
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith(f"{field}: ")
    assert not Task.objects.exists()


@pytest.mark.parametrize("name", ["", "d" * 101, 7, "half \ud800"])
def test_it_says_one_rule_of_names_whatever_breaks_it(name):
    with pytest.raises(Refused, match="is not text of 1 to 100 characters$"):
        sessions.a_name(name)


def test_returns_422_for_every_bad_field_at_once(client):
    detail = client.post(URL, {"epochs": 0}, content_type="application/json").json()["detail"]
    for field in ("model_architecture", "dataset_name", "learning_rate", "batch_size", "epochs"):
        assert f"{field}: " in detail


@pytest.mark.parametrize("body", ["{", "[]", "null", '"mlp"', '{"epochs": NaN}'])
def test_returns_400_when_the_body_is_no_json_object(body, client):
    assert client.post(URL, body, content_type="application/json").status_code == 400


def test_returns_415_when_the_body_is_a_form(client, digits):
    assert client.post(URL, MINIMAL).status_code == 415


def test_returns_400_and_names_what_there_is_when_the_architecture_is_unknown(client, digits):
    answer = start(client, model_architecture="resnet19")
    assert answer.status_code == 400
    assert '"resnet19"' in answer.json()["detail"] and "resnet18, resnet34" in answer.json()["detail"]


def test_returns_400_and_names_what_there_is_when_the_dataset_is_unknown(client, digits):
    assert "there are digits" in start(client, dataset_name="digit").json()["detail"]
    for number in range(20):
        make_dataset(f"set{number}")
    answer = start(client, dataset_name="../digits")
    assert answer.status_code == 400
    assert '"../digits"' in answer.json()["detail"] and answer.json()["detail"].endswith("and more")


def test_returns_400_when_there_is_no_dataset_at_all(client):
    assert "none is registered" in start(client).json()["detail"]


@pytest.mark.parametrize(
    ("fields", "facts", "said"),
    [
        ({}, {"untrainable_reason": "there are no labels: no folders of classes"}, "there are no labels"),
        ({"model_architecture": "lenet5"}, {"input_shape": [4]}, "lenet5 needs images"),
        ({"model_architecture": "vgg11"}, {"input_shape": [4, 4, 1]}, "at least 8x8"),
        ({}, {"target": "numbers", "class_count": None}, "use mse or mae"),
        ({"loss_function": "bce"}, {}, "bce needs two classes"),
        ({"loss_function": "mae"}, {}, "mae needs a target that is a number"),
    ],
)
def test_returns_400_and_the_reason_when_the_data_does_not_fit(fields, facts, said, client):
    stored_dataset("digits", **facts)
    answer = start(client, **fields)
    assert answer.status_code == 400
    assert said in answer.json()["detail"] and "digits" in answer.json()["detail"]
    assert not Task.objects.exists()


def test_returns_400_when_the_content_is_gone(client):
    make_dataset("digits")
    answer = start(client)
    assert (answer.status_code, Task.objects.count()) == (400, 0)
    assert "missing in the server's store" in answer.json()["detail"]


def test_returns_401_without_a_key():
    answer = start(Client())
    assert (answer.status_code, answer["WWW-Authenticate"]) == (401, "Bearer")


def test_returns_403_when_the_key_may_only_read(digits):
    assert start(make_client(scope="read")).status_code == 403


def test_it_starts_once_when_sent_twice_with_one_idempotency_key(client, digits):
    first, again = (start(client, headers={"Idempotency-Key": "one"}) for _ in range(2))
    assert first.json() == again.json()
    assert again["Idempotent-Replayed"] == "true"
    assert TrainingSession.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_it_runs_one_of_two_started_at_once(client, settings):
    settings.MAX_CONCURRENT_SESSIONS = 1
    stored_dataset("digits")
    make_node()
    said = [answer.json() for answer in together(*[lambda: start(client)] * 2)]
    assert sorted(it["status"] for it in said) == ["queued", "running"]
    assert len({it["session_id"] for it in said}) == 2
    assert Run.objects.count() == 1
