"""Epochs of sessions: what the trainer writes is taken in once, whatever else stands in its file."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.db import DataError

from tests.make import make_node, make_run, make_session
from tests.together import together
from training.models import Run, Series, SessionEpoch, Spool, TrainingSession
from training.tracking import epochs, intake
from training.tracking.spool import AT_ONCE_BYTES

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("home")]


@pytest.fixture
def session() -> TrainingSession:
    return make_session(epochs=50)


@pytest.fixture
def run(session: TrainingSession) -> Run:
    return make_run(session.task, node=make_node())


def line(epoch: object, **data: Any) -> str:
    data = {
        "epoch": epoch,
        "global_step": 1,
        "loss": 0.5,
        "accuracy": 0.75,
        "val_loss": 0.6,
        "val_accuracy": 0.7,
        **data,
    }
    return json.dumps({"ts": 1_700_000_000.5 + 1, "type": "metrics", "data": data}) + "\n"


def wrote(run: Run, text: str | bytes) -> Path:
    path = run.directory / "events.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write(text if isinstance(text, bytes) else text.encode())
    return path


def epoch_numbers() -> list[int]:
    return list(SessionEpoch.objects.values_list("epoch", flat=True))


def test_it_takes_in_an_epoch_with_its_numbers_and_its_time(run: Run, session: TrainingSession) -> None:
    wrote(run, line(1, learning_rate=0.01, global_step=40, stage="train"))
    intake.take_in(run)
    row = SessionEpoch.objects.get()
    assert (row.session, row.run, row.epoch) == (session, run, 1)
    assert (row.loss, row.accuracy, row.val_loss, row.val_accuracy) == (0.5, 0.75, 0.6, 0.7)
    assert row.at == datetime(2023, 11, 14, 22, 13, 21, 500_000, tzinfo=UTC)
    session.refresh_from_db()
    assert session.current_epoch == 1
    summary = Series.objects.get(run=run, name="learning_rate")
    assert (summary.count, summary.last, summary.latest_step) == (1, 0.01, 40)


def test_it_folds_every_epoch_into_the_series_of_the_run(run: Run) -> None:
    for epoch, loss in enumerate([3.0, 1.0, 2.0], start=1):
        wrote(run, line(epoch, loss=loss, global_step=10 * epoch))
        intake.take_in(run)
    row = Series.objects.get(run=run, name="loss")
    said = (row.count, row.first, row.last, row.min, row.max, row.latest_step)
    assert said == (3, 3.0, 2.0, 1.0, 3.0, 30)


def test_a_torn_last_line_waits_for_its_end(run: Run) -> None:
    whole, torn = line(1), line(2)
    path = wrote(run, whole + torn[:30])
    intake.take_in(run)
    assert (epoch_numbers(), Spool.objects.get().offset) == ([1], len(whole))
    with path.open("a") as file:
        file.write(torn[30:])
    intake.take_in(run)
    assert (epoch_numbers(), Spool.objects.get().bad_lines) == ([1, 2], 0)


def test_a_last_line_without_an_end_counts_once_the_job_is_gone(run: Run) -> None:
    wrote(run, line(1) + line(2).rstrip())
    intake.take_in(run, is_over=True)
    assert epoch_numbers() == [1, 2]


@pytest.mark.parametrize(
    "garbage",
    [b"no json\n", b"\x00\xff\xfe\n", b"[1, 2]\n", b"3\n", b'{"type": "metrics"\n', b"[" * 100_000 + b"\n"],
    ids=["words", "binary", "array", "number", "torn", "deep"],
)
def test_a_line_that_is_no_record_is_counted_and_passed_over(run: Run, garbage: bytes) -> None:
    wrote(run, line(1).encode() + garbage + line(2).encode())
    intake.take_in(run)
    assert (epoch_numbers(), Spool.objects.get().bad_lines) == ([1, 2], 1)


@pytest.mark.parametrize("epoch", [0, -1, 51, 1.5, "1", None, True, 10**30])
def test_an_epoch_that_the_session_does_not_have_is_passed_over(run: Run, epoch: object) -> None:
    wrote(run, line(epoch) + line(3))
    intake.take_in(run)
    assert epoch_numbers() == [3]


def test_numbers_that_are_not_finite_and_words_become_null(run: Run) -> None:
    wrote(run, line(1, loss=float("nan"), accuracy=float("inf"), val_loss="low", val_accuracy=None))
    intake.take_in(run)
    row = SessionEpoch.objects.get()
    assert (row.loss, row.accuracy, row.val_loss, row.val_accuracy) == (None, None, None, None)


def test_records_of_other_kinds_are_no_epochs(run: Run) -> None:
    other = json.dumps({"ts": 1, "type": "image", "data": {"epoch": 1}}) + "\n"
    wrote(run, other + json.dumps({"type": "metrics", "data": [1]}) + "\n")
    intake.take_in(run)
    assert (epoch_numbers(), Spool.objects.get().bad_lines) == ([], 0)


def test_a_line_of_megabytes_is_passed_over(run: Run) -> None:
    wrote(run, b"x" * (2 * AT_ONCE_BYTES + 5) + b"\n" + line(1).encode())
    for _ in range(4):
        intake.take_in(run)
    assert epoch_numbers() == [1]


def test_all_is_read_once_the_job_is_gone_however_long_it_is(run: Run) -> None:
    filler = json.dumps({"type": "other", "data": "y" * 1000}) + "\n"
    wrote(run, filler * 3000 + line(4))
    assert intake.take_in(run, is_over=True, within_s=60)
    assert (epoch_numbers(), Spool.objects.get().offset) == ([4], len(filler) * 3000 + len(line(4)))


@pytest.mark.database
@pytest.mark.parametrize("name", ["\\ud800", "a\\u0000b"], ids=["half of a pair", "NUL"])
def test_a_name_that_no_database_can_hold_keeps_nothing_from_being_taken_in(run: Run, name: str) -> None:
    wrote(run, line(1) + line(2, NAME=1).replace("NAME", name) + line(3))
    intake.take_in(run)
    assert epoch_numbers() == [1, 2, 3]
    assert Series.objects.get(run=run, name="loss").count == 3


def test_a_record_that_cannot_be_stored_is_counted_and_the_others_are_kept(
    run: Run, session: TrainingSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = epochs.store

    def refuse_second(run: Run, session: TrainingSession, records: list[dict[str, Any]]) -> None:
        if any(record["data"]["epoch"] == 2 for record in records):
            raise DataError("invalid value")
        store(run, session, records)

    monkeypatch.setattr(epochs, "store", refuse_second)
    wrote(run, line(1) + line(2) + line(3))
    intake.take_in(run)
    spooled = Spool.objects.get()
    assert (epoch_numbers(), spooled.bad_lines, spooled.offset) == ([1, 3], 1, len(line(1)) * 3)


def test_a_file_that_seems_to_be_endless_is_read_to_the_limit_of_logs(run: Run, settings: Any) -> None:
    settings.LOG_LIMIT_BYTES = 3 * AT_ONCE_BYTES
    path = wrote(run, line(1))
    os.truncate(path, 10**12)
    looks = 0
    while not intake.take_in(run, is_over=True):
        looks += 1
        assert looks < 10
    assert (epoch_numbers(), looks) == ([1], 4)


def test_it_reads_on_for_as_long_as_it_is_given(run: Run) -> None:
    filler = json.dumps({"type": "other", "data": "y" * 1000}) + "\n"
    wrote(run, filler * 3000 + line(4))
    assert not intake.take_in(run, is_over=True)
    assert intake.take_in(run, is_over=True, within_s=60)
    assert epoch_numbers() == [4]


def test_a_link_in_place_of_the_file_is_not_followed(run: Run, tmp_path: Path) -> None:
    outside = tmp_path / "outside.jsonl"
    outside.write_text(line(1))
    run.directory.mkdir(parents=True)
    (run.directory / "events.jsonl").symlink_to(outside)
    intake.take_in(run, is_over=True)
    assert (epoch_numbers(), Spool.objects.count()) == ([], 0)


def test_the_later_run_of_a_session_wins_where_both_have_an_epoch(session: TrainingSession, run: Run) -> None:
    wrote(run, line(1, loss=9.0) + line(2, loss=8.0) + line(3, loss=7.0))
    intake.take_in(run)
    retry = make_run(session.task, node=run.node)
    wrote(retry, line(2, loss=5.0))
    intake.take_in(retry)
    rows = SessionEpoch.objects.values_list("epoch", "loss", "run")
    assert list(rows) == [(1, 9.0, run.pk), (2, 5.0, retry.pk), (3, 7.0, run.pk)]
    session.refresh_from_db()
    assert session.current_epoch == 2


def test_it_looks_at_every_session_that_runs_on_the_node_and_at_no_other(run: Run, session: TrainingSession) -> None:
    elsewhere = make_run(make_session(epochs=50).task, node=make_node())
    ended = make_run(session.task, node=run.node, status="finished")
    for one in (run, elsewhere, ended):
        wrote(one, line(1))
    assert run.node is not None
    intake.Intake().take_in_all(run.node)
    assert list(SessionEpoch.objects.values_list("run", flat=True)) == [run.pk]


def test_a_session_without_news_costs_one_query(run: Run, django_assert_num_queries: Any) -> None:
    wrote(run, line(1))
    intake.take_in(run)
    assert run.node is not None
    with django_assert_num_queries(1):
        intake.Intake().take_in_all(run.node)


@pytest.mark.database
@pytest.mark.django_db(transaction=True)
def test_two_processes_at_once_take_each_line_in_once(run: Run) -> None:
    wrote(run, "".join(line(epoch) for epoch in range(1, 41)))
    together(*[lambda: intake.take_in(run, is_over=True, within_s=60)] * 4)
    assert epoch_numbers() == list(range(1, 41))
    assert Series.objects.get(run=run, name="loss").count == 40
