"""The sentences of waiting tasks, written in one statement."""

from typing import Any

import pytest

from tests.make import make_task, make_user
from training.models import Task
from training.queue.reasons import write_reasons

pytestmark = pytest.mark.django_db


@pytest.mark.database
def test_it_gives_each_task_its_own_sentence_in_one_statement(django_assert_num_queries: Any) -> None:
    user = make_user()
    tasks = [make_task(user) for _ in range(3)]
    said = ["it's 'quoted' %s", 'needs "2" GPUs; π, 显存, \\u0041, \n', "{}"]
    with django_assert_num_queries(1):
        write_reasons([(task.pk, sentence) for task, sentence in zip(tasks, said, strict=True)])
    assert list(Task.objects.order_by("pk").values_list("waiting_reason", flat=True)) == said


def test_it_leaves_other_tasks_alone() -> None:
    one, other = make_task(), make_task(waiting_reason="as before")
    write_reasons([(one.pk, "new")])
    other.refresh_from_db()
    assert other.waiting_reason == "as before"


def test_nothing_to_say_is_no_query(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        write_reasons([])


@pytest.mark.database
@pytest.mark.parametrize("fields", [{"status": "held"}, {"status": "stopped", "pending_runs": 0}])
def test_a_task_that_no_longer_waits_is_told_nothing(fields: dict[str, object]) -> None:
    task = make_task(waiting_reason="as before", **fields)
    write_reasons([(task.pk, "new")])
    task.refresh_from_db()
    assert task.waiting_reason == "as before"
