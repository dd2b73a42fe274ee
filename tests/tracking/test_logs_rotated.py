"""Reading a log whose older pieces have other names, or are gone."""

import pytest

from tests.logs import WrittenLog, plain_run
from training.models import Run
from training.tracking.logs import FollowedLog, Line, Selection, Stream, from_offset, tail, time_at

STDERR = Selection(Stream.STDERR)


@pytest.fixture
def run(tmp_path: object, settings: object) -> Run:
    return plain_run(tmp_path, settings)  # type: ignore[arg-type]


@pytest.fixture
def log(run: Run) -> WrittenLog:
    """Two full pieces and one that is written, of two lines each."""
    made = WrittenLog(run)
    made.write("one\n").write("two\n", "stderr").rotate()
    made.write("three\n").write("four\n", "stderr").rotate()
    return made.write("five\n").write("six\n", "stderr")


def texts(lines: list[Line]) -> list[str]:
    return [line.text for line in lines]


def forget(log: WrittenLog, base: int) -> None:
    """What the supervisor does with its oldest piece."""
    log.path.with_name(f"logs.txt.{base:015d}").unlink()
    log.index.with_name(f"logs.idx.{base:015d}" if base else "logs.idx").unlink()


def test_it_reads_across_the_pieces(log: WrittenLog) -> None:
    page = tail(log.run)
    assert texts(page.lines) == ["one", "two", "three", "four", "five", "six"]
    assert [line.offset for line in page.lines] == [0, 4, 8, 14, 19, 24]
    assert [line.time for line in page.lines] == [1000.0, 1001.0, 1002.0, 1003.0, 1004.0, 1005.0]
    assert (page.kept_from, page.scanned_from, page.next_offset, page.size_bytes) == (0, 0, 28, 28)
    assert texts(tail(log.run, lines=3).lines) == ["four", "five", "six"]


def test_it_reads_one_stream_across_the_pieces(log: WrittenLog) -> None:
    assert texts(tail(log.run, selection=STDERR).lines) == ["two", "four", "six"]
    assert texts(from_offset(log.run, 5, selection=STDERR).lines) == ["wo", "four", "six"]


def test_it_searches_across_the_pieces(log: WrittenLog) -> None:
    assert texts(tail(log.run, selection=Selection(search="o")).lines) == ["one", "two", "four"]


@pytest.mark.parametrize("max_bytes", [4, 7, 1000])
def test_it_gives_every_byte_once_across_the_pieces(log: WrittenLog, max_bytes: int) -> None:
    position, seen = 0, ""
    while (page := from_offset(log.run, position, max_bytes)).lines:
        seen += "".join(line.text + "\n" * (not line.is_partial) for line in page.lines)
        position = page.next_offset
    assert seen == "one\ntwo\nthree\nfour\nfive\nsix\n"


def test_a_line_may_go_on_in_the_next_piece(run: Run) -> None:
    log = WrittenLog(run).write("begun").rotate().write(" and ended\n")
    assert [(line.text, line.offset, line.end) for line in tail(log.run).lines] == [("begun and ended", 0, 16)]


def test_it_gives_the_time_of_a_place_in_any_piece(log: WrittenLog) -> None:
    assert [time_at(log.run, offset) for offset in (0, 9, 27)] == [1000.0, 1002.0, 1005.0]


def test_offsets_stay_when_the_oldest_piece_is_gone(log: WrittenLog) -> None:
    forget(log, 0)
    page = tail(log.run)
    assert [(line.text, line.offset, line.time) for line in page.lines][:1] == [("three", 8, 1002.0)]
    assert (page.kept_from, page.scanned_from, page.size_bytes) == (8, 8, 28)
    assert texts(tail(log.run, selection=STDERR).lines) == ["four", "six"]
    assert texts(from_offset(log.run, 14).lines) == ["four", "five", "six"]


def test_a_position_in_text_that_is_gone_goes_on_where_text_is_kept(log: WrittenLog) -> None:
    forget(log, 0)
    page = from_offset(log.run, 4)
    assert texts(page.lines) == ["three", "four", "five", "six"]
    assert (page.scanned_from, page.kept_from) == (8, 8)


def test_a_follower_that_was_too_slow_is_told_what_it_missed(log: WrittenLog) -> None:
    followed = FollowedLog(log.run)
    followed.position = 4
    forget(log, 0)
    lines = followed.advance()
    assert texts(lines) == ["mlserver: 4 bytes were rotated away", "three", "four", "five", "six"]
    assert (lines[0].stream, lines[0].offset, lines[0].end) == ("server", 4, 8)


def test_a_follower_goes_on_across_rotations(run: Run) -> None:
    log = WrittenLog(run).write("one\n")
    followed = FollowedLog(run)
    seen = texts(followed.advance())
    for word in ("two", "three"):
        log.rotate()
        seen += texts(followed.advance())
        log.write(f"{word}\n")
        seen += texts(followed.advance())
    assert seen == ["one", "two", "three"]


@pytest.mark.parametrize("steps", [1, 2])
def test_it_reads_all_of_a_rotation_that_was_broken_off(log: WrittenLog, steps: int) -> None:
    """The supervisor died after it had renamed the log, or before the new index said where the new log begins."""
    log.rotate(steps=steps)
    page = tail(log.run, lines=2)
    assert texts(page.lines) == ["five", "six"]
    assert (page.next_offset, page.size_bytes) == (28, 28)


def test_each_rank_has_its_own_pieces(log: WrittenLog) -> None:
    other = WrittenLog(log.run, rank=3).write("eins\n").rotate().write("zwei\n")
    assert texts(tail(other.run, 3).lines) == ["eins", "zwei"]
    assert texts(tail(log.run, lines=1).lines) == ["six"]


@pytest.mark.parametrize("content", [None, b"", b"three\nfou"])
def test_what_a_job_took_away_is_gone_with_all_before_it(log: WrittenLog, content: bytes | None) -> None:
    middle = log.path.with_name("logs.txt.000000000000008")
    middle.unlink()
    if content is not None:
        middle.write_bytes(content)
    page = tail(log.run)
    assert texts(page.lines) == ["five", "six"]
    assert (page.kept_from, page.size_bytes) == (19, 28)


def test_what_a_job_added_to_a_full_piece_is_not_shown(log: WrittenLog) -> None:
    with log.path.with_name("logs.txt.000000000000008").open("ab") as file:
        file.write(b"more\n")
    assert texts(tail(log.run).lines) == ["one", "two", "three", "four", "five", "six"]


def test_it_follows_no_link_in_place_of_a_piece(log: WrittenLog, tmp_path: object) -> None:
    middle = log.path.with_name("logs.txt.000000000000008")
    middle.rename(middle.with_name("moved"))
    middle.symlink_to("moved")
    assert texts(tail(log.run).lines) == ["five", "six"]


def test_a_missing_log_leaves_its_pieces(log: WrittenLog) -> None:
    log.path.unlink()
    page = tail(log.run)
    assert texts(page.lines) == ["one", "two", "three", "four"]
    assert page.size_bytes == 19
