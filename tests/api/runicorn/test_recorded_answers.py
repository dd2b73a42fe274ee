"""Every row of the Runicorn API answers what /openapi.json says it does."""

import re
from copy import deepcopy
from typing import Any

import orjson
import pytest
from django.test import Client
from django.urls import URLPattern
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from mlserver.api import runicorn
from mlserver.api.docs import schema_json
from tests.api.runicorn.recorded import ALL
from tests.api.runicorn.recorded.world import World, new_world

pytestmark = pytest.mark.django_db
# Answered frame by frame, see test_log_socket_live.py.
WEBSOCKETS = {"GET /api/runs/{run_id}/logs/ws"}
METHODS = ("get", "post", "put", "patch", "delete")


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return closed(orjson.loads(schema_json()))


@pytest.fixture
def world(home: Any) -> World:
    return new_world()


def closed(node: Any) -> Any:
    """The same schema, in which an object has no members but those that are documented."""
    if isinstance(node, list):
        return [closed(it) for it in node]
    if not isinstance(node, dict):
        return node
    found = {name: closed(value) for name, value in node.items()}
    if found.get("type") == "object" and "properties" in found:
        found.setdefault("additionalProperties", False)
    return found


def template(pattern: URLPattern) -> str:
    """`api/runs/<str:run_id>` as the schema writes it."""
    return "/" + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", str(pattern.pattern))


def rows() -> set[str]:
    """`METHOD path` of each row of the URL map."""
    found = set()
    for pattern in runicorn.urlpatterns:
        actions = getattr(pattern.callback, "actions", None)  # of a view set
        taken = actions or [method for method in METHODS if hasattr(pattern.callback.cls, method)]
        found |= {f"{method.upper()} {template(pattern)}" for method in taken}
    return found


def answers_of(schema: dict[str, Any], row: str) -> dict[str, Any]:
    method, path = row.split(" ")
    return schema["paths"][path][method.lower()]["responses"]


def objection(schema: dict[str, Any], node: dict[str, Any], said: Any) -> ValidationError | None:
    """Why `said` is not as documented; None when it is."""
    root = {"$schema": "https://json-schema.org/draft/2020-12/schema", "components": schema["components"], **node}
    return next(iter(Draft202012Validator(root).iter_errors(said)), None)


def test_every_row_has_a_recorded_answer():
    assert rows() == set(ALL) | WEBSOCKETS


@pytest.mark.parametrize("row", sorted(ALL))
def test_it_answers_as_documented(row: str, schema: dict[str, Any], world: World) -> None:
    said = ALL[row](world)
    content = b"".join(said.streaming_content) if said.streaming else said.content
    documented = answers_of(schema, row).get(str(said.status_code))
    assert said.status_code < 300, content
    assert documented, f"{row} answers {said.status_code}, which is not documented"
    kind = said.headers["Content-Type"].partition(";")[0]
    assert kind in documented["content"], f"{row} answers {kind}, which is not documented"
    if kind == "application/json":
        body = orjson.loads(content)
        assert body, f"the recorded answer of {row} is empty: it shows nothing"
        assert objection(schema, documented["content"][kind]["schema"], body) is None


@pytest.mark.parametrize("row", sorted(ALL))
def test_it_documents_how_a_call_without_a_key_is_refused(row: str, schema: dict[str, Any], world: World) -> None:
    world.client = Client()
    said = ALL[row](world)
    assert said.status_code == 401, row
    documented = answers_of(schema, row)["401"]["content"]["application/json"]["schema"]
    assert objection(schema, documented, said.json()) is None


@pytest.mark.parametrize("row", sorted(ALL))
def test_it_is_filed_under_the_door(row: str, schema: dict[str, Any]) -> None:
    method, path = row.split(" ")
    operation = schema["paths"][path][method.lower()]
    assert operation["tags"] == ["runicorn"]
    assert operation["summary"]


def test_it_notices_an_answer_that_is_not_as_documented(schema: dict[str, Any], world: World) -> None:
    said = orjson.loads(ALL["GET /api/runs/{run_id}"](world).content)
    documented = answers_of(schema, "GET /api/runs/{run_id}")["200"]["content"]["application/json"]["schema"]
    for wrong in ({"status": "ended"}, {"created_at": "today"}, {"more": 1}, {"pid": 0.5}):
        assert objection(schema, documented, deepcopy(said) | wrong) is not None, wrong
    assert objection(schema, documented, {"id": said["id"]}) is not None
