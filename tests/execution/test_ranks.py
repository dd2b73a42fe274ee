"""Runs of several processes: each knows its number, and how to find the others."""

import json
from typing import Any

import pytest

from tests.execution.placed import placed
from tests.make import make_node, make_task
from tests.waiting import until
from training.execution.control import Control, ranks_of
from training.execution.environment import rank_environment
from training.execution.finish import finish
from training.execution.launch import launch, meeting_port
from training.models import Run, RunProcess
from training.queue.scheduler import schedule

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("engine")]
TELL = """
import json, os
names = "RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"
print(json.dumps({name: os.environ[name] for name in names}))
"""


def logs_of(run: Run) -> list[str]:
    names = ["logs.txt", *(f"logs.{rank}.txt" for rank in range(1, run.processes.count()))]
    return [(run.directory / name).read_text() for name in names]


def exits_of(run: Run, ranks: int) -> list[dict[str, Any]]:
    records = [Control(run.pk, rank) for rank in range(ranks)]
    assert until(lambda: all(it.read("exit") for it in records), within_s=20, what="exit records")
    return [record for it in records if (record := it.read("exit"))]


def test_it_places_as_many_processes_as_the_task_has_ranks() -> None:
    make_node()
    make_task(ranks=3)
    [run_id] = schedule()
    assert sorted(RunProcess.objects.filter(run=run_id).values_list("rank", flat=True)) == [0, 1, 2]


@pytest.mark.process
def test_every_rank_is_told_its_number_and_where_to_meet() -> None:
    run = placed(["python3", "-c", TELL], ranks=3)
    launch(run.pk)
    assert [record["exit_code"] for record in exits_of(run, 3)] == [0, 0, 0]
    said = [json.loads(text) for text in logs_of(run)]
    assert [(one["RANK"], one["LOCAL_RANK"]) for one in said] == [("0", "0"), ("1", "1"), ("2", "2")]
    assert {(one["WORLD_SIZE"], one["LOCAL_WORLD_SIZE"], one["MASTER_ADDR"]) for one in said} == {
        ("3", "3", "127.0.0.1")
    }
    assert len({one["MASTER_PORT"] for one in said}) == 1
    finish(run.pk)
    run.refresh_from_db()
    assert (run.status, ranks_of(run.pk)) == ("finished", [0, 1, 2])


@pytest.mark.process
def test_a_rank_that_fails_ends_the_others_and_its_failure_counts() -> None:
    run = placed('test "$RANK" = 1 && exit 7; exec sleep 600', ranks=3)
    launch(run.pk)
    assert until(lambda: Control(run.pk, 1).read("exit"), within_s=20, what="exit of rank 1")
    assert "waits for rank 0, 2" in finish(run.pk)
    exits_of(run, 3)
    finish(run.pk)
    run.refresh_from_db()
    assert (run.status, run.exit_class, run.exit_code) == ("failed", "error", 7)


def test_a_launch_that_is_repeated_tells_the_same_meeting_port() -> None:
    run = placed(ranks=2)
    Control(run.pk).write("spec", {"env": {"MASTER_PORT": "23456"}})
    assert meeting_port(run.pk) == 23456


def test_a_single_process_is_told_nothing() -> None:
    assert rank_environment(0, 1, 0) == {}
