"""POST /api/v1/datasets (T19). What all uploads have in common is tested with T15."""

import errno

import pytest
from django.test import Client

from registry import blobs
from registry.models import ArtifactVersion, DatasetFacts
from tests.api.sessions.forms import form, part, send
from tests.make import make_client, make_dataset, make_user
from tests.registry.contents import files_in_store

pytestmark = pytest.mark.django_db
PATH = "/api/v1/datasets?dataset_name=rows"
ROWS = b"height,width,label\n1,2,a\n3,4,b\n5,6,a\n"


@pytest.fixture
def client(store):
    return make_client()


def assert_nothing_is_left():
    assert (ArtifactVersion.objects.count(), DatasetFacts.objects.count()) == (0, 0)
    assert files_in_store() == []


@pytest.mark.process
def test_it_reads_what_is_in_the_data(store, django_capture_on_commit_callbacks):
    user = make_user()
    client = make_client(user)
    with django_capture_on_commit_callbacks(execute=True):
        answer = send(client, PATH, form(part(ROWS, file_name="rows.csv")))

    assert (answer.status_code, answer.json()) == (
        200,
        {"message": "dataset 'rows' is uploaded", "name": "rows", "size_mb": len(ROWS) / 1024**2},
    )
    shown = client.get("/api/v1/datasets/rows").json()
    assert (shown["format"], shown["sample_count"], shown["dimensions"]) == ("csv", 3, "3")
    version = ArtifactVersion.objects.get()
    assert (version.owner, version.artifact.type) == (user, "dataset")
    assert (store / shown["file_path"]).read_bytes() == ROWS


@pytest.mark.process
@pytest.mark.parametrize(
    ("file_name", "content"),
    [("rows.zip", b"no archive"), ("rows.tar.gz", b"\x1f\x8bno"), ("rows.npy", b"no array"), ("rows.exe", ROWS)],
)
def test_returns_400_with_the_reason_when_the_data_is_unreadable(client, file_name, content):
    answer = send(client, PATH, form(part(content, file_name=file_name)))
    assert (answer.status_code, bool(answer.json()["detail"])) == (400, True)
    assert_nothing_is_left()


def test_returns_409_when_the_name_is_taken(client):
    make_dataset("rows")
    answer = send(client, PATH, b"")
    assert (answer.status_code, answer.json()["detail"].startswith("dataset 'rows' exists")) == (409, True)


def test_a_model_of_that_name_is_not_in_the_way(client):
    send(client, "/api/v1/models?model_name=rows", form(part(b"weights")))
    answer = send(client, PATH, form())
    assert (answer.status_code, list(answer.json()["errors"])) == (422, ["file"])


@pytest.mark.parametrize("query", ["", "?dataset_name=", "?dataset_name=..", "?model_name=rows"])
def test_returns_422_when_the_name_is_missing_or_impossible(client, query):
    answer = send(client, f"/api/v1/datasets{query}", form(part(ROWS, file_name="rows.csv")))
    assert (answer.status_code, list(answer.json()["errors"])) == (422, ["dataset_name"])
    assert_nothing_is_left()


def test_returns_413_when_the_body_is_too_long(client, settings):
    settings.MAX_UPLOAD_BYTES = 10
    assert send(client, PATH, form(part(ROWS * 5000, file_name="rows.csv"))).status_code == 413
    assert_nothing_is_left()


def test_returns_500_and_leaves_nothing_when_the_disk_is_full(client, monkeypatch):
    def full(file, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(blobs, "write_whole", full)
    answer = send(client, PATH, form(part(ROWS, file_name="rows.csv")))
    assert (answer.status_code, "disk is full" in answer.json()["detail"]) == (500, True)
    assert_nothing_is_left()


def test_returns_401_without_a_key_and_403_with_one_that_only_reads(store):
    body = form(part(ROWS, file_name="rows.csv"))
    assert send(Client(), PATH, body).status_code == 401
    assert send(make_client(scope="read"), PATH, body).status_code == 403
