"""docs/jobs.md says what is true: its tables name every route and field, its calls are made."""

import re
from pathlib import Path

import pytest

from mlserver.api.jobs import urlpatterns
from tests.docs.curl import call
from tests.make import make_key, make_node, make_run, make_user
from training.jobs import RULES
from training.models import Task

PAGE = (Path(__file__).parents[2] / "docs" / "jobs.md").read_text()
CALLS = [line for line in re.findall(r"^curl (?:.*\\\n)*.*$", PAGE, re.MULTILINE)]


def test_its_tables_name_every_route_and_field():
    for pattern in urlpatterns:
        route = "/" + str(pattern.pattern).replace("<str:job_id>", "<id>").replace("<str:pod_name>", "<pod>")
        assert f"{route}`" in PAGE or route.startswith("/webterminal"), route
    assert all(f"`{name}`" in PAGE for name in set(RULES) - {"jobType", "mounts"})


@pytest.mark.django_db
@pytest.mark.usefixtures("home")
def test_its_calls_succeed():
    owner = make_user()
    make_node()
    variables = {"KEY": make_key(owner)}
    assert call(CALLS[0].replace("http://127.0.0.1:8000", ""), variables).status_code == 200
    task = Task.objects.get()
    make_run(task) if not task.runs.exists() else None
    variables["JOB"] = task.job_id
    for line in CALLS[1:]:
        answer = call(line.partition("   #")[0].replace("http://127.0.0.1:8000", ""), variables)
        assert answer.status_code == 200, line
