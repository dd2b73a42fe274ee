"""PUT /api/v1/runs/{id}/summary (N12)."""

import json
from typing import Any

import pytest
from django.test import Client

from tests.make import make_client, make_run, make_sdk_run
from tests.together import together
from training.models import Run
from training.models.run import MAX_SUMMARY_BYTES

pytestmark = pytest.mark.django_db


@pytest.fixture
def run() -> Run:
    return make_sdk_run()


@pytest.fixture
def client(run: Run) -> Client:
    return make_client(run.owner)


def put(client: Client, run: Run, body: str | dict[str, Any]):
    text = body if isinstance(body, str) else json.dumps(body)
    return client.put(f"/api/v1/runs/{run.pk}/summary", text, content_type="application/json")


def test_members_come_into_the_summary(run, client):
    put(client, run, {"parameters": 61_706, "kind": "cnn"})
    answer = put(client, run, {"kind": "mlp", "layers": [{"size": 10}], "ok": True, "none": None})
    expected = {"parameters": 61_706, "kind": "mlp", "layers": [{"size": 10}], "ok": True, "none": None}
    assert (answer.status_code, answer.json()["script_summary"]) == (200, expected)
    shown = client.get(f"/api/v1/runs/{run.pk}").json()
    assert (shown["script_summary"], shown["summary"]) == (expected, {})
    assert shown["updated_at"] > run.updated_at.isoformat()


def test_the_best_metric_is_shown_beside_it(run, client):
    best = {
        "best_metric_name": "acc", "best_metric_value": 0.5, "best_metric_step": 3, "best_metric_mode": "max",
    }  # fmt: skip
    said = put(client, run, best).json()
    assert {name: said[name] for name in best} == best
    shown = client.get(f"/api/v1/runs/{run.pk}").json()
    assert {name: shown[name] for name in best} == best
    odd = put(client, run, {"best_metric_value": "high", "best_metric_step": 1e300, "best_metric_mode": "best"}).json()
    assert {name: odd[name] for name in best} == best


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("NaN", None), ("-Infinity", None), ("[1, Infinity]", [1, None]), ("1e999", None), ('{"a": NaN}', {"a": None}),
        ('"a\\u0000b"', "ab"), ('"\\ud800"', "?"), (str(10**30), 1e30), (str(-(10**400)), None), ("0.1", 0.1),
    ],
)  # fmt: skip
def test_what_no_database_holds_is_kept_as_well_as_it_can_be(sent, kept, run, client):
    answer = put(client, run, f'{{"x": {sent}}}')
    assert (answer.status_code, answer.json().get("script_summary")) == (200, {"x": kept})


def test_the_same_again_is_no_change(run, client):
    put(client, run, {"a": 1})
    first = Run.objects.get(pk=run.pk).updated_at
    put(client, run, {"a": 1})
    put(client, run, "")
    assert Run.objects.get(pk=run.pk).updated_at == first


@pytest.mark.parametrize("body", ["[1]", "{", "nonsense", '"x"'])
def test_returns_400_when_it_is_no_object(body, run, client):
    assert put(client, run, body).status_code == 400


def test_returns_422_when_it_becomes_too_large_or_too_deep(run, client):
    half = "x" * (MAX_SUMMARY_BYTES // 2)
    assert put(client, run, {"a": half}).status_code == 200
    assert put(client, run, {"b": half}).status_code == 422
    assert put(client, run, '{"deep": ' + "[" * 40 + "]" * 40 + "}").json()["errors"].keys() == {"deep"}
    assert put(client, run, '{"deep": ' + "[" * 100_000 + "]" * 100_000 + "}").status_code in (400, 422)
    assert list(Run.objects.get(pk=run.pk).summary) == ["a"]


def test_returns_413_and_415(run, client):
    assert put(client, run, {"a": "x" * 1024**2}).status_code == 413
    assert client.put(f"/api/v1/runs/{run.pk}/summary", "a=1", content_type="text/plain").status_code == 415


def test_it_is_taken_of_any_run_at_any_time(client, run):
    for other in (make_run(owner=run.owner), make_sdk_run(run.owner, status="failed")):
        assert put(client, other, {"a": 1}).status_code == 200


def test_it_is_the_owners_alone(run):
    assert put(Client(), run, {}).status_code == 401
    assert put(make_client(), run, {}).status_code == 403
    assert put(make_client(run.owner, scope="read"), run, {}).status_code == 403
    assert put(make_client(scope="admin"), run, {}).status_code == 200


@pytest.mark.database
@pytest.mark.django_db(transaction=True)
def test_of_two_at_once_none_is_lost(run):
    client = make_client(run.owner)
    assert together(*[lambda n=n: put(client, run, {f"m{n}": n}).status_code for n in range(4)]) == [200] * 4
    run.refresh_from_db()
    assert run.summary == {f"m{n}": n for n in range(4)}
