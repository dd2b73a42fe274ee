"""POST /api/v1/models (T15), the body read by the view itself; tests/serve/test_uploading.py streams it."""

import errno
import threading

import pytest
from django.core.wsgi import get_wsgi_application
from django.db import connection
from django.test import Client

from mlserver.serving.application import Application
from registry import blobs
from registry.models import Artifact, ArtifactVersion
from registry.publish import delete_versions, file_of
from tests.api.sessions.forms import BOUNDARY, FORM, form, part, send
from tests.make import make_client, make_user, make_version
from tests.registry.contents import files_in_store
from tests.serve.asking import Client as Asking
from tests.serve.asking import run

pytestmark = pytest.mark.django_db
PATH = "/api/v1/models?model_name=net"
CONTENT = bytes(range(256)) * 5000


@pytest.fixture
def client(store):
    return make_client()


def assert_nothing_is_left():
    assert ArtifactVersion.objects.count() == 0
    assert files_in_store() == []


def test_it_keeps_the_bytes_and_answers_their_size(store):
    user = make_user()
    answer = send(make_client(user), PATH, form(part(CONTENT)))

    assert (answer.status_code, answer.json()) == (
        200,
        {"message": "model 'net' is uploaded", "name": "net", "size_mb": len(CONTENT) / 1024**2},
    )
    version = ArtifactVersion.objects.get()
    assert (version.number, version.owner, version.artifact.owner) == (1, user, user)
    assert blobs.path_of(file_of(version).blob_id).read_bytes() == CONTENT


def test_what_was_uploaded_is_listed_and_downloaded(client, store, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        send(client, PATH, form(part(CONTENT, file_name="weights.safetensors")))
    (row,) = client.get("/api/v1/models").json()
    assert (store / row["file_path"]).read_bytes() == CONTENT
    assert row["file_path"].endswith(".safetensors")
    assert b"".join(client.get("/api/v1/models/net").streaming_content) == CONTENT


def test_other_fields_of_the_form_are_ignored(client):
    text = part(b"of no matter", name="comment", file_name=None)
    assert send(client, PATH, form(text, part(CONTENT), text)).status_code == 200


@pytest.mark.parametrize(
    "said",
    ["C:\\\\weights\\\\net.pth", "../../net.pth", "/etc/net.pth", "net.pth"],
    ids=["windows", "up", "root", "plain"],
)
def test_directories_in_a_file_name_are_dropped(client, said):
    assert send(client, PATH, form(part(b"x", file_name=said))).status_code == 200
    assert file_of(ArtifactVersion.objects.get()).path == "net.pth"


def test_a_file_name_in_the_old_extended_spelling_is_read(client):
    head = b"--the-boundary\r\nContent-Disposition: form-data; name=\"file\"; filename*=utf-8''n%C3%A4t.pth\r\n\r\n"
    assert send(client, PATH, form(head + b"x\r\n")).status_code == 200
    assert file_of(ArtifactVersion.objects.get()).path == "nät.pth"


def test_an_empty_file_is_a_file(client):
    assert send(client, PATH, form(part(b""))).json()["size_mb"] == 0


@pytest.mark.parametrize("name", ["", "..", "a/b", "-x", ".hidden", "x" * 101, "a b", "ä"])
def test_returns_422_when_the_name_is_impossible(client, name):
    answer = send(client, f"/api/v1/models?model_name={name}", form(part(CONTENT)))
    assert (answer.status_code, list(answer.json()["errors"])) == (422, ["model_name"])
    assert_nothing_is_left()


def test_returns_422_when_the_name_is_missing(client):
    answer = send(client, "/api/v1/models", form(part(CONTENT)))
    assert (answer.status_code, list(answer.json()["errors"])) == (422, ["model_name"])


NO_FILE = {
    "no part": form(),
    "another part": form(part(CONTENT, name="weights")),
    "no file": form(part(CONTENT, file_name=None)),
    "no file name": form(part(CONTENT, file_name="")),
    "no name but directories": form(part(CONTENT, file_name="a/..")),
    "a long file name": form(part(CONTENT, file_name="x" * 256)),
    "a file name of two lines": form(part(CONTENT, file_name="a%0Ab")),
    "a long field": form(part(b"x" * 70_000, name="a", file_name=None), part(CONTENT)),
    "two files": form(part(CONTENT), part(CONTENT)),
}


@pytest.mark.parametrize("body", NO_FILE.values(), ids=NO_FILE)
def test_returns_422_when_the_form_has_no_one_file(client, body):
    answer = send(client, PATH, body)
    assert (answer.status_code, list(answer.json()["errors"])) == (422, ["file"])
    assert answer.json()["detail"].startswith("file: ")
    assert_nothing_is_left()


@pytest.mark.parametrize(
    "kind", ["", "application/octet-stream", "application/json", "application/x-www-form-urlencoded"]
)
def test_returns_422_when_the_body_is_no_form_with_files(client, kind):
    answer = send(client, PATH, CONTENT, content_type=kind)
    assert (answer.status_code, list(answer.json()["errors"])) == (422, ["file"])


UNREADABLE = {
    "nothing": b"",
    "garbage": CONTENT,
    "another boundary": form(part(CONTENT)).replace(b"the-boundary", b"another-one"),
    "cut in the file": form(part(CONTENT))[:-1000],
    "cut in the last boundary": form(part(CONTENT))[:-5],
    "cut in a head": b"--the-boundary\r\nContent-Disp",
    "a head without end": b"--the-boundary\r\nX: " + b"x" * 100_000,
    "a part without a name of its kind": form(b"--the-boundary\r\n\r\nx\r\n"),
    "a wrong length": form(part(b"x").replace(b"\r\n\r\n", b"\r\nContent-Length: 5\r\n\r\n")),
    "too many parts": form(*[part(b"x", name="a")] * 40),
}


@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE)
def test_returns_400_when_the_form_cannot_be_read(client, body):
    answer = send(client, PATH, body)
    assert answer.status_code == 400
    assert answer.json()["detail"]
    assert_nothing_is_left()


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (b'Content-Disposition: form-data; name="file"; filename="\xff\xfe.pth"', "the header of a part is not UTF-8"),
        (b"X: y", "a part does not say its name"),
        (b"X: " + b"x" * 10_000, "the header of a part is too long"),
        (b"no colon", "the header of a part is malformed"),
    ],
)
def test_what_is_wrong_with_a_form_is_said_in_words_of_our_own(client, header, said):
    body = f"--{BOUNDARY}\r\n".encode() + header + b"\r\n\r\nx\r\n" + form()
    answer = send(client, PATH, body)
    assert (answer.status_code, answer.json()["detail"]) == (400, f"the upload is unreadable: {said}")


@pytest.mark.parametrize("boundary", ["", "; boundary=", "; boundary=" + "x" * 71, '; boundary="a\tb"'])
def test_returns_400_when_the_type_names_no_boundary(client, boundary):
    answer = send(client, PATH, form(part(CONTENT)), content_type=f"multipart/form-data{boundary}")
    assert (answer.status_code, "boundary" in answer.json()["detail"]) == (400, True)


def test_returns_409_when_the_name_is_taken_without_reading_the_body(client):
    make_version("net")
    answer = send(client, PATH, b"")
    assert (answer.status_code, answer.json()["detail"]) == (
        409,
        "model 'net' exists (version 1): delete it first or take another name",
    )


def test_a_deleted_name_can_be_given_again_by_anybody(client):
    send(client, PATH, form(part(b"first")))
    delete_versions(Artifact.objects.get())
    other = make_user()
    assert send(make_client(other), PATH, form(part(b"second"))).status_code == 200
    newest = ArtifactVersion.objects.newest_of("model", "net")
    assert (newest.number, newest.artifact.owner) == (2, other)


def test_returns_413_when_the_body_says_it_is_too_long(client, settings):
    settings.MAX_UPLOAD_BYTES = 1000
    answer = send(client, PATH, form(part(CONTENT)))
    assert (answer.status_code, "at most 1000" in answer.json()["detail"]) == (413, True)
    assert_nothing_is_left()


def test_returns_413_when_the_file_is_a_little_too_large(client, settings):
    settings.MAX_UPLOAD_BYTES = len(CONTENT) - 1
    assert send(client, PATH, form(part(CONTENT))).status_code == 413
    assert_nothing_is_left()
    settings.MAX_UPLOAD_BYTES = len(CONTENT)
    assert send(client, PATH, form(part(CONTENT))).status_code == 200


@pytest.mark.parametrize("at", [1, 2])
def test_returns_500_and_leaves_nothing_when_the_disk_is_full(client, monkeypatch, at):
    writes = []

    def full(file, data):
        writes.append(len(data))
        if len(writes) == at:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(blobs, "write_whole", full)
    answer = send(client, PATH, form(part(CONTENT)))
    assert (answer.status_code, "disk is full" in answer.json()["detail"]) == (500, True)
    assert_nothing_is_left()


def test_returns_401_without_a_key(store):
    assert send(Client(), PATH, form(part(CONTENT))).status_code == 401
    assert_nothing_is_left()


def test_returns_403_with_a_key_that_only_reads(store):
    assert send(make_client(scope="read"), PATH, form(part(CONTENT))).status_code == 403
    assert_nothing_is_left()


@pytest.mark.database
@pytest.mark.django_db(transaction=True)
def test_of_two_uploads_of_one_name_at_once_one_wins(store):
    clients = [make_client(), make_client()]
    together, statuses = threading.Barrier(2), []

    def upload(client, content):
        together.wait()
        statuses.append(send(client, PATH, form(part(content))).status_code)
        connection.close()

    threads = [threading.Thread(target=upload, args=(client, b"%d" % i * 9)) for i, client in enumerate(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200, 409]
    assert ArtifactVersion.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_browser_session_uploads_with_its_token_and_is_refused_without(store):
    """Through the application that serves: Django looks for the token in the body, which is not there yet."""
    token = "a" * 32
    browser = Client()
    browser.force_login(make_user())
    cookies = f"sessionid={browser.cookies['sessionid'].value}; csrftoken={token}"
    served = Application(get_wsgi_application(), 1)

    async def ask(**headers: str) -> Asking:
        named = {"Host": "testserver", "Cookie": cookies, "Content-Type": FORM, **headers}
        client = Asking("POST", headers=named.items(), body=[form(part(CONTENT))])
        client.scope |= {"path": "/api/v1/models", "query_string": b"model_name=net"}
        return await client.ask(served)

    async def test() -> None:
        assert (await ask(**{"Content-Length": "1300000"})).status == 403
        assert (await ask(**{"Content-Length": "1300000", "X-CSRFToken": token})).status == 200

    run(test)
    assert ArtifactVersion.objects.get().artifact.name == "net"


def test_the_boundary_may_be_quoted_and_the_type_in_any_case(client):
    kind = FORM.replace("multipart", "Multipart").replace("the-boundary", '"the-boundary"')
    assert send(client, PATH, form(part(CONTENT)), content_type=kind).status_code == 200
