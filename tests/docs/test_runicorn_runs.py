"""docs/runicorn.md says what is true of runs: its curl calls are made, its answers compared."""

import json
import re
from pathlib import Path

import pytest

from tests.docs.curl import CALL, call
from tests.make import make_key, make_run, make_task, make_user
from training.api.runicorn.statuses import STATUSES

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("home")]

PAGE = (Path(__file__).parents[2] / "docs" / "runicorn.md").read_text()


@pytest.fixture
def variables() -> dict[str, str]:
    owner = make_user()
    run = make_run(make_task(owner, project="vision", name="resnet"), status="finished")
    return {"SERVER": "", "KEY": make_key(owner), "RUN": run.pk}


def test_it_gives_calls_that_are_answered_as_it_says(variables):
    calls = CALL.findall(PAGE)
    assert len(calls) == PAGE.count("curl -")
    for status, line in calls:
        answer = call(line, variables)
        assert answer.status_code == int(status), (line, answer.content)


def test_it_shows_the_refusal_that_is_given(variables):
    shown = json.loads(re.search(r'refused with `(\{"detail".*?\})`', PAGE)[1])
    line = next(line for status, line in CALL.findall(PAGE) if "status=done" in line)
    assert call(line, variables).json() == shown


def test_it_names_every_status():
    table = PAGE[PAGE.index("| Ours |") : PAGE.index("Times are seconds")]
    rows = [re.findall(r"`(\w+)`", row) for row in table.splitlines()[2:] if row]
    assert {ours: row[-1] for row in rows for ours in row[:-1]} == STATUSES
