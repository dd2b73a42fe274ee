"""Order: priority, age, and ageing that lets nothing starve."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from tests.make import make_queue, make_task
from training.models import Task
from training.queue.control import change_task
from training.queue.line import renew_turns

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("home")]


def waiting(priority: int = 0, *, age_h: float = 0, **fields: Any) -> Task:
    return make_task(priority=priority, queued_at=timezone.now() - timedelta(hours=age_h), **fields)


def line() -> list[Task]:
    return list(Task.objects.placeable())


@pytest.mark.database
def test_each_hour_of_waiting_is_worth_a_point(settings: Any) -> None:
    settings.AGEING_S = 3600
    old, urgent, older = waiting(age_h=4.9), waiting(5), waiting(age_h=5.1)
    assert line() == [older, urgent, old]


def test_without_ageing_priority_alone_decides(settings: Any) -> None:
    settings.AGEING_S = 0
    old, urgent = waiting(age_h=24 * 365), waiting(1)
    lowly = waiting(-100, age_h=24 * 365 * 9)
    assert line() == [urgent, old, lowly]


def test_the_priority_of_a_queue_counts_for_its_tasks() -> None:
    make_queue("night", priority=-7)
    nightly, usual, urgent = waiting(5, queue="night"), waiting(), waiting(9, queue="night")
    for task in (nightly, urgent):
        change_task(task, {"queue": "night"})
    assert line() == [urgent, usual, nightly]


@pytest.mark.database
def test_another_ageing_moves_what_waits(settings: Any) -> None:
    settings.AGEING_S = 3600
    old, urgent, ended = waiting(age_h=3), waiting(2), waiting(status="failed")
    assert line() == [old, urgent]
    settings.AGEING_S = 0
    assert renew_turns() == 1
    assert line() == [urgent, old]
    assert renew_turns() == 0
    ended.refresh_from_db()
    assert ended.turn == pytest.approx(ended.queued_at.timestamp())
