"""What /openapi.json says of the Training API: an example that works, the document's order, the bounds that hold."""

from typing import Any

import orjson
import pytest
from django.test import Client
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator

from tests.datasets import stored_dataset
from tests.make import make_client
from training.sessions import FIELDS

START = "/api/v1/training/start"
MODEL, DATASET = "/api/v1/models/{model_name}", "/api/v1/datasets/{dataset_name}"
Schema = dict[str, Any]


@pytest.fixture(scope="module")
def schema() -> Schema:
    return orjson.loads(Client().get("/openapi.json").content)


def parameter(schema: Schema, path: str, method: str, name: str) -> Schema:
    """What its value must be."""
    return next(it["schema"] for it in schema["paths"][path][method]["parameters"] if it["name"] == name)


def test_it_is_built_without_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    SchemaGenerator().get_schema(public=True)
    assert not GENERATOR_STATS, capsys.readouterr().err


@pytest.mark.django_db
def test_it_fills_the_form_with_a_training_that_starts(schema: Schema) -> None:
    content = schema["paths"][START]["post"]["requestBody"]["content"]["application/json"]
    (example,) = (it["value"] for it in content["examples"].values())
    assert tuple(example) == FIELDS
    stored_dataset("digits")
    assert make_client().post(START, example, content_type="application/json").status_code == 200


def test_it_lists_the_calls_in_the_order_of_the_document(schema: Schema) -> None:
    mine = [name for item in schema["paths"].values() for name in ids_of(item, "training")]
    assert mine == [
        "training_start", "training_stop", "training_status", "training_metrics", "training_history", "training_logs",
        "training_sessions", "training_queue", "training_queue_cancel", "system_info", "models_list", "models_upload",
        "models_download", "models_delete", "datasets_list", "datasets_upload", "datasets_read",
    ]  # fmt: skip


def test_it_lists_the_native_calls_with_the_methods_in_their_usual_order(schema: Schema) -> None:
    assert next(iter(schema["paths"])) == "/"
    assert [path for path in schema["paths"] if "/tasks" in path][0] == "/api/v1/tasks"
    assert list(schema["paths"]["/api/v1/tasks/{id}"]) == ["get", "patch", "delete"]


def ids_of(item: Schema, tag: str) -> list[str]:
    return [operation["operationId"] for operation in item.values() if tag in operation["tags"]]


def test_it_says_the_bounds_of_its_parameters(schema: Schema) -> None:
    limit = parameter(schema, "/api/v1/training/{session_id}/logs", "get", "limit")
    assert limit == {"type": "integer", "minimum": 1, "maximum": 10_000, "default": 100}
    session = parameter(schema, "/api/v1/training/{session_id}/status", "get", "session_id")
    assert session == {"type": "string", "pattern": "^sess_[0-9a-f]{12}$"}
    name = {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]*$"}
    assert parameter(schema, "/api/v1/models", "post", "model_name") == name | {"maxLength": 100}
    assert parameter(schema, "/api/v1/datasets", "post", "dataset_name") == name | {"maxLength": 100}
    assert parameter(schema, MODEL, "get", "model_name") == name | {"maxLength": 200}
    assert parameter(schema, DATASET, "get", "dataset_name") == name | {"maxLength": 100}


def test_it_says_that_unknown_names_and_data_that_does_not_fit_are_400(schema: Schema) -> None:
    said = schema["paths"][START]["post"]["responses"]["400"]["description"]
    assert all(words in said for words in ("not JSON", "dataset of this name", "does not fit"))


def test_it_offers_the_bearer_key_first(schema: Schema) -> None:
    assert list(schema["components"]["securitySchemes"]) == ["Bearer", "X-API-Key", "Session"]
