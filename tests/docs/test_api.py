"""docs/api.md says what is true: its curl calls are made, its answers compared."""

import json
import re
import shlex
from pathlib import Path

import pytest
from django.test import Client

from tests.make import make_key, make_node, make_run, make_task, make_user
from training.queue.spec import RULES

pytestmark = pytest.mark.django_db

PAGE = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
CALL = re.compile(r"^# (\d{3})\n(curl (?:.*\\\n)*.*)$", re.MULTILINE)


def call(line: str, variables: dict[str, str]):
    """Make one curl call of the page with Django's client."""
    quoted = re.sub(r"'[^']*'", lambda found: found[0].replace("$", "\0"), line.replace("\\\n", " "))
    for name, value in variables.items():
        quoted = quoted.replace(f"${name}", value)
    words = shlex.split(quoted.replace("\0", "$"))[1:]
    method, headers, body, url = "GET", {}, "", ""
    while words:
        match words.pop(0):
            case "-X":
                method = words.pop(0)
            case "-H":
                name, _, value = words.pop(0).partition(": ")
                headers[name] = value
            case "-d":
                body = words.pop(0)
            case "-N":
                pass
            case word:
                url = word
    kind = headers.pop("Content-Type", "application/octet-stream")
    return Client(headers=headers).generic(method, url, body, content_type=kind)


@pytest.fixture
def variables() -> dict[str, str]:
    owner = make_user()
    make_node("box")
    ended = [make_task(owner, status="completed", pending_runs=0) for _ in range(2)]
    run = make_run(make_task(owner, status="active", pending_runs=0))
    return {
        "SERVER": "",
        "KEY": make_key(owner),
        "WAITING": str(make_task(owner, gpus=9).pk),
        "TASK": str(run.task_id),
        "ENDED": str(ended[0].pk),
        "STOPPED": str(ended[1].pk),
        "RUN": run.pk,
    }


def test_it_gives_calls_that_are_answered_as_it_says(variables):
    calls = CALL.findall(PAGE)
    assert len(calls) == PAGE.count("curl -")
    for status, line in calls:
        answer = call(line, variables)
        assert answer.status_code == int(status), (line, answer.content)


def test_it_shows_the_refusal_that_is_given(variables):
    shown = json.loads(re.search(r'```json\n(\{"detail".*?)```', PAGE, re.DOTALL)[1])
    line = next(line for status, line in CALL.findall(PAGE) if status == "422")
    assert call(line, variables).json() == shown


def test_it_shows_the_dry_run_that_is_answered(variables):
    shown = json.loads(re.search(r'```json\n(\{"would_start".*?)```', PAGE, re.DOTALL)[1])
    line = next(line for _, line in CALL.findall(PAGE) if "dry_run" in line)
    said = call(line, variables).json()
    assert said.keys() == shown.keys()
    assert said["waiting_reason"] == "needs 4 GPUs, node box has 0"


def test_it_names_every_field_of_a_submission():
    table = PAGE[PAGE.index("| Field | Means |") : PAGE.index("Where and when would it start?")]
    rows = [row.split("|") for row in table.splitlines() if "|" in row]
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row[1])}
    assert named == set(RULES)
