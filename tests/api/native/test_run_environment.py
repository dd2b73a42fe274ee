"""GET and PUT /api/v1/runs/{id}/environment (N12)."""

import pytest
from django.test import Client

from tests.make import make_client, make_sdk_run
from training.models import Run, RunEnvironment

pytestmark = pytest.mark.django_db

FACTS = {"python": {"version": "3.12"}, "packages": {"numpy": "2.1"}, "git": None, "gpu": {"driver": "570"}}


@pytest.fixture
def run() -> Run:
    return make_sdk_run()


def url(run: Run) -> str:
    return f"/api/v1/runs/{run.pk}/environment"


def put(client: Client, run: Run, facts: object):
    return client.put(url(run), facts, content_type="application/json")


def test_it_is_read_as_it_was_said(run):
    client = make_client(run.owner)
    assert client.get(url(run)).status_code == 404
    assert put(client, run, {"old": 1}).status_code == 204
    assert put(client, run, FACTS).status_code == 204
    assert make_client(scope="read").get(url(run)).json() == FACTS
    assert RunEnvironment.objects.count() == 1


def test_a_long_diff_is_taken_and_an_endless_one_is_not(run):
    client = make_client(run.owner)
    assert put(client, run, {"git": {"diff": "ü" * 256 * 1024}}).status_code == 204
    assert put(client, run, {"git": {"diff": "x" * 5 * 1024**2}}).status_code == 413
    assert put(client, run, [1]).status_code == 400


def test_it_is_the_owners_to_say(run):
    assert Client().get(url(run)).status_code == 401
    assert put(make_client(), run, FACTS).status_code == 403
    assert put(make_client(scope="admin"), run, FACTS).status_code == 204
    for call in (make_client().get, make_client().put):
        assert call("/api/v1/runs/20260101_000000_000000/environment").status_code == 404
