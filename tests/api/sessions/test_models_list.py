"""GET /api/v1/models (T13)."""

import pytest
from django.test import Client

from registry.models import Artifact
from registry.publish import delete_versions
from tests.make import make_client, make_dataset, make_version

pytestmark = pytest.mark.django_db


def test_it_lists_the_newest_version_of_each_model_newest_first():
    make_version("old", size_bytes=3 * 1024**2)
    make_version("new", size_bytes=1)
    second = make_version("old", size_bytes=5 * 1024**2 // 2)

    rows = make_client(scope="read").get("/api/v1/models").json()

    assert [row["name"] for row in rows] == ["old", "new"]
    assert rows[0] == {
        "name": "old",
        "size_mb": 2.5,
        "created_at": second.created_at.isoformat().replace("+00:00", "Z"),
        "file_path": "models/old_2",
    }
    assert rows[1]["size_mb"] == 1 / 1024**2


def test_it_lists_neither_datasets_nor_deleted_models(store):
    make_dataset()
    make_version("gone")
    delete_versions(Artifact.objects.get(name="gone"))
    assert make_client(scope="read").get("/api/v1/models").json() == []


def test_it_asks_the_database_as_often_for_many_as_for_one(django_assert_num_queries):
    client = make_client(scope="read")
    for number in range(20):
        make_version(f"net{number % 10}")
    client.get("/api/v1/models")  # the first use of a key is written down
    with django_assert_num_queries(2):
        assert len(client.get("/api/v1/models").json()) == 10


def test_returns_401_without_a_key():
    assert Client().get("/api/v1/models").status_code == 401
