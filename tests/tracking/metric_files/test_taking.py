"""Files of runs become points exactly once, live and when the run ends."""

import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import DatabaseError

from tests.logs import WrittenLog
from tests.make import make_run
from tests.metrics import rows_of
from tests.together import together
from tests.tracking.metric_files import event_files
from training import paths
from training.models import Event, MetricFile, Run, Series
from training.tracking import intake, metric_files, metrics
from training.tracking.logs.index import RECORD
from training.tracking.metric_files import Memory, find, lines, output, taking
from training.tracking.metric_files import events as event_reader
from training.tracking.metrics import read_table

NAME = event_files.NAME


def write(run: Run, name: str, *objects: Any) -> Path:
    path = run.directory / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        for found in objects:
            file.write(found if isinstance(found, str) else json.dumps(found) + "\n")
    return path


def settle(run: Run) -> None:
    """As if nothing had been written for a while."""
    for path in run.directory.rglob("*"):
        os.utime(path, (1.0, 1.0))


def taken(run: Run) -> dict[int, dict[str, Any]]:
    """All that the run says, as when it has ended; step -> names and values, without times."""
    assert metric_files.take_in(run, is_over=True, within_s=60)
    rows = rows_of(read_table(run))
    return {step: {name: it for name, it in row.items() if name != "time"} for step, row in rows.items()}


def test_event_files_become_metrics(run: Run) -> None:
    event_files.write_scalars(run.directory, {"loss": [1.0, 0.5]})
    assert taken(run) == {0: {"loss": 1.0}, 1: {"loss": 0.5}}
    assert read_table(run).times.tolist() == [100.0, 101.0]
    assert Series.objects.get().count == 2


def test_directories_that_tell_writers_apart_stand_before_the_names(run: Run) -> None:
    event_files.write_scalars(run.directory / "logs" / "train", {"loss": [1.0]})
    event_files.write_scalars(run.directory / "logs" / "validation", {"loss": [2.0]})
    event_files.write_scalars(run.directory / "runs" / "Nov28_11-22-33_host", {"lr": [3.0]})
    assert taken(run) == {0: {"train/loss": 1.0, "validation/loss": 2.0, "lr": 3.0}}


def test_two_directories_never_share_their_names(run: Run) -> None:
    for version in (0, 1):
        event_files.write_scalars(run.directory / "lightning_logs" / f"version_{version}", {"loss": [version]})
    assert taken(run) == {0: {"loss": 0.0, "lightning_logs/version_1/loss": 1.0}}


def test_json_lines_become_metrics(run: Run) -> None:
    write(run, "metrics.jsonl", {"step": 1, "loss": 1}, "no json\n", {"loss": 2}, '{"loss": NaN}\n', '{"loss": 4}')
    assert taken(run) == {1: {"loss": 1}, 2: {"loss": 2}, 3: {"loss": None}, 4: {"loss": 4}}
    assert MetricFile.objects.get().bad_records == 1


def test_lines_below_the_top_and_the_spool_are_left_alone(run: Run) -> None:
    write(run, "data/train.jsonl", {"x": 1})
    write(run, "delivery.jsonl", {"x": 1})
    write(run, paths.EVENTS_NAME, {"x": 1})
    write(run, "other.json", {"x": 1})
    assert taken(run) == {}


def test_objects_on_the_standard_output_become_metrics(run: Run) -> None:
    write(
        run, "logs.txt", "starting\n", {"loss": 1}, "  {'loss': 2}\n", "{broken\n", {"step": 7, "loss": 3}, {"a": "b"}
    )
    assert taken(run) == {1: {"loss": 1}, 7: {"loss": 3}}


def test_output_is_read_across_the_pieces_of_a_rotated_log(run: Run) -> None:
    log, memory = WrittenLog(run), Memory()
    log.write('{"step": 1, "loss": 4.0}\n').write('{"step": 2, "loss": 3.0}\n')
    metric_files.take_in(run, memory)
    log.write('{"step": 3, "loss": 2.0}\n').rotate().write('{"step": 4, "loss": 1.0}\n')
    metric_files.take_in(run, memory)
    log.rotate(steps=2)
    assert taken(run) == {step: {"loss": 5.0 - step} for step in (1, 2, 3, 4)}


def test_output_that_was_rotated_away_before_it_was_read_is_left_out(run: Run) -> None:
    log = WrittenLog(run).write('{"step": 1, "loss": 4.0}\n').rotate().write('{"step": 2, "loss": 3.0}\n')
    log.path.with_name("logs.txt.000000000000000").unlink()
    assert taken(run) == {2: {"loss": 3.0}}


def test_what_the_standard_error_says_is_no_metric(run: Run) -> None:
    said = [(1, '{"loss": 1}\n'), (2, '{"loss": 2}\n'), (1, '{"loss": 3}\n')]
    write(run, "logs.txt", *(text for _, text in said))
    control = paths.control_dir(run.pk)
    control.mkdir(parents=True)
    records, offset = b"", 0
    for stream, text in said:
        records += RECORD.pack(offset, 1.0, len(text), stream)
        offset += len(text)
    (control / "logs.idx").write_bytes(records)
    assert [row["loss"] for row in taken(run).values()] == [1, 3]


def test_output_that_the_index_does_not_know_yet_waits(run: Run) -> None:
    write(run, "logs.txt", {"loss": 1}, {"loss": 2})
    control = paths.control_dir(run.pk)
    control.mkdir(parents=True)
    (control / "logs.idx").write_bytes(RECORD.pack(0, 1.0, len('{"loss": 1}\n'), 1))
    memory = Memory()
    metric_files.take_in(run, memory)
    assert Series.objects.get().count == 1
    assert len(taken(run)) == 2


def test_the_output_of_a_run_that_writes_records_is_not_read(run: Run) -> None:
    """The same numbers, printed and logged by the SDK, would count twice."""
    write(run, "logs.txt", {"loss": 1})
    write(run, paths.EVENTS_NAME, {"type": "metrics", "data": {"global_step": 5, "loss": 1}})
    assert intake.take_in_rest(run, within_s=60)
    assert (Series.objects.get().count, Series.objects.get().latest_step) == (1, 5)


def test_kinds_of_files_can_be_left_out(run: Run, settings: Any) -> None:
    event_files.write_scalars(run.directory, {"a": [1.0]})
    write(run, "m.jsonl", {"b": 1})
    write(run, "logs.txt", {"c": 1})
    settings.METRIC_FILES = frozenset({"lines"})
    assert taken(run) == {1: {"b": 1}}


def test_files_grow_appear_late_and_are_read_on_in_their_middle(run: Run) -> None:
    memory = Memory()
    records = [event_files.scalar("x", step, step=step) for step in range(4)]
    path = event_files.append(run.directory / NAME, records[0], records[1][:9])
    settle(run)
    assert metric_files.take_in(run, memory, within_s=60)
    assert Series.objects.get().count == 1
    event_files.append(path, records[1][9:], records[2])
    write(run, "late.jsonl", {"y": 1})
    settle(run)
    metric_files.take_in(run, memory, within_s=60)
    assert dict(Series.objects.values_list("name", "count")) == {"x": 3}, "the walk for new files is not due"
    memory.walk_at = 0
    metric_files.take_in(run, memory, within_s=60)
    event_files.append(path, records[3])
    assert taken(run) == {0: {"x": 0, "y": None}, 1: {"x": 1, "y": 1}, 2: {"x": 2, "y": None}, 3: {"x": 3, "y": None}}


def test_another_process_reads_on_where_one_was_killed(run: Run) -> None:
    path = write(run, "m.jsonl", {"x": 1}, {"x": 2})
    metric_files.take_in(run, Memory(), within_s=60)
    with path.open("a") as file:
        file.write('{"x": 3}\n')
    assert list(taken(run)) == [1, 2, 3]


def test_a_corrupt_file_is_given_up_with_one_warning(run: Run) -> None:
    event_files.append(run.directory / NAME, event_files.scalar("x", 1), b"x" * 40)
    memory = Memory()
    for _ in range(3):
        metric_files.take_in(run, memory, within_s=60)
    event_files.append(run.directory / NAME, event_files.scalar("x", 2))
    memory.walk_at = 0
    metric_files.take_in(run, memory, within_s=60)
    assert taken(run) == {0: {"x": 1}}
    event = Event.objects.get(run=run)
    assert (event.reason, event.type) == ("MetricsUnreadable", "Warning")
    assert "corrupt; nothing more is read of it" in event.message
    assert MetricFile.objects.get().bad_records == 1


def test_the_offset_does_not_move_when_the_points_cannot_be_stored(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    write(run, "m.jsonl", {"x": 1})

    def fails(*_: object) -> None:
        assert MetricFile.objects.get().offset > 0, "the offset is written, and not committed"
        raise DatabaseError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(metrics, "append", fails)
        with pytest.raises(DatabaseError):
            metric_files.take_in(run, is_over=True)
    assert not MetricFile.objects.exists()
    assert taken(run) == {1: {"x": 1}}


def test_links_and_hidden_directories_are_not_followed(run: Run, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    event_files.write_scalars(elsewhere, {"secret": [1.0]})
    write(run, ".hidden/x.txt", "")
    event_files.write_scalars(run.directory / ".hidden", {"hidden": [1.0]})
    (run.directory / "link").symlink_to(elsewhere)
    (run.directory / NAME).symlink_to(next(elsewhere.iterdir()))
    (run.directory / "m.jsonl").symlink_to(write(run, "real.txt", {"x": 1}))
    os.mkfifo(run.directory / "fifo.jsonl")
    assert taken(run) == {}


def test_a_run_directory_that_is_a_link_is_none(run: Run, tmp_path: Path) -> None:
    write(run, "m.jsonl", {"x": 1})
    run.directory.rename(tmp_path / "moved")
    run.directory.symlink_to(tmp_path / "moved")
    assert find.metric_files(run) == []


def test_a_walk_is_bounded(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for at in range(30):
        event_files.append(run.directory / f"d{at:02}" / NAME, event_files.scalar("x", 1))
    event_files.append(run.directory / "a/b/c/d/e" / NAME, event_files.scalar("deep", 1))
    assert len(find.metric_files(run)) == 30, "one lies too deep"
    monkeypatch.setattr(find, "MOST_FILES", 7)
    memory = Memory()
    for _ in range(2):
        memory.walk_at = 0
        assert len(memory.news(run)) == 7
    assert Event.objects.get().message == "of 30 files with metrics 7 are read"
    monkeypatch.setattr(find, "MOST_ENTRIES", 40)
    assert len(find.metric_files(run)) < 10


def test_a_walk_that_takes_long_is_made_more_seldom(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([100.0, 100.0, 102.0])
    with monkeypatch.context() as patched:
        patched.setattr(find, "time", SimpleNamespace(monotonic=lambda: next(clock)))
        memory = Memory()
        memory.news(run)
    assert memory.walk_at == 300.0


def test_without_news_nothing_is_asked_of_the_database(run: Run, django_assert_num_queries: Any) -> None:
    (run.directory / "logs.txt").touch()
    with django_assert_num_queries(0):
        assert metric_files.take_in(run, is_over=True)
    write(run, "m.jsonl", {"x": 1})
    settle(run)
    memory = Memory()
    metric_files.take_in(run, memory, within_s=60)
    with django_assert_num_queries(0):
        assert metric_files.take_in(run, memory)


def test_output_without_metrics_is_passed_over_and_seldom_noted(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "AT_ONCE_BYTES", 1000)
    monkeypatch.setattr(taking, "SEARCHED_AGAIN_BYTES", 10_000)
    memory = Memory()
    write(run, "logs.txt", "epoch 1\n" * 1000)
    metric_files.take_in(run, memory, within_s=60)
    assert (MetricFile.objects.exists(), memory.passed["logs.txt"]) == (False, 8000)
    write(run, "logs.txt", "epoch 1\n" * 1000, {"loss": 1})
    metric_files.take_in(run, memory, within_s=60)
    assert Series.objects.get().count == 1
    assert MetricFile.objects.get().offset == run.directory.joinpath("logs.txt").stat().st_size


def test_all_files_of_all_runs_have_their_turn(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "FILES_WITHIN_S", 0)
    others = [run, *(make_run(node=run.node) for _ in range(3))]
    for one in others:
        write(one, "m.jsonl", {"x": 1}, {"x": 2})
    look = intake.Intake()
    assert run.node is not None
    for count in range(1, 5):
        look.take_in_all(run.node)
        assert Series.objects.count() == count
    run.finish("finished", "ok", "")
    look.take_in_all(run.node)
    assert run.pk not in look.memories


@pytest.mark.database
@pytest.mark.django_db(transaction=True)
def test_processes_at_once_take_each_row_in_once(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (lines, event_reader, output):
        monkeypatch.setattr(module, "AT_ONCE_BYTES", 400)
    write(run, "m.jsonl", *({"x": at} for at in range(100)))
    write(run, "logs.txt", *({"y": at} for at in range(100)))
    event_files.append(run.directory / NAME, *(event_files.scalar("z", at, step=at + 1) for at in range(100)))

    def take_all() -> None:
        while not metric_files.take_in(run, is_over=True, within_s=60):
            pass

    together(*[take_all] * 3)
    assert dict(Series.objects.values_list("name", "count")) == {"x": 100, "y": 100, "z": 100}
    assert list(rows_of(read_table(run))) == list(range(1, 101))
