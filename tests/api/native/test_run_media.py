"""POST and GET /api/v1/runs/{id}/media, GET /{name} (N10)."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from tests.api.sessions.forms import FORM, form, part
from tests.make import make_client, make_run, make_sdk_run, make_user
from tests.pictures import FORMATS, picture
from tests.together import together
from training.models import Run, RunMedia

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("home")]

PNG = picture()


@pytest.fixture
def run() -> Run:
    return make_sdk_run()


@pytest.fixture
def client(run: Run) -> Client:
    return make_client(run.owner)


def url(run: Run) -> str:
    return f"/api/v1/runs/{run.pk}/media"


def post(client: Client, run: Run, content: bytes = PNG, name: str = "1_cat.png", **fields: object):
    said = [part(str(value).encode(), name=field, file_name=None) for field, value in fields.items()]
    return client.generic("POST", url(run), form(*said, part(content, file_name=name)), content_type=FORM)


def media(run: Run) -> list[str]:
    """Everything that lies there, drafts too."""
    folder = run.directory / "media"
    return sorted(os.listdir(folder)) if folder.exists() else []  # noqa: PTH208


def queued_picture(name: str, content: bytes = PNG, **fields: Any) -> Run:
    """One that a job wrote itself."""
    run = make_run()
    (run.directory / "media").mkdir(parents=True)
    (run.directory / "media" / name).write_bytes(content)
    RunMedia.objects.create(run=run, name=name, key="cat", **fields)
    return run


def body_of(answer: Any) -> bytes:
    return b"".join(answer.streaming_content)


def test_a_picture_is_kept_listed_and_downloaded(run, client):
    answer = post(client, run, key="cat", step=3, caption="a cät", time=1_772_874_911.25)
    shown = {
        "name": "1_cat.png", "key": "cat", "step": 3, "caption": "a cät", "logged_at": "2026-03-07T09:15:11.250000Z",
        "type": "image/png", "size_bytes": len(PNG), "url": f"{url(run)}/1_cat.png",
    }  # fmt: skip
    assert (answer.status_code, answer.json(), answer["Location"]) == (201, shown, shown["url"])
    reader = make_client(scope="read")
    assert reader.get(url(run)).json()["results"] == [shown]
    file = reader.get(shown["url"])
    assert (body_of(file), file["Content-Type"]) == (PNG, "image/png")
    assert file["Content-Disposition"] == 'attachment; filename="1_cat.png"'
    assert (file["X-Content-Type-Options"], "sandbox" in file["Content-Security-Policy"]) == ("nosniff", True)
    assert reader.get(shown["url"], headers={"If-None-Match": file["ETag"]}).status_code == 304
    assert body_of(reader.get(shown["url"], headers={"Range": "bytes=1-3"})) == b"PNG"


def test_it_needs_no_more_than_the_file(run, client):
    said = post(client, run).json()
    assert (said["key"], said["step"], said["caption"]) == ("1_cat.png", None, "")


@pytest.mark.parametrize("kind", FORMATS)
def test_the_content_says_what_it_is(kind, run, client):
    answer = post(client, run, picture(FORMATS[kind]), "any.name")
    assert (answer.status_code, answer.json()["type"]) == (201, kind)
    assert client.get(answer.json()["url"])["Content-Type"] == kind


@pytest.mark.parametrize(
    "content",
    [
        b"", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"<html><script>1</script>", b"%PDF-1.4", b"GIF", b"MZ" * 40,
        b"BM is how this text begins, and it is long enough to hold a header", b"RIFF1234WAVEfmt ",
        b"\x00\x00\x01\x00" + b"\0" * 40,
    ],
)  # fmt: skip
def test_returns_422_when_it_is_no_picture(content, run, client):
    answer = post(client, run, content, "a.png")
    assert (answer.status_code, "is no picture" in answer.json()["detail"]) == (422, True)
    assert (media(run), RunMedia.objects.count()) == ([], 0)


def test_the_same_again_changes_nothing(run, client):
    assert post(client, run, key="cat").status_code == 201
    again = post(client, run, key="other")
    assert (again.status_code, again.json()["key"]) == (200, "cat")
    assert (media(run), RunMedia.objects.count()) == (["1_cat.png"], 1)


def test_another_picture_of_the_name_is_refused(run, client):
    post(client, run)
    for other in (picture(color=255), PNG + b"\0", PNG[:-1]):
        assert post(client, run, other).status_code == 409
    assert (run.directory / "media" / "1_cat.png").read_bytes() == PNG
    assert media(run) == ["1_cat.png"]


def test_a_server_that_died_before_the_row_was_written_is_gone_on_from(run, client):
    (run.directory / "media").mkdir(parents=True)
    (run.directory / "media" / "1_cat.png").write_bytes(PNG)
    assert post(client, run).status_code == 200
    assert RunMedia.objects.get().name == "1_cat.png"


@pytest.mark.parametrize(
    ("field", "value"),
    [("step", "1.5"), ("step", "9" * 30), ("step", "x"), ("key", "k" * 256), ("caption", "a\0b"), ("time", "now")],
)
def test_returns_422_when_a_field_is_refused(field, value, run, client):
    answer = post(client, run, **{field: value})
    assert (answer.status_code, list(answer.json()["errors"])) == (422, [field])
    assert media(run) == []


@pytest.mark.parametrize("name", [".hidden.png", "n" * 250 + ".png", "…" * 90])
def test_returns_422_when_the_name_is_refused(name, run, client):
    assert post(client, run, name=name).status_code == 422
    assert media(run) == []


def test_directories_of_a_name_are_left_out(run, client):
    assert post(client, run, name="../../etc/passwd.png").json()["name"] == "passwd.png"
    assert media(run) == ["passwd.png"]


def test_returns_413_beyond_the_limit(run, client, settings):
    settings.MAX_MEDIA_BYTES = len(PNG)
    assert post(client, run).status_code == 201
    settings.MAX_MEDIA_BYTES = len(PNG) - 1
    assert post(client, run, name="2.png").status_code == 413
    assert post(client, run, PNG + b"x" * 2 * 65_536, name="3.png").status_code == 413
    assert media(run) == ["1_cat.png"]


def test_returns_400_and_422_for_what_is_no_form(run, client):
    whole = form(part(PNG))
    assert client.generic("POST", url(run), whole[:-20], content_type=FORM).status_code == 400
    assert client.generic("POST", url(run), PNG, content_type="image/png").status_code == 422
    assert client.generic("POST", url(run), form(part(b"1", name="step", file_name=None)), FORM).status_code == 422
    assert media(run) == []


def test_returns_409_when_the_server_does_not_keep_its_files():
    owner = make_user()
    for run in (make_run(owner=owner), make_sdk_run(owner, outside_dir="/srv/runicorn/p/n/runs/x")):
        assert post(make_client(owner), run).status_code == 409
        assert not RunMedia.objects.exists()


def test_it_is_the_owners_alone_to_deliver(run):
    assert post(Client(), run).status_code == 401
    assert post(make_client(), run).status_code == 403
    assert post(make_client(run.owner, scope="read"), run).status_code == 403
    Run.objects.filter(pk=run.pk).update(deleted_at=timezone.now())
    assert make_client(run.owner).get(url(run)).status_code == 404


def test_what_lies_in_the_way_is_not_written_through(run, client, tmp_path: Path):
    run.directory.mkdir(parents=True)
    (run.directory / "media").symlink_to(tmp_path)
    assert post(client, run).status_code == 409
    assert not (tmp_path / "1_cat.png").exists()


@pytest.mark.database
@pytest.mark.django_db(transaction=True)
def test_of_two_at_once_one_is_kept(run):
    client = make_client(run.owner)
    same = together(*[lambda: post(client, run).status_code] * 3)
    assert (sorted(same), RunMedia.objects.count()) == ([200, 200, 201], 1)
    other = together(*[lambda n=n: post(client, run, picture(color=n), "2.png").status_code for n in (1, 100, 200)])
    assert sorted(other) == [201, 409, 409]
    assert media(run) == ["1_cat.png", "2.png"]


def test_the_newest_come_first_and_filters_choose(run, client, django_assert_num_queries):
    for n in range(4):
        RunMedia.objects.create(
            run=run, name=f"{n}.png", key="even" if n % 2 == 0 else "odd", step=n // 2,
            logged_at=datetime(2026, 3, 7, 9, n, tzinfo=UTC),
        )  # fmt: skip
    RunMedia.objects.create(run=make_sdk_run(), name="x.png", key="even")

    def names(**query: object) -> list[str]:
        return [row["name"] for row in client.get(url(run), query).json()["results"]]

    assert names() == ["3.png", "2.png", "1.png", "0.png"]
    assert (names(key="odd"), names(step=1), names(key="odd", step=0)) == (
        ["3.png", "1.png"],
        ["3.png", "2.png"],
        ["1.png"],
    )
    assert names(ordering="step", page_size=2) == ["0.png", "1.png"]
    assert client.get(url(run), {"step": "1.5"}).status_code == 422
    client.get(url(run))
    with django_assert_num_queries(3):  # key, run, rows
        client.get(url(run))


def test_what_a_job_logged_is_shown_as_it_is(tmp_path):
    run = queued_picture("page.png", b"<html><script>alert(1)</script>")
    client = make_client(scope="read")
    (row,) = client.get(url(run)).json()["results"]
    assert (row["type"], row["size_bytes"]) == (None, 31)
    file = client.get(row["url"])
    assert (file["Content-Type"], file["X-Content-Type-Options"]) == ("application/octet-stream", "nosniff")
    assert file["Content-Disposition"].startswith("attachment")

    (run.directory / "media" / "page.png").unlink()
    (tmp_path / "secret").write_bytes(PNG)
    (run.directory / "media" / "page.png").symlink_to(tmp_path / "secret")
    assert client.get(url(run)).json()["results"][0]["size_bytes"] is None
    assert client.get(row["url"]).status_code == 404


def test_returns_404_for_what_was_not_logged(run, client):
    post(client, run)
    (run.directory / "media" / "unlogged.png").write_bytes(PNG)
    for name in ("unlogged.png", "none.png", "..", "%2e%2e%2flogs.txt"):
        assert client.get(f"{url(run)}/{name}").status_code == 404
