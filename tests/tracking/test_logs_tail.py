"""The last lines of a log, of any size and in any state."""

import os
from pathlib import Path

import pytest

from tests.logs import WrittenLog, plain_run
from training.models import Run
from training.tracking.logs import MAX_LINES, Line, Selection, Stream, tail
from training.tracking.logs.lines import LINE_BYTES
from training.tracking.logs.reader import TAIL_BYTES

STDOUT, STDERR = Selection(Stream.STDOUT), Selection(Stream.STDERR)


@pytest.fixture
def run(tmp_path: Path, settings: object) -> Run:
    return plain_run(tmp_path, settings)


@pytest.fixture
def log(run: Run) -> WrittenLog:
    return WrittenLog(run)


def texts(lines: list[Line]) -> list[str]:
    return [line.text for line in lines]


def test_it_gives_nothing_without_a_log(run: Run) -> None:
    assert tail(run).lines == []
    assert tail(run).next_offset == tail(run).size_bytes == 0


def test_it_gives_nothing_of_an_empty_log(log: WrittenLog) -> None:
    log.write("")
    assert tail(log.run).lines == []


def test_it_gives_the_last_lines_with_place_time_and_stream(log: WrittenLog) -> None:
    log.write("one\n").write("two\n", "stderr").write("three\n", "server")

    page = tail(log.run, lines=2)

    assert page.lines == [
        Line(4, 8, "two", False, 1001.0, "stderr"),
        Line(8, 14, "three", False, 1002.0, "server"),
    ]
    assert (page.scanned_from, page.next_offset, page.size_bytes) == (4, 14, 14)


def test_it_gives_all_lines_when_there_are_fewer(log: WrittenLog) -> None:
    log.write("one\n\ntwo\n")
    page = tail(log.run, lines=100)
    assert texts(page.lines) == ["one", "", "two"]
    assert page.scanned_from == 0


def test_it_marks_a_last_line_without_newline(log: WrittenLog) -> None:
    log.write("one\ntw")
    first, last = tail(log.run).lines
    assert (first.is_partial, last.is_partial, last.text) == (False, True, "tw")


def test_it_counts_an_unfinished_line_as_one(log: WrittenLog) -> None:
    log.write("one\ntwo\nthr")
    assert texts(tail(log.run, lines=2).lines) == ["two", "thr"]


def test_it_gives_the_place_of_each_line_across_blocks(log: WrittenLog) -> None:
    written = [f"line {number} {'x' * (number % 300)}" for number in range(3000)]
    log.write("\n".join(written) + "\n")
    data = log.path.read_bytes()

    lines = tail(log.run, lines=2500).lines

    assert texts(lines) == written[-2500:]
    assert all(data[line.offset : line.end].decode() == line.text + "\n" for line in lines)
    assert [line.offset for line in lines[1:]] == [line.end for line in lines[:-1]]


def test_it_never_gives_more_than_the_cap(log: WrittenLog) -> None:
    log.write("".join(f"{number}\n" for number in range(MAX_LINES + 50)))
    lines = tail(log.run, lines=10**6).lines
    assert len(lines) == MAX_LINES
    assert lines[-1].text == str(MAX_LINES + 49)


def test_it_replaces_what_is_not_utf_8(log: WrittenLog) -> None:
    log.write(b"caf\xe9 \xff\n")
    assert texts(tail(log.run).lines) == ["caf\ufffd \ufffd"]


def test_it_cuts_an_overlong_line_with_a_notice(log: WrittenLog) -> None:
    log.write("before\n" + "x" * (LINE_BYTES + 10) + "\nafter\n")

    before, long, after = tail(log.run).lines

    assert (before.text, after.text) == ("before", "after")
    assert long.text == "x" * LINE_BYTES + f" [line cut: 10 of {LINE_BYTES + 10} bytes left out]"


def test_it_does_not_cut_an_overlong_line_inside_a_character(log: WrittenLog) -> None:
    log.write("x" * (LINE_BYTES - 1) + "é and more\n")
    assert "\ufffd" not in tail(log.run).lines[0].text


def test_it_shows_the_end_of_a_line_longer_than_all_it_may_read(log: WrittenLog) -> None:
    with log.path.open("wb") as file:
        file.truncate(5 * 1024**3)
        file.seek(0, os.SEEK_END)
        file.write(b"the end")

    (line,) = tail(log.run, lines=3).lines

    assert line.text.startswith("[line cut: its start before byte ")
    assert line.text.endswith("\0the end")
    assert line.end == 5 * 1024**3 + 7


def test_it_reads_only_the_end_of_a_huge_file(log: WrittenLog) -> None:
    with log.path.open("wb") as file:
        file.truncate(5 * 1024**3)
        file.seek(0, os.SEEK_END)
        file.write(b"\none\ntwo\n")

    page = tail(log.run, lines=2)

    assert texts(page.lines) == ["one", "two"]
    assert page.size_bytes == 5 * 1024**3 + 9


def test_it_leaves_out_the_broken_first_line_at_the_limit_of_reading(log: WrittenLog) -> None:
    with log.path.open("wb") as file:
        file.truncate(TAIL_BYTES)
        file.seek(0, os.SEEK_END)
        file.write(b"\none\n")

    page = tail(log.run)

    assert texts(page.lines) == ["one"]
    assert page.scanned_from == 5


def test_it_gives_each_rank_its_own_log(log: WrittenLog) -> None:
    log.write("rank zero\n")
    WrittenLog(log.run, rank=1).write("rank one\n", "stderr")
    (line,) = tail(log.run, 1).lines
    assert (line.text, line.stream, line.time) == ("rank one", "stderr", 1000.0)


# -- streams


def test_it_gives_the_lines_of_one_stream(log: WrittenLog) -> None:
    for number in range(5):
        log.write(f"out {number}\n").write(f"err {number}\n", "stderr")
    assert texts(tail(log.run, lines=2, selection=STDOUT).lines) == ["out 3", "out 4"]
    assert texts(tail(log.run, selection=STDERR).lines) == [f"err {number}" for number in range(5)]


def test_it_puts_a_line_of_one_stream_together_again(log: WrittenLog) -> None:
    log.write("hel").write("oh\n", "stderr").write("lo\nnext\n")

    lines = tail(log.run, selection=STDOUT).lines

    assert [(line.text, line.offset, line.end, line.time) for line in lines] == [
        ("hello", 0, 9, 1000.0),
        ("next", 9, 14, 1002.0),
    ]
    assert texts(tail(log.run).lines) == ["heloh", "lo", "next"]


def test_it_finds_few_lines_of_a_stream_in_much_text_of_the_other(log: WrittenLog) -> None:
    log.write("first warning\n", "stderr")
    for _ in range(9000):
        log.write("x" * 50 + "\n")
    log.write("second warning\n", "stderr").write("bye\n")
    assert texts(tail(log.run, selection=STDERR).lines) == ["first warning", "second warning"]


def test_it_gives_the_newest_of_many_lines_of_a_stream(log: WrittenLog) -> None:
    for number in range(10_000):
        log.write(f"out {number}\n").write(f"err {number}\n", "stderr")
    assert texts(tail(log.run, lines=9000, selection=STDERR).lines) == [f"err {n}" for n in range(1000, 10_000)]


def test_it_takes_all_text_for_stdout_without_an_index(log: WrittenLog) -> None:
    log.write_unindexed(b"said\n")
    (line,) = tail(log.run, selection=STDOUT).lines
    assert (line.text, line.time, line.stream) == ("said", None, None)
    assert tail(log.run, selection=STDERR).lines == []


def test_it_ignores_a_torn_last_record(log: WrittenLog) -> None:
    log.write("one\n").write("two\n")
    log.index.write_bytes(log.index.read_bytes()[:-5])

    one, two = tail(log.run).lines

    assert (one.time, one.stream) == (1000.0, "stdout")
    assert (two.time, two.stream) == (None, None)
    page = tail(log.run, selection=STDOUT)
    assert (texts(page.lines), page.next_offset) == (["one"], 4)


def test_it_ignores_records_of_text_that_is_gone(log: WrittenLog) -> None:
    log.write("one\n").write("two\n").write("three\n")
    os.truncate(log.path, 6)
    assert texts(tail(log.run).lines) == ["one", "tw"]
    page = tail(log.run, selection=STDOUT)
    assert (texts(page.lines), page.next_offset) == (["one", "tw"], 6)


def test_it_survives_an_index_of_nonsense(log: WrittenLog) -> None:
    log.write("one\ntwo\n")
    log.index.write_bytes(os.urandom(240))
    assert texts(tail(log.run).lines) == ["one", "two"]
    tail(log.run, selection=STDERR)


# -- search and collapse


def test_it_searches_backward_for_a_substring(log: WrittenLog) -> None:
    log.write("".join(f"epoch {number}\nstep {number}\n" for number in range(20_000)))
    assert texts(tail(log.run, lines=3, selection=Selection(search="epoch 1")).lines) == [
        "epoch 19997", "epoch 19998", "epoch 19999",
    ]  # fmt: skip
    assert texts(tail(log.run, selection=Selection(search="epoch 0")).lines) == ["epoch 0"]
    assert tail(log.run, selection=Selection(search="absent")).lines == []


def test_it_searches_in_one_stream(log: WrittenLog) -> None:
    log.write("loss 1\n").write("loss 2\n", "stderr")
    assert texts(tail(log.run, selection=Selection(Stream.STDERR, "loss")).lines) == ["loss 2"]


def test_it_searches_beyond_ascii(log: WrittenLog) -> None:
    log.write("größe 3\nnothing\n")
    assert texts(tail(log.run, selection=Selection(search="größe")).lines) == ["größe 3"]


def test_it_will_look_again_at_an_unfinished_line_after_a_search(log: WrittenLog) -> None:
    log.write("lost\nlos")
    page = tail(log.run, selection=Selection(search="los"))
    assert texts(page.lines) == ["lost", "los"]
    assert page.next_offset == 5


def test_it_shows_the_last_state_of_a_progress_bar(log: WrittenLog) -> None:
    log.write("start\r\n 10%|#  |\r 50%|## |\r100%|###|\n\r 1%\r 2%\r   \n\r\r\n")
    assert texts(tail(log.run, selection=Selection(collapse=True)).lines) == ["start", "100%|###|", " 2%", ""]
    assert tail(log.run).lines[1].text == " 10%|#  |\r 50%|## |\r100%|###|"


def test_it_collapses_before_it_cuts(log: WrittenLog) -> None:
    log.write("".join(f"\r{number:7d}" for number in range(200_000)))
    assert texts(tail(log.run, selection=Selection(collapse=True)).lines) == [" 199999"]


# -- what a job can leave where its log should be


def test_it_follows_no_link_in_place_of_the_log(log: WrittenLog, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret\n")
    log.path.symlink_to(tmp_path / "secret")
    assert tail(log.run).lines == []


def test_it_follows_no_link_in_place_of_the_run_directory(log: WrittenLog, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "logs.txt").write_text("secret\n")
    log.path.parent.rmdir()
    log.path.parent.symlink_to(tmp_path / "elsewhere")
    assert tail(log.run).lines == []


def test_it_does_not_wait_for_a_fifo(log: WrittenLog) -> None:
    os.mkfifo(log.path)
    assert tail(log.run).lines == []


def test_it_takes_a_directory_for_no_log(log: WrittenLog) -> None:
    log.path.mkdir()
    assert tail(log.run).lines == []


def test_it_takes_a_file_in_place_of_the_run_directory_for_no_log(log: WrittenLog) -> None:
    log.path.parent.rmdir()
    log.path.parent.write_text("not a directory")
    assert tail(log.run).lines == []


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_it_leaves_no_file_open(log: WrittenLog) -> None:
    log.write("one\n")
    before = open_files()
    for _ in range(20):
        tail(log.run)
    log.path.unlink()
    log.path.mkdir()
    tail(log.run)
    assert open_files() == before
