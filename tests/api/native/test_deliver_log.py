"""POST /api/v1/runs/{id}/logs (N8)."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from tests.make import make_client, make_run, make_sdk_run, make_user
from tests.together import together
from training.models import Event, Run
from training.tracking import own_files
from training.tracking.logs import appending

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("home")]


@pytest.fixture
def run() -> Run:
    return make_sdk_run(project="digits", name="first", is_stale=True)


@pytest.fixture
def client(run: Run) -> Client:
    return make_client(run.owner)


def send(client: Client, run: Run, offset: object, text: bytes, kind: str = "text/plain; charset=utf-8"):
    headers = {} if offset is None else {"Upload-Offset": str(offset)}
    return client.post(f"/api/v1/runs/{run.pk}/logs", text, content_type=kind, headers=headers)


def log_of(run: Run) -> bytes:
    path = run.directory / "logs.txt"
    return path.read_bytes() if path.exists() else b""


def test_text_comes_to_the_end_of_the_log(run, client):
    answer = send(client, run, 0, b"one\ntw")
    assert (answer.status_code, answer.json(), answer["Upload-Offset"]) == (200, {"offset": 6}, "6")
    assert send(client, run, 6, "o ü\n".encode(), "application/octet-stream").json() == {"offset": 11}
    assert log_of(run) == "one\ntwo ü\n".encode()
    lines = client.get(f"/api/v1/runs/{run.pk}/logs").json()["lines"]
    assert [line["text"] for line in lines] == ["one", "two ü"]
    run.refresh_from_db()
    assert (run.is_stale, run.heartbeat_at is not None) == (False, True)


def test_bytes_are_kept_as_they_are(run, client):
    text = bytes(range(256)) * 4
    assert send(client, run, 0, text).status_code == 200
    assert log_of(run) == text


def test_a_repetition_is_told_where_to_go_on(run, client):
    send(client, run, 0, b"hello\n")
    for offset in (0, 3, 7, 2**63 - 1):
        answer = send(client, run, offset, b"hello\n")
        assert (answer.status_code, answer.json()["detail"].endswith("the next byte is number 6")) == (409, True)
    assert log_of(run) == b"hello\n"


def test_a_server_that_died_in_the_middle_is_gone_on_from(run, client):
    """It wrote a part, and never answered."""
    run.directory.mkdir(parents=True)
    (run.directory / "logs.txt").write_bytes(b"hel")
    assert send(client, run, 0, b"hello\n").status_code == 409
    assert send(client, run, 3, b"lo\n").status_code == 200
    assert log_of(run) == b"hello\n"


def test_nothing_is_left_of_a_piece_that_a_full_disk_cut(run, client, monkeypatch):
    send(client, run, 0, b"before\n")

    def fill(file: int, data: bytes) -> None:
        os.write(file, data[:2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(appending, "write_whole", fill)
    answer = send(client, run, 7, b"hello\n")
    assert (answer.status_code, "disk is full" in answer.json()["detail"]) == (500, True)
    assert log_of(run) == b"before\n"


def test_it_ends_at_the_limit_of_logs(run, client, settings):
    settings.LOG_LIMIT_BYTES = 10
    assert send(client, run, 0, b"0123456789").status_code == 200
    for _ in range(2):
        assert send(client, run, 10, b"x").status_code == 413
    assert log_of(run) == b"0123456789"
    assert Event.objects.get(run=run, reason="LogLimit").count == 2


def test_a_late_word_of_an_ended_run_is_kept(client, run):
    ended = make_sdk_run(run.owner, status="failed")
    assert send(client, ended, 0, b"late\n").status_code == 200


@pytest.mark.parametrize(
    ("offset", "said"), [(None, "Upload-Offset"), ("", "Upload-Offset"), (-1, "-1"), ("1e3", "1e3")]
)
def test_returns_422_when_the_offset_is_none(offset, said, run, client):
    answer = send(client, run, offset, b"x")
    assert (answer.status_code, said in answer.json()["detail"]) == (422, True)


def test_returns_413_and_415(run, client):
    assert send(client, run, 0, b"x" * (8 * 1024**2 + 1)).status_code == 413
    assert send(client, run, 0, b"{}", "application/json").status_code == 415
    assert log_of(run) == b""


def test_returns_409_when_somebody_else_writes_the_log():
    owner = make_user()
    client = make_client(owner)
    for run in (make_run(owner=owner), make_sdk_run(owner, outside_dir="/srv/runicorn/p/n/runs/x")):
        assert send(client, run, 0, b"x").status_code == 409
        assert not run.directory.exists()


def test_it_is_the_owners_alone(run):
    assert send(Client(), run, 0, b"x").status_code == 401
    assert send(make_client(), run, 0, b"x").status_code == 403
    assert send(make_client(run.owner, scope="read"), run, 0, b"x").status_code == 403
    assert log_of(run) == b""


@pytest.mark.parametrize("obstacle", ["link", "fifo", "directory", "link above", "file above"])
def test_what_lies_in_the_way_is_not_written_through(obstacle, run, client, tmp_path: Path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "logs.txt").write_bytes(b"")
    place: Any = run.directory / "logs.txt"
    if obstacle.endswith("above"):
        place = run.directory
    place.parent.mkdir(parents=True)
    match obstacle:
        case "link":
            place.symlink_to(elsewhere / "logs.txt")
        case "fifo":
            os.mkfifo(place)
        case "directory":
            place.mkdir()
        case "link above":
            place.symlink_to(elsewhere)
        case "file above":
            place.write_bytes(b"")
    answer = send(client, run, 0, b"x")
    assert (answer.status_code, "was changed" in answer.json()["detail"]) == (409, True)
    assert (elsewhere / "logs.txt").read_bytes() == b""


def test_no_descriptor_is_left_open(run, client):
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for offset in (0, 1, 0, 9):
        send(client, run, offset, b"x")
    with pytest.raises(own_files.Conflict), own_files.made_folder(run, "logs.txt"):
        pass
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


@pytest.mark.database
@pytest.mark.django_db(transaction=True)
def test_of_two_at_once_one_is_written(run):
    client = make_client(run.owner)
    codes = together(*[lambda n=n: send(client, run, 0, b"%d\n" % n).status_code for n in range(4)])
    assert sorted(codes) == [200, 409, 409, 409]
    assert len(log_of(run)) == 2
