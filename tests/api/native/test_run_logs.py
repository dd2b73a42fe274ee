"""N9 GET /api/v1/runs/{id}/logs."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from mlserver.api.streams import StreamResponse
from tests.logs import WrittenLog
from tests.make import make_client, make_run
from training.api.native.log_events import final_status
from training.models import Run

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def home(tmp_path: Path, settings: Any) -> Path:
    settings.MLSERVER_HOME = tmp_path
    return tmp_path


@pytest.fixture
def client() -> Client:
    """Reading needs no more than the read scope, and no ownership."""
    return make_client(scope="read")


@pytest.fixture
def run() -> Run:
    return make_run()


def url(run: Run) -> str:
    return f"/api/v1/runs/{run.pk}/logs"


def texts(answer: Any) -> list[str]:
    return [line["text"] for line in answer.json()["lines"]]


def test_it_gives_the_last_lines(client: Client, run: Run) -> None:
    WrittenLog(run).write("one\n").write("two\n", "stderr").write("thr")

    answer = client.get(url(run), {"tail": 2})

    assert answer.status_code == 200
    assert answer.json() == {
        "lines": [
            {"offset": 4, "time": "1970-01-01T00:16:41Z", "stream": "stderr", "text": "two", "is_partial": False},
            {"offset": 8, "time": "1970-01-01T00:16:42Z", "stream": "stdout", "text": "thr", "is_partial": True},
        ],
        "next_offset": 11,
        "scanned_from": 4,
        "kept_from": 0,
        "size_bytes": 11,
        "is_complete": False,
    }


def test_it_gives_a_hundred_lines_unless_asked(client: Client, run: Run) -> None:
    WrittenLog(run).write("".join(f"{number}\n" for number in range(150)))
    assert texts(client.get(url(run))) == [str(number) for number in range(50, 150)]


def test_it_has_no_lines_before_there_is_a_log(client: Client, run: Run) -> None:
    answer = client.get(url(run))
    assert answer.json() == {
        "lines": [], "next_offset": 0, "scanned_from": 0, "kept_from": 0, "size_bytes": 0, "is_complete": False,
    }  # fmt: skip


def test_it_reads_on_from_an_offset(client: Client, run: Run) -> None:
    log = WrittenLog(run).write("one\ntwo\n")
    first = client.get(url(run), {"from": 0})
    log.write("three\n")
    second = client.get(url(run), {"from": first.json()["next_offset"]})
    assert (texts(first), texts(second)) == (["one", "two"], ["three"])


def test_it_says_when_nothing_more_will_come(client: Client) -> None:
    run = make_run(status="finished")
    WrittenLog(run).write("one\ntwo\n")
    assert client.get(url(run)).json()["is_complete"] is True
    assert client.get(url(run), {"from": 4}).json()["is_complete"] is True


def test_it_filters_by_stream_search_and_rank(client: Client, run: Run) -> None:
    WrittenLog(run).write("out 1\n").write("err 1\n", "stderr").write("out 2\n")
    WrittenLog(run, rank=3).write("third\n")
    assert texts(client.get(url(run), {"stream": "stderr"})) == ["err 1"]
    assert texts(client.get(url(run), {"search": "out"})) == ["out 1", "out 2"]
    assert texts(client.get(url(run), {"stream": "stdout", "search": "2"})) == ["out 2"]
    assert texts(client.get(url(run), {"rank": 3})) == ["third"]


def test_it_says_what_was_rotated_away(client: Client, run: Run) -> None:
    log = WrittenLog(run).write("one\n").rotate().write("two\n")
    log.path.with_name("logs.txt.000000000000000").unlink()
    body = client.get(url(run), {"from": 0}).json()
    assert [line["text"] for line in body["lines"]] == ["two"]
    assert (body["kept_from"], body["scanned_from"], body["size_bytes"]) == (4, 4, 8)
    answer = client.get(url(run), {"from": 1, "format": "text"})
    assert answer.content == b"mlserver: 3 bytes were rotated away\ntwo\n"
    assert client.get(url(run), {"format": "text"}).content == b"two\n"


def test_it_collapses_progress_bars(client: Client, run: Run) -> None:
    WrittenLog(run).write("\r 10%\r 90%\ndone\n")
    assert texts(client.get(url(run), {"collapse": "1"})) == [" 90%", "done"]


def test_it_gives_plain_text_that_no_browser_runs(client: Client, run: Run) -> None:
    WrittenLog(run).write("<script>\n").write(b"\xff half")

    for answer in (
        client.get(url(run), {"format": "text"}),
        client.get(url(run), headers={"Accept": "text/plain"}),
    ):
        assert answer.content.decode() == "<script>\n\ufffd half"
        assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "sandbox" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Next-Offset"] == "15"


def test_it_gives_json_to_whoever_takes_anything(client: Client, run: Run) -> None:
    for accept in ("*/*", "application/json", "text/html,*/*;q=0.8", "image/png"):
        assert client.get(url(run), headers={"Accept": accept}).headers["Content-Type"] == "application/json"


def test_it_finds_the_log_of_a_renamed_run(client: Client) -> None:
    run = make_run()
    WrittenLog(run).write("one\n")
    Run.objects.filter(pk=run.pk).update(name="new name", dir_name=run.name)
    assert texts(client.get(url(run))) == ["one"]


def test_it_asks_the_database_little(client: Client, run: Run, django_assert_num_queries: Any) -> None:
    WrittenLog(run).write("one\n")
    client.get(url(run))
    with django_assert_num_queries(2):  # the key, the run
        client.get(url(run))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tail", "0"), ("tail", "10001"), ("tail", "many"), ("tail", ""), ("tail", "1.5"),
        ("from", "-1"), ("from", "x"), ("from", "9" * 40),
        ("stream", "stdin"), ("stream", ""), ("search", "x" * 1001), ("search", "two\nlines"),
        ("collapse", "yes"), ("follow", "maybe"), ("rank", "-1"), ("rank", "one"), ("format", "xml"),
    ],
)  # fmt: skip
def test_returns_422_when_a_value_is_bad(client: Client, run: Run, name: str, value: str) -> None:
    answer = client.get(url(run), {name: value})
    assert answer.status_code == 422
    assert list(answer.json()["errors"]) == [name]
    assert json.dumps(value[:40])[:-1] in answer.json()["errors"][name][0]


def test_returns_422_when_tail_and_from_are_given(client: Client, run: Run) -> None:
    answer = client.get(url(run), {"tail": 5, "from": 0})
    assert answer.status_code == 422
    assert "from" in answer.json()["errors"]["tail"][0]


def test_returns_422_when_plain_text_is_to_be_followed(client: Client, run: Run) -> None:
    answer = client.get(url(run), {"follow": "1", "format": "text"})
    assert answer.status_code == 422
    assert "follow" in answer.json()["errors"]["format"][0]


def test_returns_422_when_the_last_event_id_is_bad(client: Client, run: Run) -> None:
    answer = client.get(url(run), {"follow": "1"}, headers={"Last-Event-ID": "abc"})
    assert answer.status_code == 422
    assert list(answer.json()["errors"]) == ["Last-Event-ID"]


def test_returns_404_when_the_run_is_unknown_or_deleted(client: Client, run: Run) -> None:
    Run.objects.filter(pk=run.pk).update(deleted_at=run.created_at)
    assert client.get(url(run)).status_code == 404
    answer = client.get("/api/v1/runs/20990101_000000_000000/logs", headers={"Accept": "text/plain"})
    assert answer.status_code == 404
    assert "20990101_000000_000000" in answer.json()["detail"]


def test_returns_401_without_a_key(run: Run) -> None:
    assert Client().get(url(run)).status_code == 401


def test_returns_405_when_the_method_is_wrong(run: Run) -> None:
    assert make_client().delete(url(run)).status_code == 405


# -- follow


def followed(response: StreamResponse, *, until_gone: int = 10**6) -> list[tuple[str, str, Any]]:
    """Run the stream of a response; (event, id, data) of each event, comments as ("", "", text)."""
    chunks: list[bytes] = []

    async def send(data: bytes) -> None:
        chunks.append(data)

    asyncio.run(response.stream.run(send, lambda: len(chunks) >= until_gone))
    return [event_of(block) for block in b"".join(chunks).decode().split("\n\n") if block]


def event_of(block: str) -> tuple[str, str, Any]:
    if block.startswith(":"):
        return "", "", block
    fields = dict(line.split(": ", 1) for line in block.split("\n"))
    return fields["event"], fields.get("id", ""), json.loads(fields["data"])


@pytest.fixture
def ended() -> Run:
    run = make_run(status="finished")
    WrittenLog(run).write("one\n").write("two\n", "stderr").write("three\n").end()
    return run


@pytest.mark.django_db(transaction=True)
def test_it_follows_to_the_end_of_the_run(client: Client, ended: Run) -> None:
    response = client.get(url(ended), {"follow": "1"})

    assert isinstance(response, StreamResponse)
    assert response.headers["Content-Type"] == "text/event-stream"
    events = followed(response)

    assert [(kind, number) for kind, number, _ in events] == [("line", "4"), ("line", "8"), ("line", "14"), ("end", "")]
    assert events[1][2] == {
        "offset": 4, "time": "1970-01-01T00:16:41Z", "stream": "stderr", "text": "two", "is_partial": False,
    }  # fmt: skip
    assert events[-1][2] == {"status": "finished"}


@pytest.mark.django_db(transaction=True)
def test_it_resumes_behind_the_last_event(client: Client, ended: Run) -> None:
    response = client.get(url(ended), {"follow": "1", "tail": "1"}, headers={"Last-Event-ID": "4"})
    assert [data.get("text") for kind, _, data in followed(response) if kind] == ["two", "three", None]


@pytest.mark.django_db(transaction=True)
def test_it_follows_from_an_offset_or_from_the_last_lines(client: Client, ended: Run) -> None:
    for query, expected in (({"from": "8"}, ["three"]), ({"tail": "2"}, ["two", "three"])):
        events = followed(client.get(url(ended), {"follow": "1", **query}))
        assert [data["text"] for kind, _, data in events if kind == "line"] == expected


@pytest.mark.django_db(transaction=True)
def test_it_follows_one_stream_or_a_search(client: Client, ended: Run) -> None:
    for query, expected in (({"stream": "stdout"}, ["one", "three"]), ({"search": "t"}, ["two", "three"])):
        events = followed(client.get(url(ended), {"follow": "1", **query}))
        assert [data["text"] for kind, _, data in events if kind == "line"] == expected


@pytest.mark.django_db(transaction=True)
def test_it_stops_following_when_the_client_is_gone(client: Client, run: Run) -> None:
    WrittenLog(run).write("one\n")
    events = followed(client.get(url(run), {"follow": "1"}), until_gone=1)
    assert [kind for kind, _, _ in events] == ["line"]


@pytest.mark.django_db(transaction=True)
def test_it_ends_when_the_run_is_deleted_meanwhile(client: Client, run: Run) -> None:
    response = client.get(url(run), {"follow": "1"})
    run.delete()
    assert followed(response)[-1] == ("end", "", {"status": "deleted"})


@pytest.mark.django_db(transaction=True)
def test_it_knows_the_final_status() -> None:
    assert final_status(make_run(status="running").pk) is None
    assert final_status(make_run(status="stopped").pk) == "stopped"
    assert final_status("20990101_000000_000000") == "deleted"
