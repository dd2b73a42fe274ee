"""Following a log that grows, by steps and by the coroutine."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.logs import WrittenLog, plain_run
from training.models import Run
from training.tracking.logs import FollowedLog, Line, Pace, Selection, Stream, follow

QUICK = Pace(first_wait_s=0.01, longest_wait_s=0.05)


@pytest.fixture
def run(tmp_path: Path, settings: object) -> Run:
    return plain_run(tmp_path, settings)


@pytest.fixture
def log(run: Run) -> WrittenLog:
    return WrittenLog(run)


def whole_text(lines: list[Line]) -> str:
    return "".join(line.text if line.is_partial else line.text + "\n" for line in lines)


def drained(followed: FollowedLog) -> list[Line]:
    lines = followed.advance()
    while followed.has_more:
        lines += followed.advance()
    return lines


def collected(
    followed: FollowedLog,
    final_status: Callable[[], str | None],
    is_gone: Callable[[], bool] = lambda: False,
    pace: Pace = QUICK,
) -> tuple[list[Line], list[object]]:
    """All lines of `follow` and everything else that it gave."""

    async def collect() -> tuple[list[Line], list[object]]:
        lines: list[Line] = []
        others: list[object] = []
        async for batch in follow(followed, final_status, is_gone, pace):
            if isinstance(batch, list) and batch:
                lines += batch
            else:
                others.append(batch)
        return lines, others

    return asyncio.run(collect())


def test_it_gives_what_comes_step_by_step(log: WrittenLog) -> None:
    followed = FollowedLog(log.run)
    assert drained(followed) == []
    log.write("one\ntwo\n")
    assert [line.text for line in drained(followed)] == ["one", "two"]
    assert drained(followed) == []
    log.write("three\n")
    assert [line.text for line in drained(followed)] == ["three"]


def test_it_begins_with_the_last_lines(log: WrittenLog) -> None:
    log.write("one\ntwo\nthr")
    followed = FollowedLog(log.run)
    assert [line.text for line in followed.start_with_tail(2)] == ["two", "thr"]
    log.write("ee\n")
    assert [line.text for line in drained(followed)] == ["ee"]


def test_it_begins_at_the_end_when_no_lines_are_wanted(log: WrittenLog) -> None:
    log.write("one\n")
    followed = FollowedLog(log.run)
    assert followed.start_with_tail(0) == []
    assert followed.position == 4


def test_it_gives_a_matching_unfinished_line_once_and_whole(log: WrittenLog) -> None:
    log.write("loss 1\nlos")
    followed = FollowedLog(log.run, selection=Selection(search="los"))
    assert [line.text for line in followed.start_with_tail(5)] == ["loss 1"]
    drained(followed)
    log.write("s 2\n")
    assert [line.text for line in drained(followed)] == ["loss 2"]


def test_it_gives_an_unfinished_line_once_it_rests(log: WrittenLog) -> None:
    log.write("50%")
    followed = FollowedLog(log.run)
    assert drained(followed) == []
    assert [(line.text, line.is_partial) for line in drained(followed)] == [("50%", True)]
    assert drained(followed) == []


def test_it_waits_a_step_for_the_index(log: WrittenLog) -> None:
    log.write("one\n")
    log.write_unindexed(b"two\n")
    followed = FollowedLog(log.run)
    assert [line.text for line in drained(followed)] == ["one"]
    assert [line.text for line in drained(followed)] == ["two"]


def test_it_gives_every_line_of_a_flood_once(log: WrittenLog) -> None:
    followed = FollowedLog(log.run)
    seen: list[Line] = []
    for start in range(0, 60_000, 20_000):
        log.write("".join(f"{number}\n" for number in range(start, start + 20_000)))
        seen += followed.advance()
    log.end()
    seen += drained(followed)
    assert [line.text for line in seen] == [str(number) for number in range(60_000)]
    assert followed.has_all


def test_it_follows_one_stream(log: WrittenLog) -> None:
    followed = FollowedLog(log.run, selection=Selection(Stream.STDERR))
    log.write("out\n").write("err 1\n", "stderr").write("out\n")
    assert [line.text for line in drained(followed)] == ["err 1"]
    log.write("err 2\n", "stderr")
    assert [line.text for line in drained(followed)] == ["err 2"]


def test_it_does_not_repeat_a_log_that_is_put_back(log: WrittenLog) -> None:
    log.write("one\ntwo\n")
    followed = FollowedLog(log.run)
    drained(followed)
    text = log.path.read_bytes()
    log.path.unlink()
    assert drained(followed) == []
    log.path.write_bytes(text[:3])
    assert drained(followed) == []
    log.path.write_bytes(text)
    assert drained(followed) == []
    log.write("three\n")
    assert [line.text for line in drained(followed)] == ["three"]


def test_it_goes_on_at_the_end_of_a_truncated_log(log: WrittenLog) -> None:
    log.write("one\ntwo\n")
    log.index.unlink()
    followed = FollowedLog(log.run)
    drained(followed)
    log.path.write_bytes(b"new\n")
    drained(followed)
    assert drained(followed) == []
    log.write_unindexed(b"newer\n")
    assert [line.text for line in drained(followed)] == ["newer"]


# -- the coroutine


def test_it_ends_with_the_status_when_all_was_given(log: WrittenLog) -> None:
    log.write("one\ntwo\nno newline")
    log.end()
    lines, others = collected(FollowedLog(log.run), lambda: "finished")
    assert whole_text(lines) == "one\ntwo\nno newline"
    assert others == ["finished"]


def test_it_resumes_at_any_position(log: WrittenLog) -> None:
    text = "".join(f"line {number}\n" for number in range(50))
    log.write(text)
    log.end()
    lines, _ = collected(FollowedLog(log.run), lambda: "finished")
    for line in lines:
        rest, _ = collected(FollowedLog(log.run, position=line.end), lambda: "finished")
        assert whole_text(rest) == text[line.end :]


def test_it_waits_for_the_status_after_the_exit_record(log: WrittenLog) -> None:
    log.end()
    answers = [None, None, "failed"]
    assert collected(FollowedLog(log.run), lambda: answers.pop(0)) == ([], ["failed"])
    assert answers == []


def test_it_ends_without_an_exit_record_when_the_run_has_ended(run: Run) -> None:
    assert collected(FollowedLog(run), lambda: "failed") == ([], ["failed"])


def test_it_gives_lines_while_they_are_written(log: WrittenLog) -> None:
    text = "".join(f"count {number}\n" for number in range(40))
    pause = threading.Event()

    def write() -> None:
        for start in range(0, len(text), 11):
            log.write(text[start : start + 11])
            pause.wait(0.005)
        log.end()

    writer = threading.Thread(target=write)
    writer.start()
    lines, others = collected(FollowedLog(log.run), lambda: "finished" if not writer.is_alive() else None)
    writer.join()
    assert whole_text(lines) == text
    assert others == ["finished"]


def test_it_stops_when_the_reader_is_gone(log: WrittenLog) -> None:
    log.write("one\n")
    asked = 0

    def is_gone() -> bool:
        nonlocal asked
        asked += 1
        return asked > 2

    lines, others = collected(FollowedLog(log.run), lambda: None, is_gone)
    assert (whole_text(lines), others) == ("one\n", [])


def test_it_shows_life_when_nothing_comes(log: WrittenLog) -> None:
    answers = [None, "stopped"]
    pace = Pace(first_wait_s=0.01, longest_wait_s=0.02, keep_alive_s=0.05, status_every_s=0.3)
    lines, others = collected(FollowedLog(log.run), lambda: answers.pop(0), pace=pace)
    assert lines == []
    assert others[0] == []
    assert others[-1] == "stopped"


def test_it_reads_nothing_ahead_of_a_slow_reader(log: WrittenLog) -> None:
    log.write("x" * 99 + "\n")
    for _ in range(100):
        log.write(("x" * 99 + "\n") * 100)
    followed = FollowedLog(log.run)

    async def first_batch() -> int:
        stream = follow(followed, lambda: None, lambda: False)
        await anext(stream)
        return followed.position

    assert asyncio.run(first_batch()) <= 256 * 1024
