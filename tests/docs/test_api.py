"""docs/api.md says what is true: its curl calls are made, its answers compared."""

import json
import re
from pathlib import Path

import pytest

from tests.docs.curl import CALL, call
from tests.make import make_key, make_node, make_run, make_sdk_run, make_task, make_user
from tests.pictures import picture
from training.queue.spec import RULES
from training.tracking.metrics import cache

pytestmark = pytest.mark.django_db

PAGE = (Path(__file__).parents[2] / "docs" / "api.md").read_text()


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
        "SDK_RUN": make_sdk_run(owner).pk,
    }


def test_it_gives_calls_that_are_answered_as_it_says(variables, tmp_path):
    (tmp_path / "confusion.png").write_bytes(picture())
    calls = CALL.findall(PAGE)
    assert len(calls) == PAGE.count("curl -")
    for status, line in calls:
        answer = call(line, variables, tmp_path)
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


def test_it_shows_the_metrics_that_are_answered(variables):
    cache.clear()
    lines = [line for _, line in CALL.findall(PAGE) if "/metrics" in line and "system=1" not in line]
    shown = [json.loads(text) for text in re.findall(r'```json\n(\{"(?:accepted|steps)".*?)```', PAGE, re.DOTALL)]
    assert [call(line, variables).json() for line in lines] == shown
    assert len(shown) == 2
