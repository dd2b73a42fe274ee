"""F9, F10, F18, F19."""

import pytest
from django.test import Client

from mlserver.paths import server_logs_root
from tests.logs import WrittenLog
from tests.make import make_process, make_run, make_task
from training.api.flowline import log_files
from training.tracking.logs.index import RECORD

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("home")]


@pytest.fixture
def process(owner):
    return make_process(make_run(make_task(owner, status="active")))


@pytest.fixture
def log(process):
    return WrittenLog(process.run)


def test_it_lists_both_streams_of_a_process_with_their_sizes(api, process, log):
    log.write("x" * 1535 + "\n").write("oops\n", "stderr")
    number = process.pk - 1
    files = {file["name"]: file for file in api.get("/api/log/list").json()["files"]}
    assert set(files) == {f"{number}.out", f"{number}.err"}
    assert (files[f"{number}.out"]["size"], files[f"{number}.err"]["size"]) == ("1.5KB", "5B")
    assert files[f"{number}.out"]["fullPath"] == str(log.path)
    log.write("more\n", "stderr")
    plain = {file["name"]: file["size"] for file in api.get("/api/logs").json()}
    assert plain == {f"{number}.out": 1536, f"{number}.err": 10}


def test_sizes_are_those_of_all_pieces_of_a_rotated_log(api, process, log):
    for word in ("one\n", "two\n", "three\n"):
        log.write(word).rotate()
        sizes = {file["name"]: file["size"] for file in api.get("/api/logs").json()}
    assert sizes == {f"{process.pk - 1}.out": 14, f"{process.pk - 1}.err": 0}


def test_sizes_are_summed_piece_by_piece(api, process, log, monkeypatch):
    monkeypatch.setattr(log_files, "BLOCK_BYTES", 2 * RECORD.size)
    for word in ("one\n", "two\n", "three\n"):
        log.write(word).write("!", "stderr")
    assert [file["size"] for file in api.get("/api/logs").json()] == [14, 3]


def test_it_reads_nothing_of_runs_but_where_their_files_lie(api, log, django_assert_num_queries):
    log.write("one\n")
    api.get("/api/logs")
    with django_assert_num_queries(2) as asked:
        api.get("/api/logs")
    assert not any(f'"{column}"' in query["sql"] for query in asked for column in ("config", "summary", "notes"))


def test_it_lists_the_logs_of_the_server_and_no_other_files(api):
    root = server_logs_root()
    root.mkdir()
    (root / "server.log").write_text("[2026-03-07 09:15:02,123] [INFO] - up\n\nplain\n")
    (root / "notes.txt").write_text("no")
    (root / "link.log").symlink_to("/etc/passwd")
    assert [file["name"] for file in api.get("/api/logs").json()] == ["server.log"]
    assert api.get("/api/log/server.log").json() == {
        "lines": [
            {"timestamp": "2026-03-07 09:15:02", "level": "INFO", "message": "up"},
            {"timestamp": "", "level": "", "message": "plain"},
        ]
    }
    assert api.get("/api/log/link.log").status_code == api.get("/api/log/notes.txt").status_code == 404


def test_it_gives_the_last_lines_and_drops_blank_ones_after_they_were_counted(api, process, log):
    log.write("one\ntwo\n\n")
    url = f"/api/log/{process.pk - 1}.out"
    assert [line["message"] for line in api.get(url, {"maxLines": 2}).json()["lines"]] == ["two"]
    assert len(api.get(url).json()["lines"]) == 2


def test_it_filters_text_by_word_and_level(api, process, log):
    log.write("[2026-03-07 09:15:02,123] [ERROR] - Disk Full\nWARNING: slow\nall well\n")
    url = f"/api/logs/{process.pk - 1}.out"
    answer = api.get(url)
    assert answer["Content-Type"] == "text/plain; charset=utf-8" and answer["X-Content-Type-Options"] == "nosniff"
    assert answer.content.decode().splitlines()[1:] == ["WARNING: slow", "all well"]
    assert api.get(url, {"search": "disk full"}).content.decode().endswith("Disk Full")
    assert api.get(url, {"level": "error"}).content.decode().endswith("Disk Full")
    assert api.get(url, {"level": "warning"}).content == b"WARNING: slow"
    assert api.get(url, {"level": "info"}).content == b""


@pytest.mark.parametrize("query", [{"maxLines": 0}, {"maxLines": 10_001}, {"maxLines": "x"}, {"level": "loud"}])
def test_it_refuses(api, process, log, query):
    log.write("one\n")
    answer = api.get(f"/api/logs/{process.pk - 1}.out", query)
    assert answer.status_code == 400 and list(answer.json()) == ["error"]


@pytest.mark.parametrize("name", ["77.out", "x", "..", "%2e%2e%2fdb.sqlite3", "server.log", "0.txt", "-1.out"])
def test_an_unknown_log_is_not_found(api, name):
    for door in ("log", "logs"):
        answer = api.get(f"/api/{door}/{name}")
        assert answer.status_code == 404 and answer.json()["error"]


def test_it_needs_a_key():
    for path in ("/api/log/list", "/api/logs", "/api/log/0.out", "/api/logs/0.out"):
        assert Client().get(path).status_code == 401
