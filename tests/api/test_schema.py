"""/openapi.json: complete, valid in structure, and true about what is answered."""

import re
from typing import Any

import orjson
import pytest
from django.test import Client
from django.urls import get_resolver, resolve
from django.urls.resolvers import URLPattern, URLResolver
from drf_spectacular.validation import validate_schema

from gpus.models import Pool
from mlserver.api import native, sessions
from tests.logs import WrittenLog
from tests.make import (
    make_client,
    make_dataset,
    make_epoch,
    make_event,
    make_gpu,
    make_lease,
    make_node,
    make_process,
    make_run,
    make_schedule,
    make_series,
    make_session,
    make_task,
    make_version,
)
from training.models import UserLimits

METHODS = {"get", "post", "put", "patch", "delete"}
DOCUMENTED = {
    ("/api/v1/tasks", "get post"),
    ("/api/v1/tasks/{id}", "get patch delete"),
    ("/api/v1/tasks/{id}/stop", "post"),
    ("/api/v1/tasks/{id}/hold", "post"),
    ("/api/v1/tasks/{id}/release", "post"),
    ("/api/v1/tasks/{id}/retry", "post"),
    ("/api/v1/arrays/{id}", "get"),
    ("/api/v1/arrays/{id}/stop", "post"),
    ("/api/v1/arrays/{id}/hold", "post"),
    ("/api/v1/arrays/{id}/release", "post"),
    ("/api/v1/runs", "get post"),
    ("/api/v1/runs/{id}", "get patch"),
    ("/api/v1/runs/{id}/logs", "get post"),
    ("/api/v1/runs/{id}/metrics", "get post"),
    ("/api/v1/runs/{id}/media", "get post"),
    ("/api/v1/runs/{id}/media/{name}", "get"),
    ("/api/v1/runs/{id}/summary", "put"),
    ("/api/v1/runs/{id}/environment", "get put"),
    ("/api/v1/runs/{id}/terminal", "post"),
    ("/api/v1/runs/{id}/heartbeat", "post"),
    ("/api/v1/runs/{id}/finish", "post"),
    ("/api/v1/processes", "get"),
    ("/api/v1/processes/{id}", "get"),
    ("/api/v1/events", "get"),
    ("/api/v1/events/{id}", "get"),
    ("/api/v1/leases", "get"),
    ("/api/v1/leases/{id}", "get"),
    ("/api/v1/nodes", "get"),
    ("/api/v1/nodes/{id}", "get"),
    ("/api/v1/gpus", "get"),
    ("/api/v1/gpus/{id}", "get patch"),
    ("/api/v1/pools", "get post"),
    ("/api/v1/pools/{id}", "get patch delete"),
    ("/api/v1/queues", "get post"),
    ("/api/v1/queues/{id}", "get patch delete"),
    ("/api/v1/user-limits", "get post"),
    ("/api/v1/schedules", "get post"),
    ("/api/v1/schedules/{id}", "get patch delete"),
    ("/api/v1/schedules/{id}/fire", "post"),
    ("/api/v1/user-limits/{id}", "get patch delete"),
    ("/api/v1/api-keys", "get post"),
    ("/api/v1/api-keys/{id}", "get delete"),
}
TRAINING = {
    ("/api/v1/training/start", "post"),
    ("/api/v1/training/{session_id}/stop", "post"),
    ("/api/v1/training/{session_id}/status", "get"),
    ("/api/v1/training/{session_id}/metrics", "get"),
    ("/api/v1/training/{session_id}/history", "get"),
    ("/api/v1/training/{session_id}/logs", "get"),
    ("/api/v1/training/sessions", "get"),
    ("/api/v1/training/queue", "get"),
    ("/api/v1/training/queue/{session_id}", "delete"),
    ("/api/v1/system/info", "get"),
    ("/api/v1/models", "get post"),
    ("/api/v1/models/{model_name}", "get delete"),
    ("/api/v1/datasets", "get post"),
    ("/api/v1/datasets/{dataset_name}", "get"),
}
OPEN = {"/", "/health", "/api/health", "/webterminal/{token}"}


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return orjson.loads(Client().get("/openapi.json").content)


def operations(schema: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(path, method, item[method]) for path, item in schema["paths"].items() for method in METHODS & item.keys()]


def references(node: Any) -> list[str]:
    if isinstance(node, dict):
        here = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return here + [ref for value in node.values() for ref in references(value)]
    return [ref for value in node for ref in references(value)] if isinstance(node, list) else []


def test_it_keeps_the_rules_of_openapi(schema):
    assert validate_schema(schema) is None  # it raises otherwise


def test_it_is_openapi_with_every_reference_resolved(schema):
    assert schema["openapi"].startswith("3.1")
    assert {"title", "version"} <= schema["info"].keys()
    for ref in references(schema):
        target: Any = schema
        for part in ref.removeprefix("#/").split("/"):
            target = target[part]
        assert target, ref


def test_it_gives_each_operation_a_name_of_its_own_and_answers(schema):
    names = [operation["operationId"] for _, _, operation in operations(schema)]
    assert len(names) == len(set(names))
    for path, method, operation in operations(schema):
        assert operation["responses"], (path, method)
        assert operation["tags"], (path, method)


def test_it_declares_every_parameter_of_a_path(schema):
    for path, method, operation in operations(schema):
        declared = {it["name"] for it in operation.get("parameters", []) if it["in"] == "path"}
        assert declared == set(re.findall(r"{(\w+)}", path)), (path, method)


def test_it_declares_the_key_in_either_header(schema):
    schemes = schema["components"]["securitySchemes"]
    assert (schemes["Bearer"]["type"], schemes["Bearer"]["scheme"]) == ("http", "bearer")
    assert (schemes["X-API-Key"]["in"], schemes["X-API-Key"]["name"]) == ("header", "X-API-Key")
    for path, method, operation in operations(schema):
        ways = operation["security"]
        assert ways == [{}] if path in OPEN else {"Bearer": []} in ways and {"X-API-Key": []} in ways, (path, method)
        assert all(name in schemes for way in ways for name in way)


def test_it_documents_each_row_of_the_native_and_the_training_api(schema):
    for path, methods in DOCUMENTED | TRAINING:
        assert set(methods.split()) == METHODS & schema["paths"][path].keys(), path


def test_it_documents_nothing_that_the_documents_lack(schema):
    documented = {path for path, _ in DOCUMENTED | TRAINING}
    assert {path for path in schema["paths"] if path.startswith("/api/v1/")} == documented


def patterns(resolver: URLResolver, prefix: str = "") -> list[tuple[str, URLPattern]]:
    found: list[tuple[str, URLPattern]] = []
    for it in resolver.url_patterns:
        route = prefix + str(it.pattern)
        found += patterns(it, route) if isinstance(it, URLResolver) else [(route, it)]
    return found


def test_it_maps_each_url_once_and_shadows_none():
    routes = [route for route, _ in patterns(get_resolver()) if route.startswith("api/v1/")]
    assert len(routes) == len(set(routes))
    for route, pattern in patterns(get_resolver()):
        if route.startswith("api/v1/"):
            path = "/" + re.sub(r"<str:\w+>", "20260101_000000_aaaaaa", re.sub(r"<int:\w+>", "7", route))
            assert resolve(path).func is pattern.callback, route
    assert len(native.urlpatterns) + len(sessions.urlpatterns) == len(routes)


def fields_of(schema: dict[str, Any], node: dict[str, Any]) -> dict[str, Any] | None:
    """The properties an object schema documents; None where anything goes."""
    while "$ref" in node:
        node = schema["components"]["schemas"][node["$ref"].rpartition("/")[2]]
    for one in node.get("oneOf", []) + node.get("allOf", []):
        if (fields := fields_of(schema, one)) is not None:
            return fields
    return node.get("properties")


def assert_as_documented(schema: dict[str, Any], said: Any, node: dict[str, Any], where: str) -> None:
    if isinstance(said, list):
        for one in said:
            assert_as_documented(schema, one, node.get("items", {}), f"{where}[]")
    fields = fields_of(schema, node) if isinstance(said, dict) else None
    if fields is None:
        return
    assert set(said) == set(fields), where
    for name, value in said.items():
        assert_as_documented(schema, value, fields[name], f"{where}.{name}")


@pytest.mark.django_db
@pytest.mark.parametrize(
    "noun", ["tasks", "runs", "processes", "events", "leases", "pools", "queues", "user-limits", "schedules"]
)
def test_it_answers_exactly_the_documented_fields(noun, schema):
    task = make_task(status="active", env={"A": "b"}, config={"lr": 1})
    run = make_run(task, node=make_node())
    make_lease(run, make_gpu(run.node))
    make_series(run)
    make_process(run)
    make_event(task, run=run)
    Pool.objects.update(name="fast")
    Pool.objects.get().gpus.set(run.leases.values_list("gpu", flat=True))
    UserLimits.objects.create(user=task.owner, max_gpus=3)
    make_schedule(task.owner)
    client = make_client(task.owner)

    rows = client.get(f"/api/v1/{noun}").json()["results"]
    page = schema["paths"][f"/api/v1/{noun}"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    one = schema["paths"][f"/api/v1/{noun}/{{id}}"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert len(rows) == 1
    assert_as_documented(schema, rows, (fields_of(schema, page) or {})["results"], noun)
    assert_as_documented(schema, client.get(f"/api/v1/{noun}/{rows[0]['id']}").json(), one, noun)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/api/v1/tasks", {"command": "x"}, "201"),
        ("/api/v1/tasks?dry_run=1", {"command": "x"}, "200"),
        ("/api/v1/runs", {}, "201"),
    ],
)
def test_it_answers_creations_as_documented(path, body, status, schema):
    said = make_client().post(path, body, content_type="application/json")
    responses = schema["paths"][path.partition("?")[0]]["post"]["responses"]
    assert str(said.status_code) == status
    assert_as_documented(schema, said.json(), responses[status]["content"]["application/json"]["schema"], path)


@pytest.mark.django_db
@pytest.mark.parametrize("row", ["status", "metrics", "history", "logs", "sessions", "queue"])
def test_it_answers_trainings_with_exactly_the_documented_fields(row, schema, home):
    session = make_session()
    make_epoch(session, 1, run := make_run(session.task))
    WrittenLog(run).write("INFO epoch 1\n")
    path = f"/api/v1/training/{'' if row in ('sessions', 'queue') else '{session_id}/'}{row}"
    said = make_client(scope="read").get(path.replace("{session_id}", session.pk)).json()
    answer = schema["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert said
    assert_as_documented(schema, said, answer, path)


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/api/v1/models", "/api/v1/datasets", "/api/v1/datasets/{dataset_name}"])
def test_it_answers_models_and_datasets_with_exactly_the_documented_fields(path, schema):
    make_version("net")
    make_dataset("rows")
    said = make_client(scope="read").get(path.replace("{dataset_name}", "rows")).json()
    answer = schema["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert said
    assert_as_documented(schema, said, answer, path)


def test_it_documents_uploads_as_forms_and_downloads_as_bytes(schema):
    for path in ("/api/v1/models", "/api/v1/datasets"):
        form = schema["paths"][path]["post"]["requestBody"]["content"]
        assert form["multipart/form-data"]["schema"]["required"] == ["file"]
    answers = schema["paths"]["/api/v1/models/{model_name}"]["get"]["responses"]
    assert {"200", "206", "304", "416"} <= set(answers)
    assert set(answers["200"]["content"]) == {"application/octet-stream"}


@pytest.mark.django_db
def test_it_answers_the_system_with_exactly_the_documented_fields(schema):
    said = make_client(scope="read").get("/api/v1/system/info").json()
    answer = schema["paths"]["/api/v1/system/info"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert set(said) == set(fields_of(schema, answer) or ())


@pytest.mark.django_db
def test_it_documents_the_filters_that_are_taken(schema):
    taken = {it["name"] for it in schema["paths"]["/api/v1/tasks"]["get"]["parameters"]}
    assert taken == {
        "status", "owner", "project", "source", "pool", "queue", "tag", "label", "array", "schedule", "job_id",
        "search", "created_after", "created_before", "cursor", "page_size", "ordering", "count",
    }  # fmt: skip


NATIVE = "/api/v1/"


def test_it_says_of_each_operation_what_it_does(schema):
    native = [operation for path, _, operation in operations(schema) if path.startswith(NATIVE)]
    summaries = [operation["summary"] for operation in native]
    assert len(summaries) == len(set(summaries))
    assert all(operation["description"] for operation in native)
    said = {operation["description"] for path, _, operation in operations(schema) if path.startswith("/api/v1/tasks")}
    assert len(said) == 9


def test_it_documents_the_refusals(schema):
    for path, method, operation in operations(schema):
        if not path.startswith(NATIVE):
            continue
        codes = {code for code in operation["responses"] if code >= "400"}
        assert {"401", "403", "429", "503"} <= codes, (path, method)
        bodies = operation.get("requestBody", {}).get("content", {})
        assert ({"400", "413", "422"} <= codes) or not bodies, (path, method)
        assert ("415" in codes) == ("application/json" in bodies), (path, method)
        assert ("404" in codes) == ("{" in path), (path, method)
        for code in codes:
            body = operation["responses"][code]["content"]["application/json"]["schema"]
            assert set(fields_of(schema, body)) == {"detail", "errors"}
        assert "Retry-After" in operation["responses"]["429"]["headers"]


def test_it_documents_where_a_state_is_in_the_way(schema):
    found = {
        (path, method)
        for path, method, operation in operations(schema)
        if "409" in operation["responses"] and path.startswith("/api/v1/")
    }
    task = "/api/v1/tasks/{id}"
    actions = {(f"{task}/{action}", "post") for action in ("stop", "hold", "release", "retry")}
    trainings = {("/api/v1/training/{session_id}/stop", "post"), ("/api/v1/training/queue/{session_id}", "delete")}
    stored = {("/api/v1/models", "post"), ("/api/v1/models/{model_name}", "delete"), ("/api/v1/datasets", "post")}
    lines = {(f"/api/v1/{noun}", "post") for noun in ("pools", "queues", "user-limits")}
    lines |= {("/api/v1/schedules/{id}/fire", "post")}
    lines |= {(f"/api/v1/{noun}/{{id}}", method) for noun in ("pools", "queues") for method in ("patch", "delete")}
    run = "/api/v1/runs/{id}"
    said = ("metrics", "logs", "media", "terminal", "heartbeat", "finish")
    runs = {("/api/v1/runs", "post"), *((f"{run}/{noun}", "post") for noun in said)}
    assert found == actions | {(task, "patch"), (task, "delete"), *runs} | trainings | stored | lines
    stop = schema["paths"][f"{task}/stop"]["post"]
    assert "409 when it had ended before" in stop["description"]
    assert stop["responses"]["200"]["description"] == "it waited or was held, and has ended"


def test_it_documents_the_idempotency_key_where_something_is_created(schema):
    taken = {
        path
        for path, _, operation in operations(schema)
        if any(it["name"] == "Idempotency-Key" for it in operation.get("parameters", []))
    }
    made = {f"/api/v1/{noun}" for noun in ("tasks", "runs", "pools", "queues", "user-limits", "schedules", "api-keys")}
    assert taken == made | {"/api/v1/training/start", "/api/task/create", "/api/task/copy", "/api/jobs/create"}


def test_it_files_the_training_api_under_a_tag_of_its_own(schema):
    paths = {path for path, _, operation in operations(schema) if operation["tags"] == ["training"]}
    assert paths >= {path for path, _ in TRAINING}
