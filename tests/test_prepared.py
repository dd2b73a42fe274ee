"""Statements that are compiled once, against the same querysets built anew."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.models import F, QuerySet, Value
from django.db.models.lookups import In
from django.test.utils import CaptureQueriesContext

from mlserver.prepared import Prepared, PreparedUpdate, RowCount, Slice
from tests.together import together
from training.models import Run, RunProcess, Task

LONG_AGO = datetime(2020, 1, 1, 12, 30, 0, 250_000, tzinfo=UTC)

pytestmark = [pytest.mark.django_db, pytest.mark.database]


@pytest.fixture
def ada() -> User:
    return User.objects.create_user("ada", is_superuser=True)


@pytest.fixture
def runs(ada: User) -> list[Run]:
    statuses = ("finished", "failed", "finished")
    return [
        Run.objects.create(
            owner=ada, project="p", status=status, created_at=LONG_AGO + timedelta(days=at), config={"at": at}
        )
        for at, status in enumerate(statuses)
    ]


def test_values_are_filled_in_and_converted_as_django_does(runs: list[Run]) -> None:
    columns = ("id", "created_at", "config", "best_metric_value", "is_stale")
    prepared = Prepared(lambda status: Run.objects.filter(status=status).order_by("created_at").values_list(*columns))
    for status in ("finished", "failed", "finished", "unknown"):
        assert prepared.rows(status) == list(
            Run.objects.filter(status=status).order_by("created_at").values_list(*columns)
        )


def test_objects_have_what_was_selected_of_related_ones(runs: list[Run], django_assert_num_queries) -> None:
    prepared = Prepared(lambda pk: Run.objects.select_related("owner", "task").filter(pk=pk)[:1])
    prepared.first("")
    with django_assert_num_queries(1):
        found = prepared.first(runs[1].pk)
        assert found is not None and found.owner.username == "ada" and found.task is None
    assert found == runs[1] and (found.created_at, found.config) == (runs[1].created_at, {"at": 1})
    assert not found._state.adding and prepared.first("unknown") is None


def test_all_objects_come_in_the_order_of_the_queryset(runs: list[Run]) -> None:
    prepared = Prepared(lambda status: Run.objects.filter(status=status).order_by("-created_at"))
    assert prepared.all("finished") == [runs[2], runs[0]] and prepared.all("unknown") == []


def test_rows_are_also_had_as_dictionaries(runs: list[Run]) -> None:
    def build(status: Value) -> "QuerySet[Run, dict[str, Any]]":
        chosen = Run.objects.filter(status=status).order_by("created_at").annotate(owner_name=F("owner__username"))
        return chosen.values("created_at", "owner_name", "config", "pk", "owner__email")

    assert Prepared(build).dicts("finished") == list(build(Value("finished"))) != []


def test_bounds_of_slices_are_values(runs: list[Run]) -> None:
    def build(start: Value, size: Value, status: Value) -> "QuerySet[Run, tuple[str]]":
        chosen = Run.objects.filter(status=status).order_by("-created_at").values("pk")
        return Run.objects.filter(pk__in=Slice(chosen, start, size)).order_by("created_at").values_list("pk")

    prepared, (first, _, last) = Prepared(build), [run.pk for run in runs]
    assert prepared.rows(0, 9, "finished") == [(first,), (last,)] and prepared.rows(2, 9, "finished") == []
    assert [prepared.rows(at, 1, "finished") for at in (0, 1)] == [[(last,)], [(first,)]]


def test_columns_that_were_not_asked_for_are_deferred(runs: list[Run]) -> None:
    found = Prepared(lambda pk: Run.objects.only("status").filter(pk=pk)[:1]).first(runs[0].pk)
    assert found is not None and found.get_deferred_fields() and "status" not in found.get_deferred_fields()
    assert found.project == "p"


def test_instants_are_compared_as_instants(runs: list[Run]) -> None:
    prepared = Prepared(
        lambda low, high: Run.objects.filter(created_at__gte=low, created_at__lt=high).values_list("pk")
    )
    assert prepared.rows(LONG_AGO, LONG_AGO + timedelta(days=1)) == [(runs[0].pk,)]


def test_lists_of_any_length_are_told_apart(runs: list[Run]) -> None:
    prepared = Prepared(lambda *marks: Run.objects.filter(pk__in=marks).order_by("created_at").values_list("pk"))
    for count in (1, 3, 2, 1, *range(4, 60)):
        ids = [run.pk for run in runs][:count] + ["x"] * (count - 3)
        assert prepared.rows(*ids) == [(run.pk,) for run in runs[:count]]


def test_a_lookup_that_loses_a_mark_is_refused(runs: list[Run]) -> None:
    for run in runs:
        RunProcess.objects.create(run=run)
    with pytest.raises(TypeError, match=r"values \[0, 1\] are not in the statement"):
        Prepared(lambda *marks: RunProcess.objects.filter(run_id__in=marks).values_list("run_id")).rows("x", "y")
    prepared = Prepared(lambda *marks: RunProcess.objects.filter(In(F("run_id"), marks)).values_list("run_id"))
    assert prepared.rows(runs[0].pk, "x") == [(runs[0].pk,)]


def test_an_empty_list_finds_nothing_and_asks_nothing(runs: list[Run], django_assert_num_queries) -> None:
    among = Prepared(lambda *marks: Run.objects.filter(In(F("pk"), marks), status="finished"))
    with django_assert_num_queries(0):
        assert among.all() == [] and among.first() is None
    assert among.all(runs[0].pk) == [runs[0]]


def test_none_finds_nothing(runs: list[Run]) -> None:
    assert Prepared(lambda value: Run.objects.filter(exit_code=value).values_list("pk")).rows(None) == []


def test_a_number_that_no_column_holds_finds_nothing(ada: User) -> None:
    prepared = Prepared(lambda pk: User.objects.filter(pk=pk).values_list("username"))
    assert [prepared.rows(pk) for pk in (ada.pk, 2**63, -(2**64))] == [[("ada",)], [], []]


def test_rows_are_counted(runs: list[Run]) -> None:
    prepared = Prepared(lambda status: Run.objects.filter(status=status).order_by().values_list(RowCount()))
    assert prepared.rows("finished") == [(2,)] and prepared.rows("x") == [(0,)]


def test_updates_say_how_many_there_were(runs: list[Run]) -> None:
    prepared = PreparedUpdate(
        lambda pk, seq, now: (
            Run.objects.filter(pk=pk, next_seq=seq),
            {"next_seq": F("next_seq") + 1, "updated_at": now},
        )
    )
    assert [prepared.run(runs[0].pk, seq, LONG_AGO) for seq in (0, 0, 1)] == [1, 0, 1]
    runs[0].refresh_from_db()
    assert (runs[0].next_seq, runs[0].updated_at) == (2, LONG_AGO)


def test_it_is_one_statement_of_the_text_that_django_makes(runs: list[Run]) -> None:
    prepared = Prepared(lambda pk: Run.objects.filter(pk=pk, deleted_at=None).values_list("status"))
    with CaptureQueriesContext(connection) as ours:
        prepared.rows(runs[0].pk)
    with CaptureQueriesContext(connection) as theirs:
        list(Run.objects.filter(pk=runs[0].pk, deleted_at=None).values_list("status"))
    assert [it["sql"].replace("(", "").replace(")", "") for it in ours] == [
        it["sql"].replace("(", "").replace(")", "") for it in theirs
    ]


@pytest.mark.django_db(transaction=True)
def test_a_lock_belongs_into_a_transaction(ada: User) -> None:
    task = Task.objects.create(owner=ada, command=["x"])
    prepared = Prepared(lambda pk: Task.objects.select_for_update(no_key=True).filter(pk=pk)[:1])
    with transaction.atomic():
        assert prepared.first(task.pk) == task
    if connection.features.has_select_for_update:
        with pytest.raises(transaction.TransactionManagementError):
            prepared.first(task.pk)


@pytest.mark.django_db(transaction=True)
def test_threads_have_their_own(ada: User) -> None:
    tasks = [Task.objects.create(owner=ada, command=["x"], name=f"t{at}") for at in range(4)]
    prepared = Prepared(lambda pk: Task.objects.filter(pk=pk).values_list("name"))
    asked = [lambda pk=task.pk: [prepared.rows(pk) for _ in range(20)] for task in tasks]
    assert together(*asked) == [[[(task.name,)]] * 20 for task in tasks]
