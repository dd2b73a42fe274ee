"""What reading a log costs does not depend on its size: bytes and reads are counted, not seconds."""

import os
from dataclasses import dataclass

import pytest

from tests.logs import RECORD, WrittenLog, plain_run
from training.models import Run
from training.tracking.logs import FollowedLog, Selection, Stream, from_offset, tail

GIB = 1024**3
WRITE_BYTES = 4096


@dataclass
class Reads:
    """Reads of any file, and the bytes that they gave."""

    count: int = 0
    data: int = 0


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Reads:
    made, pread = Reads(), os.pread

    def counted(descriptor: int, length: int, offset: int) -> bytes:
        data = pread(descriptor, length, offset)
        made.count, made.data = made.count + 1, made.data + len(data)
        return data

    monkeypatch.setattr(os, "pread", counted)
    return made


@pytest.fixture
def run(tmp_path: object, settings: object) -> Run:
    return plain_run(tmp_path, settings)  # type: ignore[arg-type]


@pytest.fixture(params=[1, 5], ids=["1 GiB", "5 GiB"])
def log(run: Run, request: pytest.FixtureRequest) -> WrittenLog:
    """A hole with an index of every 4 KiB, and behind it 10,000 lines that alternate between the streams."""
    made, hole = WrittenLog(run), request.param * GIB
    with made.path.open("wb") as file:
        file.truncate(hole)
    with made.index.open("wb") as file:
        for start in range(0, hole, 64 * 1024**2):
            file.write(
                b"".join(RECORD.pack(at, 1.0, WRITE_BYTES, 1) for at in range(start, start + 2**26, WRITE_BYTES))
            )
    text = [b"\n", *(b"line %05d\n" % number for number in range(10_000))]
    with made.path.open("ab") as lines, made.index.open("ab") as index:
        for number, line in enumerate(text):
            index.write(RECORD.pack(lines.tell(), 2.0 + number, len(line), 1 + number % 2))
            lines.write(line)
    return made


def test_a_tail_reads_a_block_of_text_and_a_path_through_the_index(log: WrittenLog, reads: Reads) -> None:
    page = tail(log.run, lines=100)
    assert [line.text for line in page.lines] == [f"line {number:05d}" for number in range(9900, 10_000)]
    assert page.lines[0].time == 2.0 + 9901
    assert reads.data < 80 * 1024
    assert reads.count < 80


def test_a_tail_of_many_lines_reads_what_they_are_long(log: WrittenLog, reads: Reads) -> None:
    assert len(tail(log.run, lines=9000).lines) == 9000
    assert reads.data < 700 * 1024


def test_a_tail_of_one_stream_reads_a_block_of_the_index(log: WrittenLog, reads: Reads) -> None:
    page = tail(log.run, lines=100, selection=Selection(Stream.STDERR))
    assert len(page.lines) == 100
    assert reads.data < 250 * 1024


@pytest.mark.parametrize(("at", "index_bytes"), [(0.0, 0), (0.37, 0), (1.0, 8500 * RECORD.size)])
def test_a_page_from_anywhere_reads_the_page(log: WrittenLog, reads: Reads, at: float, index_bytes: int) -> None:
    """And of the index what its lines need: few in the hole, one for each line at the end."""
    offset = int(at * (log.path.stat().st_size - 110_000))
    page = from_offset(log.run, offset, 64 * 1024)
    assert 0 <= offset + 64 * 1024 - page.next_offset < 11
    assert reads.data < 80 * 1024 + index_bytes
    assert reads.count < 80


def test_a_follower_reads_what_is_new(log: WrittenLog, reads: Reads) -> None:
    followed = FollowedLog(log.run)
    followed.start_with_tail(10)
    reads.count = reads.data = 0
    followed.advance()
    assert (reads.count, reads.data) <= (4, 100), "nothing is new"
    log.write("new\n")
    assert [line.text for line in followed.advance()] == ["new"]
    assert reads.data < 4096


def test_a_log_that_is_nothing_but_moves_is_looked_at_in_part(run: Run, reads: Reads) -> None:
    made = WrittenLog(run)
    made.path.write_text(("up\x1b[Adown\x1b[B" * 4000 + "\x1b[A\n") * 60)
    assert made.path.stat().st_size > 2 * 1024**2
    assert {line.text for line in tail(run, selection=Selection(collapse=True)).lines} == {"up", "down"}
    assert reads.data < 2 * 1024**2
