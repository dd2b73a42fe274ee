"""Reading on from a position: every byte once, none twice."""

import os
from pathlib import Path

import pytest

from tests.logs import WrittenLog, plain_run
from training.models import Run
from training.tracking.logs import MAX_LINES, Line, Page, Selection, Stream, from_offset, time_at

ALL = Selection()


@pytest.fixture
def run(tmp_path: Path, settings: object) -> Run:
    return plain_run(tmp_path, settings)


@pytest.fixture
def log(run: Run) -> WrittenLog:
    return WrittenLog(run)


def whole_text(lines: list[Line]) -> str:
    return "".join(line.text if line.is_partial else line.text + "\n" for line in lines)


def read_all(run: Run, max_bytes: int, selection: Selection = ALL) -> list[Line]:
    """Page after page until one brings nothing new."""
    lines: list[Line] = []
    position = 0
    while (page := from_offset(run, position, max_bytes, selection=selection)).next_offset > position:
        lines += page.lines
        position = page.next_offset
    assert position == page.size_bytes
    return lines


def test_it_keeps_the_position_without_a_log(run: Run) -> None:
    assert from_offset(run, 7) == Page([], 7, 0, 7)


@pytest.mark.parametrize("max_bytes", [4, 7, 64, 1000, 10**6])
def test_it_gives_every_byte_once(log: WrittenLog, max_bytes: int) -> None:
    text = "".join(f"step {number} größe 漢字 {'=' * (number % 90)}\n" for number in range(200)) + "no newline é"
    log.write(text)
    assert whole_text(read_all(log.run, max_bytes)) == text


@pytest.mark.parametrize("max_bytes", [4, 7, 64, 1000, 10**6])
def test_it_gives_every_byte_of_a_stream_once(log: WrittenLog, max_bytes: int) -> None:
    said = {"stdout": "", "stderr": ""}
    for number in range(300):
        stream = ("stdout", "stderr")[number % 7 > 4]
        piece = f"{stream} {number} é" + "\n" * (number % 3 == 0)
        said[stream] += piece
        log.write(piece, stream)
    assert whole_text(read_all(log.run, max_bytes, Selection(Stream.STDOUT))) == said["stdout"]
    assert whole_text(read_all(log.run, max_bytes, Selection(Stream.STDERR))) == said["stderr"]


def test_it_counts_on_while_the_log_grows(log: WrittenLog) -> None:
    position, seen = 0, []
    for number in range(100):
        log.write(f"{number}\n")
        page = from_offset(log.run, position)
        seen += [line.text for line in page.lines]
        position = page.next_offset
    assert seen == [str(number) for number in range(100)]


def test_it_gives_places_times_and_streams(log: WrittenLog) -> None:
    log.write("one\n").write("two\n", "stderr")
    page = from_offset(log.run, 4)
    assert page == Page([Line(4, 8, "two", False, 1001.0, "stderr")], 8, 8, 4)


def test_it_begins_inside_a_line_when_told_so(log: WrittenLog) -> None:
    log.write("hello\n")
    (line,) = from_offset(log.run, 2).lines
    assert (line.offset, line.text) == (2, "llo")


def test_it_marks_an_unfinished_line_and_goes_on_behind_it(log: WrittenLog) -> None:
    log.write("hel")
    first = from_offset(log.run, 0)
    log.write("lo\n")
    second = from_offset(log.run, first.next_offset)
    assert [(line.text, line.is_partial) for line in first.lines + second.lines] == [("hel", True), ("lo", False)]


def test_it_keeps_an_unfinished_line_for_later_when_asked(log: WrittenLog) -> None:
    log.write("one\ntw")
    page = from_offset(log.run, 0, is_settled=False)
    assert ([line.text for line in page.lines], page.next_offset) == (["one"], 4)


def test_it_waits_for_the_rest_of_a_character(log: WrittenLog) -> None:
    log.write(b"caf" + b"\xc3")
    first = from_offset(log.run, 0)
    assert ([line.text for line in first.lines], first.next_offset) == (["caf"], 3)
    assert from_offset(log.run, 3, is_over=True).lines[0].text == "\ufffd"
    log.write(b"\xa9\n")
    assert from_offset(log.run, 3).lines[0].text == "é"


def test_it_stops_at_the_cap_of_lines_and_goes_on(log: WrittenLog) -> None:
    log.write("".join(f"{number}\n" for number in range(MAX_LINES + 5)))
    first = from_offset(log.run, 0)
    second = from_offset(log.run, first.next_offset)
    assert len(first.lines) == MAX_LINES
    assert [line.text for line in second.lines] == [str(MAX_LINES + number) for number in range(5)]


def test_it_ends_a_position_behind_the_end_at_the_end(log: WrittenLog) -> None:
    log.write("one\n")
    assert from_offset(log.run, 10**15) == Page([], 4, 4, 4)
    assert from_offset(log.run, 10**15, selection=Selection(Stream.STDERR)) == Page([], 4, 4, 4)


def test_it_skips_what_does_not_match_a_search(log: WrittenLog) -> None:
    log.write("loss 1\nother\nloss 2\nlos")
    page = from_offset(log.run, 0, selection=Selection(search="loss"))
    assert ([line.text for line in page.lines], page.next_offset) == (["loss 1", "loss 2"], 20)
    over = from_offset(log.run, 20, selection=Selection(search="los"), is_over=True)
    assert ([line.text for line in over.lines], over.next_offset) == (["los"], 23)


def test_it_goes_on_behind_text_of_other_streams(log: WrittenLog) -> None:
    log.write("out\n").write("err\n", "stderr")
    page = from_offset(log.run, 0, selection=Selection(Stream.STDOUT))
    assert ([line.text for line in page.lines], page.next_offset) == (["out"], 8)


def test_it_gives_the_time_of_a_place(log: WrittenLog) -> None:
    for number in range(5000):
        log.write(f"{number:04d}\n")
    assert time_at(log.run, 0) == 1000.0
    assert time_at(log.run, 5 * 4321 + 3) == 5321.0
    assert time_at(log.run, 5 * 5000) is None


def test_it_reads_a_huge_sparse_file_from_anywhere(log: WrittenLog) -> None:
    with log.path.open("wb") as file:
        file.truncate(5 * 1024**3)
        file.seek(0, os.SEEK_END)
        file.write(b"\nend\n")
    page = from_offset(log.run, 5 * 1024**3)
    assert [line.text for line in page.lines] == ["", "end"]
