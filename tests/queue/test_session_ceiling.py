"""MAX_CONCURRENT_SESSIONS: how many sessions run at once, and what the others are told."""

from typing import Any

import pytest

from tests.make import make_node, make_run, make_session, make_task
from training.models import Run, RunArtifact
from training.queue.scheduler import schedule

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("home")]


def sessions_of(run_ids: list[str]) -> list[str]:
    return [run.task.session.pk for run_id in run_ids if (run := Run.objects.get(pk=run_id)).task]


def test_it_starts_as_many_sessions_as_the_ceiling_allows_in_the_order_they_came(settings: Any) -> None:
    settings.MAX_CONCURRENT_SESSIONS = 2
    make_node(cpu_slots=9)
    sessions = [make_session() for _ in range(3)]
    assert sessions_of(schedule()) == [sessions[0].pk, sessions[1].pk]
    sessions[2].task.refresh_from_db()
    said = "2 of 2 training sessions are running (MAX_CONCURRENT_SESSIONS)"
    assert (sessions[2].task.status, sessions[2].task.waiting_reason) == ("waiting", said)


def test_a_session_that_is_being_stopped_counts_until_its_processes_are_gone() -> None:
    make_node(cpu_slots=9)
    ending = make_session(task=make_task(status="active", pending_runs=0, is_session=True))
    run = make_run(ending.task, status="ending")
    waiting = make_session()
    assert schedule() == []
    Run.objects.filter(pk=run.pk).update(status="stopped")
    assert sessions_of(schedule()) == [waiting.pk]


def test_other_tasks_pass_by_sessions_that_wait_for_the_ceiling() -> None:
    make_node(cpu_slots=9)
    make_run(make_session(task=make_task(status="active", pending_runs=0, is_session=True)).task)
    make_session()
    task = make_task()
    assert [Run.objects.get(pk=run_id).task for run_id in schedule()] == [task]


def test_a_placed_session_has_used_its_dataset() -> None:
    make_node()
    session = make_session()
    [run_id] = schedule()
    used = RunArtifact.objects.get(run_id=run_id)
    assert (used.usage, used.version) == ("used", session.dataset_version)
