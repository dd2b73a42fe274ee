"""GET /api/v1/models/{model_name} (T14)."""

import hashlib
import os

import pytest
from django.test import Client

from mlserver.api.downloads import BLOCK_BYTES
from registry.blobs import path_of
from tests.make import make_client, make_version
from tests.registry.contents import published

pytestmark = pytest.mark.django_db
CONTENT = bytes(range(256)) * 4
PATH = "/api/v1/models/net"


@pytest.fixture
def model(store):
    return published("net", CONTENT)


@pytest.fixture
def reader():
    return make_client(scope="read")


def content_of(response):
    return b"".join(response.streaming_content)


def test_it_sends_the_bytes_as_an_attachment(reader, model):
    answer = reader.get(PATH)
    assert (answer.status_code, content_of(answer)) == (200, CONTENT)
    stamp = model.created_at.strftime("%Y%m%d_%H%M%S")
    assert dict(answer.items()) | {
        "Content-Type": "application/octet-stream",
        "Content-Length": "1024",
        "Content-Disposition": f'attachment; filename="net_{stamp}.pth"',
        "Accept-Ranges": "bytes",
        "ETag": f'"{hashlib.sha256(CONTENT).hexdigest()}"',
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
    } == dict(answer.items())


def test_it_sends_a_long_file_in_blocks(reader, store):
    content = os.urandom(2 * BLOCK_BYTES + 5)
    published("net", content)
    blocks = list(reader.get(PATH).streaming_content)
    assert [len(block) for block in blocks] == [BLOCK_BYTES, BLOCK_BYTES, 5]
    assert b"".join(blocks) == content


def test_a_file_that_is_deleted_meanwhile_arrives_whole(reader, model):
    answer = reader.get(PATH)
    path_of(hashlib.sha256(CONTENT).hexdigest()).unlink()
    assert content_of(answer) == CONTENT


@pytest.mark.parametrize("accept", ["application/octet-stream", "text/html", "image/png", "*/*"])
def test_it_answers_whatever_is_accepted(reader, model, accept):
    assert content_of(reader.get(PATH, headers={"Accept": accept})) == CONTENT


def test_it_sends_the_newest_version(reader, model):
    published("net", b"newer", must_be_new=False)
    assert content_of(reader.get(PATH)) == b"newer"


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=100-199", 100, 200),
        ("bytes=1000-", 1000, 1024),
        ("bytes=1000-99999999999", 1000, 1024),
        ("bytes=-24", 1000, 1024),
        ("bytes=-5000", 0, 1024),
    ],
)
def test_returns_206_with_the_range_that_is_asked_for(reader, model, asked, start, end):
    answer = reader.get(PATH, headers={"Range": asked})
    assert (answer.status_code, content_of(answer)) == (206, CONTENT[start:end])
    assert answer["Content-Range"] == f"bytes {start}-{end - 1}/1024"
    assert answer["Content-Length"] == str(end - start)


@pytest.mark.parametrize(
    "asked", ["bytes=5-2", "bytes=-", "bytes=a-b", "bytes=0-1,5-6", "lines=0-1", "bytes", "bytes=" + "9" * 30 + "-"]
)
def test_a_range_that_is_none_is_ignored(reader, model, asked):
    answer = reader.get(PATH, headers={"Range": asked})
    assert (answer.status_code, content_of(answer)) == (200, CONTENT)


@pytest.mark.parametrize("asked", ["bytes=1024-", "bytes=5000-6000", "bytes=-0"])
def test_returns_416_when_the_range_begins_behind_the_end(reader, model, asked):
    answer = reader.get(PATH, headers={"Range": asked})
    assert (answer.status_code, answer["Content-Range"]) == (416, "bytes */1024")
    assert answer.json() == {"detail": "the range is refused: the file has 1024 bytes"}


def test_a_range_of_other_content_is_not_mixed_with_what_the_client_has(reader, model):
    etag = reader.get(PATH)["ETag"]
    same = reader.get(PATH, headers={"Range": "bytes=1000-", "If-Range": etag})
    other = reader.get(PATH, headers={"Range": "bytes=1000-", "If-Range": '"other"'})
    by_date = reader.get(PATH, headers={"Range": "bytes=1000-", "If-Range": "Sat, 21 Nov 2026 09:00:00 GMT"})
    assert [same.status_code, other.status_code, by_date.status_code] == [206, 200, 200]
    assert content_of(other) == CONTENT


@pytest.mark.parametrize("known", ["*", "{etag}", 'W/{etag}, "x"', '"x", {etag}'])
def test_returns_304_when_the_client_has_the_content(reader, model, known):
    etag = reader.get(PATH)["ETag"]
    answer = reader.get(PATH, headers={"If-None-Match": known.format(etag=etag)})
    assert (answer.status_code, answer.content, answer["ETag"]) == (304, b"", etag)


def test_head_says_what_get_would(reader, model):
    head, get = reader.head(PATH), reader.get(PATH)
    assert (head.status_code, head.content) == (200, b"")
    assert dict(head.items()) == dict(get.items())
    assert reader.head(PATH, headers={"Range": "bytes=0-1"}).status_code == 200


def test_an_empty_model_is_sent(reader, store):
    published("net", b"")
    answer = reader.get(PATH)
    assert (answer.status_code, content_of(answer), answer["Content-Length"]) == (200, b"", "0")


def test_it_asks_the_database_three_times(reader, model, django_assert_num_queries):
    content_of(reader.get(PATH))  # the first use of a key is written down
    with django_assert_num_queries(3):
        assert content_of(reader.get(PATH)) == CONTENT


@pytest.mark.parametrize("name", ["other", "..", "%2e%2e", "-x", "x" * 300, "ä", "net "])
def test_returns_404_when_there_is_no_such_model(reader, model, name):
    answer = reader.get(f"/api/v1/models/{name}")
    assert answer.status_code == 404
    assert isinstance(answer.json()["detail"], str)


def test_returns_404_when_the_content_is_lost(reader, model):
    path_of(hashlib.sha256(CONTENT).hexdigest()).unlink()
    answer = reader.get(PATH)
    assert (answer.status_code, answer.json()["detail"]) == (
        404,
        "the content of model 'net' is missing in the server's store",
    )


def test_a_dataset_is_no_model(reader):
    make_version("rows", type="dataset")
    assert reader.get("/api/v1/models/rows").status_code == 404


def test_returns_401_without_a_key(model):
    assert Client().get(PATH).status_code == 401
