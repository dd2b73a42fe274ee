"""Tasks that wait for others: met, failed, in chains, and at the same moment."""

from typing import Any

import pytest
from django.contrib.auth.models import User

from mlserver.errors import Conflict, Invalid
from tests.make import make_node, make_run, make_task, make_user
from tests.together import together
from training.execution.settle import settle
from training.models import Event, ExitClass, Run, RunStatus, Task, TaskDependency
from training.queue.control import delete_task, hold_task, release_task, retry_task, stop_task
from training.queue.spec import TaskSpec
from training.queue.submit import submit

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("home")]


@pytest.fixture
def user() -> User:
    return make_user()


def after(user: User, *needs: object, **values: object) -> Task:
    return submit(TaskSpec.clean({"command": ["x"], "depends_on": list(needs), **values}), owner=user)


def running(user: User) -> Task:
    task = make_task(user, status="active", pending_runs=0)
    make_run(task)
    return task


def end(task: Task, how: str = "finished") -> None:
    exit_class = {"finished": ExitClass.OK, "failed": ExitClass.ERROR, "stopped": ExitClass.STOPPED}[how]
    settle(task.runs.get(), RunStatus(how), exit_class, "")


def state(task: Task) -> tuple[str, str]:
    task.refresh_from_db()
    return task.status, task.waiting_reason


@pytest.mark.database
def test_it_waits_until_the_other_completes(user: User, django_capture_on_commit_callbacks: Any) -> None:
    first = running(user)
    second = after(user, first.pk)
    assert state(second) == ("waiting", f"waits for task {first.pk} to complete")
    make_node()
    with django_capture_on_commit_callbacks() as asked:
        end(first)
    assert len(asked) == 1  # a pass
    assert state(second) == ("waiting", "")
    assert Task.objects.placeable().get() == second


@pytest.mark.parametrize(("how", "status"), [("failed", "failed"), ("stopped", "stopped")])
@pytest.mark.database
def test_it_is_given_up_when_the_other_fails_or_is_stopped(how: str, status: str, user: User) -> None:
    first = running(user)
    second = after(user, first.pk)
    end(first, how)
    assert state(second) == ("stopped", "")
    assert second.ended_at is not None
    event = Event.objects.get(task=second, reason="DependencyFailed")
    assert (event.type, event.message) == ("Warning", f"task {first.pk}, which must complete before it, is {status}")


@pytest.mark.parametrize("how", ["finished", "failed", "stopped"])
def test_with_any_it_starts_however_the_other_ends(how: str, user: User) -> None:
    first = running(user)
    second = after(user, {"task": first.pk, "condition": "any"})
    assert state(second)[1] == f"waits for task {first.pk} to end"
    end(first, how)
    assert Task.objects.placeable().get() == second


def test_it_waits_for_all(user: User) -> None:
    first, second, third = running(user), running(user), running(user)
    task = after(user, first.pk, second.pk, {"task": third.pk, "condition": "any"})
    end(second)
    assert state(task)[1] == f"waits for task {first.pk} to complete, task {third.pk} to end"
    end(third, "failed")
    assert not Task.objects.placeable().exists()
    end(first)
    assert Task.objects.placeable().get() == task


def test_a_failure_goes_down_the_chain_and_any_starts_behind_it(user: User) -> None:
    first = running(user)
    chain = [first]
    for _ in range(300):
        chain.append(after(user, chain[-1].pk))
    last = after(user, {"task": chain[-1].pk, "condition": "any"})
    end(first, "failed")
    assert set(Task.objects.filter(pk__in=[task.pk for task in chain[1:]]).values_list("status", flat=True)) == {
        "stopped"
    }
    assert Task.objects.placeable().get() == last


def test_a_retry_of_the_other_is_waited_for(user: User) -> None:
    first = make_task(user, status="active", pending_runs=0, max_retries=1)
    make_run(first)
    second = after(user, first.pk)
    end(first, "failed")
    assert state(first)[0] == "waiting"
    assert state(second) == ("waiting", f"waits for task {first.pk} to complete")


def test_what_has_ended_counts_at_once(user: User) -> None:
    make_node()
    done, failed = make_task(user, status="completed"), make_task(user, status="failed")
    assert after(user, done.pk).status == "active"
    assert after(user, {"task": failed.pk, "condition": "any"}).status == "active"
    late = after(user, failed.pk)
    assert late.status == "stopped"
    assert Event.objects.filter(task=late, reason="DependencyFailed").exists()
    assert Run.objects.count() == 2


def test_a_held_task_is_given_up_too_and_a_released_one_still_waits(user: User) -> None:
    first = running(user)
    one, two = after(user, first.pk, hold=True), after(user, first.pk)
    hold_task(two)
    assert (state(one)[1], state(two)[1]) == ("held", "held")
    release_task(two)
    assert state(two) == ("waiting", f"waits for task {first.pk} to complete")
    end(first, "failed")
    assert (state(one)[0], state(two)[0]) == ("stopped", "stopped")


def test_stopping_a_waiting_task_ends_what_depends_on_it(user: User) -> None:
    first = after(user, hold=True)
    second, third = after(user, first.pk), after(user, {"task": first.pk, "condition": "any"})
    stop_task(first)
    assert state(second)[0] == "stopped"
    assert Task.objects.placeable().get() == third


def test_it_is_retried_after_the_other_was(user: User) -> None:
    first = running(user)
    second = after(user, first.pk)
    end(first, "failed")
    with pytest.raises(
        Conflict, match=f"task {second.pk} depends on task {first.pk}, which is failed: retry that first"
    ):
        retry_task(second)
    retry_task(first)
    assert state(retry_task(second)) == ("waiting", f"waits for task {first.pk} to complete")
    make_node(cpu_slots=1)
    first.activate(make_run(first).pk, "box")
    settle(first.runs.get(status="running"), RunStatus.FINISHED, ExitClass.OK, "")
    assert Task.objects.placeable().get() == second


def test_unknown_and_deleted_tasks_are_refused(user: User) -> None:
    gone = make_task(user, status="completed")
    delete_task(gone)
    for task in (gone.pk, 999):
        with pytest.raises(Invalid, match=f"there is no task {task}"):
            after(user, task)
    assert not TaskDependency.objects.exists()


@pytest.mark.database
@pytest.mark.django_db(transaction=True)
def test_two_that_end_at_once_let_it_start() -> None:
    user = make_user()
    first, second = running(user), running(user)
    task = after(user, first.pk, second.pk)
    together(lambda: end(Task.objects.get(pk=first.pk)), lambda: end(Task.objects.get(pk=second.pk)))
    task.refresh_from_db()
    assert (task.unmet, task.waiting_reason) == (0, "")


@pytest.mark.database
@pytest.mark.django_db(transaction=True)
def test_one_that_ends_while_another_is_submitted_behind_it_is_noticed() -> None:
    user = make_user()
    first = running(user)
    _, task = together(lambda: end(Task.objects.get(pk=first.pk), "failed"), lambda: after(user, first.pk))
    assert state(task)[0] == "stopped"


@pytest.mark.django_db(transaction=True)
def test_killed_between_the_end_and_what_follows_neither_has_happened(monkeypatch: pytest.MonkeyPatch) -> None:
    user = make_user()
    first = running(user)
    second = after(user, first.pk)
    with monkeypatch.context() as patch:
        patch.setattr(Task, "give_up", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            end(first, "failed")
    assert (state(first)[0], state(second)[0]) == ("active", "waiting")
    end(first, "failed")
    assert (state(first)[0], state(second)[0]) == ("failed", "stopped")


def test_ending_costs_one_query_where_nothing_depends_on_it(user: User, django_assert_num_queries: Any) -> None:
    task = running(user)
    with django_assert_num_queries(3):  # the task, its event, what depends on it
        task.end("completed")
