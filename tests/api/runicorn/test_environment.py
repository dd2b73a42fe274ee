"""GET /api/environment/{run_id} (R71)."""

import pytest

from tests.api.runicorn.refusals import assert_refuses_other_runs
from training.models import RunEnvironment

pytestmark = pytest.mark.django_db


def test_it_answers_what_was_captured(client, run, django_assert_num_queries):
    facts = {"python": {"version": "3.11"}, "packages": {"numpy": "2.0"}, "git": None}
    RunEnvironment.objects.create(run=run, facts=facts)
    client.get(f"/api/environment/{run.pk}")
    with django_assert_num_queries(3):
        answer = client.get(f"/api/environment/{run.pk}")
    assert (answer.status_code, answer.json()) == (200, {"available": True, "environment": facts})


def test_it_says_that_nothing_was_captured(client, run):
    assert client.get(f"/api/environment/{run.pk}").json() == {"available": False}


def test_it_refuses_runs_that_are_not_there(client):
    assert_refuses_other_runs(client, "/api/environment/{}")
