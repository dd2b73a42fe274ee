"""docs/flowline.md says what is true: its curl calls are made, its table names every route."""

import re
from pathlib import Path

import pytest

from mlserver.api.flowline import urlpatterns
from tests.docs.curl import call
from tests.make import make_key, make_node, make_user

PAGE = (Path(__file__).parents[2] / "docs" / "flowline.md").read_text()
CALLS = re.findall(r"^curl (?:.*\\\n)*.*$", PAGE, re.MULTILINE)


@pytest.mark.django_db
@pytest.mark.usefixtures("home")
def test_its_calls_succeed():
    make_node()
    variables = {"KEY": make_key(make_user())}
    assert len(CALLS) == 6
    for line in CALLS:
        answer = call(line.replace("http://127.0.0.1:8000", ""), variables)
        assert answer.status_code == 200, (line, answer.content)


def test_its_table_names_every_route():
    words = {
        "<str:gpu_id>": "<index>",
        "<str:process_id>": "<pid>",
        "<int:task_id>": "<id>",
        "<str:log_file_name>": "<name>",
    }
    for pattern in urlpatterns:
        route = "/" + str(pattern.pattern)
        for ours, theirs in words.items():
            route = route.replace(ours, theirs)
        assert f"{route}`" in PAGE, route
