"""GET /api/metrics/cache/stats (R9)."""

import pytest
from django.test import Client

from tests.metrics import log

pytestmark = pytest.mark.django_db
PATH = "/api/metrics/cache/stats"


def test_it_counts_how_runs_were_read(client, run):
    nothing = client.get(PATH).json()
    assert nothing == {
        "size": 0, "max_size": 100, "hits": 0, "misses": 0, "incremental_updates": 0, "hit_rate": 0.0,
        "incremental_rate": 0.0,
    }  # fmt: skip
    for step in range(2):
        log(run, {"global_step": step, "loss": 1.0})
        for _ in range(2):
            client.get(f"/api/runs/{run.pk}/metrics_step")
    assert client.get(PATH).json() == {
        "size": 1, "max_size": 100, "hits": 2, "misses": 1, "incremental_updates": 1, "hit_rate": 0.5,
        "incremental_rate": 0.25,
    }  # fmt: skip


def test_returns_401_when_there_is_no_key():
    assert Client().get(PATH).status_code == 401
