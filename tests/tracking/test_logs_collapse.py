r"""Progress bars, collapsed on request. The bytes are what tqdm 4.67 and rich 15 write, shortened."""

import pytest

from tests.logs import WrittenLog, plain_run
from training.models import Run
from training.tracking.logs import FollowedLog, Line, Selection, following, from_offset, tail

COLLAPSED = Selection(collapse=True)
NESTED = (
    "\repoch:   0%|          | 0/2\n"
    "\rbatch 0:   0%|     | 0/2\x1b[A\n\rbatch 0:  50%|##   | 1/2\x1b[A\n\rbatch 0: 100%|#####| 2/2\x1b[A\n"
    "\r                        \x1b[A\repoch:  50%|#####     | 1/2\n"
    "\rbatch 1:   0%|     | 0/2\x1b[A\n\rbatch 1:  50%|##   | 1/2\x1b[A\n\rbatch 1: 100%|#####| 2/2\x1b[A\n"
    "\r                        \x1b[A\repoch: 100%|##########| 2/2\repoch: 100%|##########| 2/2\n"
)
RICH = (
    "\x1b[?25l\r\x1b[2Kouter \x1b[90m---\x1b[0m   0%\ninner \x1b[90m---\x1b[0m   0%"
    "\r\x1b[2K\x1b[1A\x1b[2Kouter \x1b[90m---\x1b[0m  50%\ninner \x1b[90m---\x1b[0m 100%"
    "\r\x1b[2K\x1b[1A\x1b[2Kouter \x1b[90m---\x1b[0m 100%\ninner \x1b[90m---\x1b[0m 100%\n\x1b[?25h"
)


@pytest.fixture
def run(tmp_path: object, settings: object) -> Run:
    return plain_run(tmp_path, settings)  # type: ignore[arg-type]


@pytest.fixture
def log(run: Run) -> WrittenLog:
    return WrittenLog(run)


def texts(lines: list[Line]) -> list[str]:
    return [line.text for line in lines]


def collapsed(log: WrittenLog, lines: int = 100) -> list[str]:
    return texts(tail(log.run, lines=lines, selection=COLLAPSED).lines)


def test_nested_bars_leave_the_last_state_of_each(log: WrittenLog) -> None:
    log.write("start\n").write(NESTED[:200], "stderr").write(NESTED[200:], "stderr")
    assert collapsed(log) == ["start", "batch 1: 100%|#####| 2/2", "epoch: 100%|##########| 2/2"]
    log.write("done\n")
    assert collapsed(log) == ["start", "epoch: 100%|##########| 2/2", "done"], "as on a terminal"
    assert texts(from_offset(log.run, 0, selection=COLLAPSED).lines) == collapsed(log)
    assert texts(tail(log.run, lines=1).lines) == ["done"]
    assert len(tail(log.run).lines) == 11, "without collapse it is what was written"


def test_a_bar_that_wiped_itself_leaves_its_last_state(log: WrittenLog) -> None:
    log.write("\r 50%|##  |\r100%|####|\r           \rdone\n\r 1/2\r 2/2\r\x1b[K\n")
    assert collapsed(log) == ["done", " 2/2"]


def test_what_is_written_once_stays_as_it_is(log: WrittenLog) -> None:
    log.write("dos\r\n\tindented  \n\n\x1b[31mred\x1b[0m\r\n")
    assert collapsed(log) == ["dos", "\tindented  ", "", "\x1b[31mred\x1b[0m"]


def test_of_control_sequences_colours_stay(log: WrittenLog) -> None:
    log.write(RICH)
    assert collapsed(log) == ["outer \x1b[90m---\x1b[0m 100%", "inner \x1b[90m---\x1b[0m 100%", ""]


def test_lines_have_the_time_and_place_of_their_last_state(log: WrittenLog) -> None:
    for piece in NESTED.split("\n")[:-1]:
        log.write(f"{piece}\n")
    batch, epoch = tail(log.run, selection=COLLAPSED).lines
    assert (batch.time, epoch.time) == (1007.0, 1008.0)
    assert batch.end == epoch.offset
    assert epoch.end == len(NESTED)


def test_it_collapses_bars_of_any_length(log: WrittenLog) -> None:
    """The rows of the screen are as many as the bars, however long ago the first was drawn."""
    log.write("start\n\repoch: 0%\n")
    log.write("".join(f"\rbatch: {number:6d}\x1b[A\n" for number in range(30_000)))
    assert collapsed(log) == ["start", "epoch: 0%", "batch:  29999"]
    assert collapsed(log, lines=1) == ["batch:  29999"]


def test_it_does_not_look_for_ever(log: WrittenLog) -> None:
    log.write("start\n")
    log.write("".join(f"\rbatch: {number:6d}\x1b[A\n" for number in range(150_000)))
    page = tail(log.run, selection=COLLAPSED)
    assert texts(page.lines) == ["batch: 149999"]
    assert 0 < page.scanned_from < page.size_bytes


def test_a_search_looks_at_what_is_left(log: WrittenLog) -> None:
    log.write(NESTED)
    page = tail(log.run, selection=Selection(search="100%", collapse=True))
    assert texts(page.lines) == ["batch 1: 100%|#####| 2/2", "epoch: 100%|##########| 2/2"]
    assert tail(log.run, selection=Selection(search=" 50%", collapse=True)).lines == []


def test_moves_beyond_the_screen_do_no_harm(log: WrittenLog) -> None:
    log.write("one\n\x1b[99999999999999999999Atop\nbelow\n")
    assert collapsed(log) == ["one", "top", "", "below"]


# -- followed


def test_a_follower_sees_a_bar_move(log: WrittenLog, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though its line has no end yet, and something new comes at every look."""
    monkeypatch.setattr(following, "HOLD_S", 0.0)
    followed, seen = FollowedLog(log.run, selection=COLLAPSED), []
    for percent in range(0, 100, 10):
        log.write(f"\r{percent:3d}%|###|\r{percent + 5:3d}%|###|")
        seen += [(line.text, line.is_partial) for line in followed.advance()]
    assert seen == [(f"{percent + 5:3d}%|###|", True) for percent in range(0, 100, 10)]
    log.write("\r100%|###|\n")
    assert [(line.text, line.is_partial) for line in followed.advance()] == [("100%|###|", False)]


def test_a_follower_is_not_flooded_by_a_bar(log: WrittenLog) -> None:
    followed = FollowedLog(log.run, selection=COLLAPSED)
    for percent in range(50):
        log.write(f"\r{percent}%")
        assert followed.advance() == []


def test_a_follower_of_nested_bars_gets_one_state_of_each_at_a_look(log: WrittenLog) -> None:
    followed = FollowedLog(log.run, selection=COLLAPSED)
    half = NESTED.index("\rbatch 1")
    log.write(NESTED[:half])
    assert texts(followed.advance()) == ["batch 0: 100%|#####| 2/2", "epoch:  50%|#####     | 1/2"]
    log.write(NESTED[half:])
    assert texts(followed.advance()) == ["batch 1: 100%|#####| 2/2", "epoch: 100%|##########| 2/2"]
    log.write("done\n")
    assert texts(followed.advance()) == ["done"]


def test_without_collapse_a_follower_gets_every_byte_of_a_bar(log: WrittenLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "HOLD_S", 0.0)
    followed, seen = FollowedLog(log.run), ""
    for percent in range(3):
        log.write(f"\r{percent}%")
        seen += "".join(line.text for line in followed.advance())
    assert seen == "\r0%\r1%\r2%"


def test_a_move_by_more_lines_than_any_screen_has_is_none(log: WrittenLog) -> None:
    log.write(f"first\nsecond \x1b[{'9' * 5000}A\nthird\x1b[A\n")
    assert collapsed(log) == ["first", "second ", "third"]
