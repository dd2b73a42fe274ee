"""What a job says of its run in summary.json and status.json."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.make import make_node, make_run
from training import paths
from training.models import Event, Run
from training.tracking import told


def summary_files() -> told.ToldFiles:
    return told.ToldFiles({paths.SUMMARY_NAME: told.take_in_summary})


pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("home")]


@pytest.fixture
def run() -> Run:
    run = make_run(node=make_node())
    run.directory.mkdir(parents=True)
    return run


def write(run: Run, content: str | dict[str, Any], name: str = "summary.json") -> None:
    """As the SDK does: written beside and renamed."""
    draft = run.directory / ".draft"
    draft.write_text(content if isinstance(content, str) else json.dumps(content))
    draft.replace(run.directory / name)


def summary(run: Run) -> Any:
    run.refresh_from_db()
    return run.summary


def test_it_is_taken_in_whenever_it_changes(run: Run, django_assert_num_queries: Any) -> None:
    files = summary_files()
    files.take_in_all(run.node_id)
    write(run, {"a": 1, "best_metric_value": 0.5})
    files.take_in_all(run.node_id)
    assert (summary(run), run.best_metric_value) == ({"a": 1, "best_metric_value": 0.5}, 0.5)
    with django_assert_num_queries(1):
        files.take_in_all(run.node_id)
    write(run, {"a": 2})
    files.take_in_all(run.node_id)
    assert summary(run)["a"] == 2


def test_an_agent_that_begins_anew_changes_nothing(run: Run) -> None:
    write(run, {"a": 1})
    summary_files().take_in_all(run.node_id)
    before = Run.objects.get(pk=run.pk).updated_at
    summary_files().take_in_all(run.node_id)
    assert Run.objects.get(pk=run.pk).updated_at == before


def test_only_active_runs_of_the_node_are_looked_at(run: Run) -> None:
    ended, elsewhere = make_run(status="failed", node=run.node), make_run(node=make_node())
    for other in (ended, elsewhere):
        other.directory.mkdir(parents=True)
        write(other, {"a": 1})
    summary_files().take_in_all(run.node_id)
    assert [summary(other) for other in (ended, elsewhere)] == [{}, {}]


@pytest.mark.parametrize("content", ["", "{", "[1]", "null", '{"a": 1', "\0\1\2"])
def test_what_is_no_object_is_left_alone(content: str, run: Run) -> None:
    write(run, content)
    assert told.take_in_summary(run) is False
    assert summary(run) == {}


def test_bare_nan_of_other_libraries_is_read(run: Run) -> None:
    write(run, '{"loss": NaN, "best_metric_value": Infinity}')
    assert told.take_in_summary(run) is True
    assert (summary(run), run.best_metric_value) == ({"loss": None, "best_metric_value": None}, None)


@pytest.mark.parametrize("content", [{"a": "x" * 70_000}, {"a": json.loads("[" * 40 + "]" * 40)}])
def test_one_that_is_too_large_or_deep_is_said(content: Any, run: Run) -> None:
    write(run, content)
    assert told.take_in_summary(run) is False
    assert Event.objects.get(run=run).reason == "SummaryRefused"


def test_a_job_cannot_make_us_read_something_else(run: Run, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text('{"a": 1}')
    (run.directory / "summary.json").symlink_to(tmp_path / "secret")
    assert told.take_in_summary(run) is False
    (run.directory / "summary.json").unlink()
    os.mkfifo(run.directory / "summary.json")
    assert told.take_in_summary(run) is False
    (run.directory / "summary.json").unlink()
    with open(run.directory / "summary.json", "wb") as file:
        file.truncate(1 << 40)
    assert told.take_in_summary(run) is False


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ({"status": "failed", "exit_reason": "ValueError: x"}, "failed (ValueError: x)"),
        ({"status": "finished", "exit_reason": None}, "finished"),
        ({"status": 5, "exit_reason": ["a"]}, ""),
    ],
)
def test_it_knows_how_the_script_said_it_ended(status: Any, said: str, run: Run) -> None:
    assert str(told.ending(run)) == ""
    write(run, status, "status.json")
    assert str(told.ending(run)) == said
    assert told.ending(run).is_failure is (status["status"] == "failed")
