"""Event files in pieces: rows, checksums, torn and large records."""

from pathlib import Path

import pytest
from tensorboardX import SummaryWriter
from tensorboardX.proto.event_pb2 import Event

from tests.tracking.metric_files import event_files
from training.tracking.job_files import opened_below
from training.tracking.metric_files import events
from training.tracking.metric_files.piece import Piece, Place

NAME = event_files.NAME


def read(path: Path, place: Place | None = None) -> Piece:
    with opened_below(path.parent, path) as file:
        assert file is not None
        return events.read(file, place or Place())


def data_of(piece: Piece) -> list[dict[str, float]]:
    return [record["data"] for record in piece.records]


def test_it_reads_what_a_real_writer_wrote(tmp_path: Path) -> None:
    path = event_files.write_scalars(tmp_path, {"loss": [1.0, 0.5], "acc": [0.25, 0.75]})
    piece = read(path)
    assert data_of(piece) == [
        {"loss": 1.0, "acc": 0.25, "global_step": 0, "time": 100.0},
        {"loss": 0.5, "acc": 0.75, "global_step": 1, "time": 101.0},
    ]
    assert (piece.end, piece.bad_records, piece.problem) == (path.stat().st_size, 0, "")


def test_pictures_texts_and_histograms_of_a_real_writer_are_passed_over(tmp_path: Path) -> None:
    import numpy as np

    with SummaryWriter(logdir=str(tmp_path)) as writer:
        writer.add_text("note", "hello", 1)
        writer.add_histogram("weights", np.arange(10.0), 1)
        writer.add_image("picture", np.zeros((3, 400, 400), dtype=np.uint8), 1)
        writer.add_scalar("loss", 0.5, 2)
    (path,) = tmp_path.glob("events.*")
    assert [data["loss"] for data in data_of(read(path))] == [0.5]


def test_a_name_said_twice_at_a_step_is_two_rows(tmp_path: Path) -> None:
    path = event_files.append(tmp_path / NAME, *[event_files.scalar("x", value, step=3) for value in (1, 2)])
    assert [data["x"] for data in data_of(read(path))] == [1, 2]


def test_names_get_their_prefix_and_never_overwrite_the_step(tmp_path: Path) -> None:
    path = event_files.append(tmp_path / NAME, *[event_files.scalar(tag, 8, step=3) for tag in ("global_step", "a")])
    assert data_of(read(path)) == [{"a": 8, "global_step": 3, "time": 1.0}]
    assert data_of(read(path, Place(prefix="val/")))[0]["val/a"] == 8


@pytest.mark.parametrize("cut", [1, 5, 12, 20])
def test_a_torn_last_record_waits(tmp_path: Path, cut: int) -> None:
    first, second = event_files.scalar("x", 1, step=1), event_files.scalar("x", 2, step=2)
    path = event_files.append(tmp_path / NAME, first, second[:cut])
    piece = read(path)
    assert (len(piece.records), piece.end, piece.problem) == (1, len(first), "")
    event_files.append(path, second[cut:])
    assert [data["x"] for data in data_of(read(path, Place(piece.end)))] == [2]


def test_the_last_step_waits_for_its_other_tags_while_it_is_written(tmp_path: Path) -> None:
    records = [event_files.scalar(tag, 1, step=step) for step in (1, 2) for tag in "ab"]
    path = event_files.append(tmp_path / NAME, *records[:3])
    piece = read(path, Place(is_settled=False))
    assert (len(piece.records), piece.end) == (1, sum(map(len, records[:2])))
    event_files.append(path, records[3])
    assert data_of(read(path, Place(piece.end))) == [{"a": 1, "b": 1, "global_step": 2, "time": 1.0}]
    assert len(read(path, Place(piece.end, is_settled=False, is_over=True)).records) == 1


@pytest.mark.parametrize("at", [3, 9, 15, -2])
def test_a_wrong_checksum_ends_it_and_keeps_what_was_before(tmp_path: Path, at: int) -> None:
    first, second = event_files.scalar("x", 1, step=1), bytearray(event_files.scalar("x", 2, step=2))
    second[at] ^= 1
    path = event_files.append(tmp_path / NAME, first, bytes(second), first)
    piece = read(path, Place(is_settled=False))
    assert (len(piece.records), piece.end, piece.bad_records) == (1, len(first), 1)
    assert piece.problem == f"the record at byte {len(first)} is corrupt"


def test_a_record_that_is_no_event_is_counted_and_passed_over(tmp_path: Path) -> None:
    class Garbage:
        def SerializeToString(self) -> bytes:  # noqa: N802  as protobuf spells it
            return b"\xff\xff\xff"

    path = event_files.append(tmp_path / NAME, event_files.framed(Garbage()), event_files.scalar("x", 1))  # type: ignore[arg-type]
    piece = read(path)
    assert (len(piece.records), piece.bad_records, piece.problem) == (1, 1, "")


def test_a_large_record_is_passed_over_once_it_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "AT_ONCE_BYTES", 200)
    large = event_files.framed(Event(graph_def=b"g" * 1000))
    path = event_files.append(tmp_path / NAME, large[:900])
    assert read(path).end == 0
    event_files.append(path, large[900:], event_files.scalar("x", 1))
    piece = read(path)
    assert (piece.end, piece.records) == (len(large), [])
    assert len(read(path, Place(piece.end)).records) == 1


def test_one_step_that_fills_a_piece_does_not_wait_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "AT_ONCE_BYTES", 200)
    path = event_files.append(tmp_path / NAME, *[event_files.scalar(f"tag{at}", 1, step=1) for at in range(20)])
    place, names = Place(is_settled=False), []
    while (piece := read(path, place)).end < path.stat().st_size and piece.end > place.offset:
        names += [name for data in data_of(piece) for name in data if name.startswith("tag")]
        place = Place(piece.end, is_settled=False)
    names += [name for data in data_of(read(path, Place(place.offset))) for name in data if name.startswith("tag")]
    assert names == [f"tag{at}" for at in range(20)]


def test_a_file_of_something_else_is_corrupt_from_the_beginning(tmp_path: Path) -> None:
    path = event_files.append(tmp_path / NAME, b"these are certainly no records of TensorBoard")
    assert read(path).problem == "the record at byte 0 is corrupt"
