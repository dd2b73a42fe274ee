"""The outbox of a run, one step after the other, against a server over real HTTP."""

import os
from pathlib import Path

import mlserver_client as rn
import pytest
from mlserver_client.delivery.journal import Journal
from mlserver_client.delivery.outbox import Outbox
from mlserver_client.delivery.target import Target
from mlserver_client.delivery.wire import Later, Refusal, Wire
from mlserver_client.files import change_json

from tests.clients.server import KEY, TrackingServer


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Of a run that has ended: a hundred records and a line of log."""
    run = rn.init(project="digits", storage=tmp_path, capture_env=False)
    for n in range(100):
        run.log(n=n)
    run.log_text("hello")
    run.finish()
    return run.run_dir


def outbox(directory: Path, server: TrackingServer) -> Outbox:
    return Outbox(directory, Wire(Target(server.url, KEY)))


def emptied(box: Outbox, most: int = 1000) -> Outbox:
    for _ in range(most):
        if not box.advance():
            return box
    raise AssertionError("there is no end of it")


def test_a_server_that_forgot_the_run_gets_it_again(server: TrackingServer, directory: Path) -> None:
    box = emptied(outbox(directory, server))
    server.runs.clear()
    with (directory / "events.jsonl").open("ab") as file:
        file.write(b'{"type": "metrics", "data": {"n": 100}}\n')
    emptied(box)
    assert server.run().values("n") == list(range(101))
    assert server.run().log
    assert server.run().finished_with


def test_a_server_restored_from_a_backup_says_from_where(server: TrackingServer, directory: Path) -> None:
    box = outbox(directory, server)
    emptied_by_tens(box, directory)
    run = server.run()
    run.next_seq, run.lines = 4, run.lines[:40]
    with (directory / "events.jsonl").open("ab") as file:
        file.write(b'{"type": "metrics", "data": {"n": 100}}\n')
    emptied(box)
    assert run.values("n") == list(range(101))


def emptied_by_tens(box: Outbox, directory: Path) -> None:
    """Batches of ten lines, as a training makes them that goes on slowly."""
    content = (directory / "events.jsonl").read_bytes().splitlines(keepends=True)
    for count in range(10, 101, 10):
        (directory / "events.jsonl").write_bytes(b"".join(content[:count]))
        emptied(box)


def test_a_run_that_was_deleted_there_is_refused_in_the_end(server: TrackingServer, directory: Path) -> None:
    box = outbox(directory, server)
    box.advance()
    server.failures = [404, 409] * 3
    with pytest.raises(Refusal, match="takes no records"):
        emptied(box)


def test_batches_that_are_too_large_are_halved(server: TrackingServer, directory: Path) -> None:
    server.most_lines = 7
    emptied(outbox(directory, server))
    assert server.run().values("n") == list(range(100))


def test_lost_notes_lose_no_record(server: TrackingServer, directory: Path) -> None:
    emptied(outbox(directory, server))
    (directory / "delivery.jsonl").unlink()
    emptied(outbox(directory, server))
    assert set(server.run().values("n")) == set(range(100))
    assert server.run().log.count(b"hello") == 1


def test_a_torn_note_is_passed_over(server: TrackingServer, directory: Path) -> None:
    box = outbox(directory, server)
    box.advance()
    box.advance()
    with (directory / "delivery.jsonl").open("ab") as file:
        file.write(b'{"seq": 1, "sta')
    emptied(outbox(directory, server))
    assert server.run().values("n") == list(range(100))


def test_an_unfinished_line_waits_for_its_end(server: TrackingServer, directory: Path) -> None:
    with (directory / "events.jsonl").open("ab") as file:
        file.write(b'{"type": "metrics", "data": {"n": 1')
    box = emptied(outbox(directory, server))
    assert (len(server.run().lines), box.left().metrics_bytes) == (100, 0)
    with (directory / "events.jsonl").open("ab") as file:
        file.write(b"00}}\n")
    emptied(box)
    assert server.run().values("n")[-1] == 100


def test_a_refused_line_is_passed_over(server: TrackingServer, directory: Path) -> None:
    server.most_lines = 0
    box = outbox(directory, server)
    for _ in range(20):
        box.advance()
    server.most_lines = 1
    emptied(box)
    assert 80 < len(server.run().values("n")) < 100


def test_a_log_that_the_server_has_more_of_is_left_alone(server: TrackingServer, directory: Path) -> None:
    box = outbox(directory, server)
    box.advance()
    server.run().log = b"x" * 10_000
    emptied(box)
    assert (server.run().log, box.left().log_bytes) == (b"x" * 10_000, 0)


def test_a_picture_outside_the_run_is_not_sent(server: TrackingServer, directory: Path) -> None:
    with (directory / "events.jsonl").open("ab") as file:
        file.write(b'{"type": "image", "data": {"key": "k", "path": "../../../../secret"}}\n')
        file.write(b'{"type": "image", "data": {"key": "k", "path": "media/gone.png"}}\n')
    emptied(outbox(directory, server))
    assert (server.run().media, len(server.run().lines)) == ({}, 102)


def test_a_server_that_is_away_is_later(directory: Path) -> None:
    with pytest.raises(Later):
        Outbox(directory, Wire(Target("http://127.0.0.1:9", KEY))).advance()


def test_a_key_that_may_not_is_refused(server: TrackingServer, directory: Path) -> None:
    server.failures = [403]
    with pytest.raises(Refusal, match="403"):
        outbox(directory, server).advance()


def test_it_waits_as_long_as_the_server_says(server: TrackingServer, directory: Path) -> None:
    server.failures = [429]
    with pytest.raises(Later) as caught:
        outbox(directory, server).advance()
    assert caught.value.after_s == 1


def test_the_journal_knows_where_each_batch_began(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    for end in (10, 30, 60):
        journal.confirm(journal.note_batch(end))
    assert (Journal(tmp_path).seq, Journal(tmp_path).start) == (2, 30)
    journal.move_to(1)
    assert journal.next_batch() == (1, 10, 30)
    journal.note_batch(20)
    assert Journal(tmp_path).next_batch() == (1, 10, 20)


def test_small_files_are_sent_whenever_they_change_and_again_to_a_server_that_forgot(
    server: TrackingServer, directory: Path
) -> None:
    (directory / "environment.json").write_text('{"git": null}')
    (directory / "summary.json").write_text('{"a": 1}')
    box = emptied(outbox(directory, server))
    assert (server.run().environment, server.run().summary) == ({"git": None}, {"a": 1})
    change_json(directory / "summary.json", lambda old: {**old, "b": 2})
    emptied(box)
    assert server.run().summary == {"a": 1, "b": 2}
    asked = len(server.requests)
    emptied(outbox(directory, server))
    assert len(server.requests) == asked
    server.runs.clear()
    change_json(directory / "summary.json", lambda old: {**old, "c": 3})
    emptied(box)
    assert server.run().summary == {"a": 1, "b": 2, "c": 3}
    assert server.run().environment == {"git": None}
    assert server.run().values("n") == list(range(100))


def test_a_log_that_grows_goes_to_a_server_that_forgot(server: TrackingServer, directory: Path) -> None:
    box = emptied(outbox(directory, server))
    server.runs.clear()
    with (directory / "logs.txt").open("ab") as file:
        file.write(b"more\n")
    emptied(box)
    assert server.run().log.count(b"\n") == 2
    assert server.run().values("n") == list(range(100))


def test_a_process_that_takes_a_run_up_again_says_who_it_is(server: TrackingServer, directory: Path) -> None:
    emptied(outbox(directory, server))
    server.run().finished_with = None
    box = emptied(Outbox(directory, Wire(Target(server.url, KEY)), is_living=True))
    assert not server.run().resumed_with  # it has nothing to say
    with (directory / "logs.txt").open("ab") as file:
        file.write(b"more\n")
    emptied(box)
    (again,) = server.run().resumed_with
    assert (again["pid"], again["resume"]) == (os.getpid(), True)
    assert server.run().log.endswith(b"more\n")
    assert server.run().finished_with
    assert not box.left()
    assert server.run().values("n") == list(range(100))
