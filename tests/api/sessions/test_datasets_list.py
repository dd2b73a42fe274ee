"""GET /api/v1/datasets and /api/v1/datasets/{dataset_name} (T17, T18)."""

import pytest
from django.test import Client

from tests.make import make_client, make_dataset, make_version

pytestmark = pytest.mark.django_db


@pytest.fixture
def reader():
    return make_client(scope="read")


def test_it_shows_what_is_known_of_each_newest_first(reader):
    make_dataset("rows", format="csv", sample_count=0, dimensions="")
    images = make_dataset("pictures", format="images", sample_count=60, dimensions="8x8x3")

    first, second = reader.get("/api/v1/datasets").json()

    assert first == {
        "name": "pictures",
        "size_mb": 10 / 1024**2,
        "sample_count": 60,
        "format": "images",
        "dimensions": "8x8x3",
        "created_at": images.created_at.isoformat().replace("+00:00", "Z"),
        "file_path": "datasets/pictures_1",
    }
    assert (second["name"], second["format"], second["sample_count"], second["dimensions"]) == ("rows", "csv", 0, None)


def test_one_is_shown_as_in_the_list(reader):
    make_dataset("rows")
    make_dataset("pictures")
    listed = {row["name"]: row for row in reader.get("/api/v1/datasets").json()}
    assert reader.get("/api/v1/datasets/rows").json() == listed["rows"]


def test_it_lists_no_models_and_nothing_of_unknown_content(reader):
    make_version("net")
    make_version("raw", type="dataset")
    assert reader.get("/api/v1/datasets").json() == []
    assert reader.get("/api/v1/datasets/raw").status_code == 404


def test_it_asks_the_database_as_often_for_many_as_for_one(reader, django_assert_num_queries):
    for _ in range(10):
        make_dataset()
    reader.get("/api/v1/datasets")  # the first use of a key is written down
    with django_assert_num_queries(2):
        assert len(reader.get("/api/v1/datasets").json()) == 10
    make_dataset("rows")
    with django_assert_num_queries(2):
        assert reader.get("/api/v1/datasets/rows").status_code == 200


@pytest.mark.parametrize("name", ["other", "..", "-x", "x" * 300])
def test_returns_404_when_there_is_no_such_dataset(reader, name):
    assert reader.get(f"/api/v1/datasets/{name}").status_code == 404


def test_returns_405_for_a_deletion(reader):
    make_dataset("rows")
    assert make_client(scope="admin").delete("/api/v1/datasets/rows").status_code == 405


@pytest.mark.parametrize("path", ["/api/v1/datasets", "/api/v1/datasets/rows"])
def test_returns_401_without_a_key(path):
    assert Client().get(path).status_code == 401
