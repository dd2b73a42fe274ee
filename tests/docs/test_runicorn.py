"""docs/runicorn.md says the limits that hold, and shows a file of limits that is taken."""

import json
import re
from pathlib import Path

import pytest
from django.test import Client

from mlserver.api.rate_limits import RateLimits
from mlserver.api.rate_limits.model import LOG_SOCKET
from tests.make import make_client, make_sdk_run
from tests.metrics import log

PAGE = (Path(__file__).parents[2] / "docs" / "runicorn.md").read_text()


def test_it_names_the_limit_of_every_row():
    limits = RateLimits()
    rows = re.findall(r"^\| (`[^|]+`) \| (\d+)(?: open connections, not calls)? \|$", PAGE, re.MULTILINE)
    named = {name: int(most) for names, most in rows for name in re.findall(r"`([^`]+)`", names)}
    other = {rule: it.max_requests for rule, it in limits.endpoints.items() if it.max_requests != 60}
    assert named == other
    assert LOG_SOCKET in named
    assert f"{limits.default.max_requests} calls a minute are allowed" in PAGE
    assert {it.window_seconds for it in limits.endpoints.values()} == {60}


def test_it_shows_a_file_that_is_taken():
    (text,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    limits = RateLimits.of(json.loads(text))
    assert set(limits.endpoints) == {"/api/runs", "/api/runs/{run_id}/metrics_step", "POST /api/export"}
    assert limits.endpoints["/api/runs"].burst_size == 20


@pytest.mark.django_db
def test_its_calls_are_there(home):
    run = make_sdk_run()
    log(run, {"global_step": 1, "loss": 0.5})
    client: Client = make_client(scope="read")
    calls = re.findall(r"`GET (/api/[^`?]+)(?:\?[^`]*)?`", PAGE)
    assert len(calls) == 10
    for path in calls:
        assert client.get(path.replace("<run>", run.pk)).status_code == 200, path
