"""Key-set pages: every row once, in either direction, whatever the ordering."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.db import connection
from django.db.models import QuerySet
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext

from mlserver.api.paging import KeysetPage, Page
from mlserver.errors import Invalid
from tests.make import make_task, make_user
from training.models import Task

pytestmark = pytest.mark.django_db
ALLOWED = ("id", "priority", "created_at", "started_at", "name")
START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def tasks() -> "QuerySet[Any]":
    """Eleven tasks with equal priorities, equal instants, and instants that are missing."""
    owner = make_user()
    for n in range(11):
        started = START + timedelta(microseconds=n // 2) if n % 3 else None
        make_task(owner, priority=n % 3, created_at=START + timedelta(microseconds=n), started_at=started, name="x" * n)
    return Task.objects.values("id", "priority", "created_at", "started_at", "name")


def _page(queryset: "QuerySet[Any]", url: str = "/api/v1/tasks", **more: Any) -> Page:
    split = urlsplit(url)
    request = RequestFactory().get(f"{split.path}?{split.query}")
    return KeysetPage.paginate(request, queryset, **{"ordering": "-id", "allowed": ALLOWED, **more})


def _walk(queryset: "QuerySet[Any]", url: str) -> tuple[list[Page], list[Page]]:
    """All pages forward from `url`, then all pages back from the last."""
    forward = [_page(queryset, url)]
    while forward[-1].next_url:
        forward.append(_page(queryset, forward[-1].next_url))
    backward = [forward[-1]]
    while backward[-1].previous_url:
        backward.append(_page(queryset, backward[-1].previous_url))
    return forward, backward


@pytest.mark.database
@pytest.mark.parametrize("ordering", [sign + name for name in ALLOWED for sign in ("", "-")])
@pytest.mark.parametrize("size", [1, 3, 5, 11, 50])
def test_it_gives_every_row_once_forward_and_back(tasks: "QuerySet[Any]", ordering: str, size: int) -> None:
    forward, backward = _walk(tasks, f"/api/v1/tasks?ordering={ordering}&page_size={size}&name=kept")
    ids = [row["id"] for page in forward for row in page.rows]
    assert sorted(ids) == sorted(Task.objects.values_list("pk", flat=True))
    assert [row["id"] for page in reversed(backward) for row in page.rows] == ids
    name, sign = ordering.removeprefix("-"), -1 if ordering.startswith("-") else 1
    values = [row[name] for page in forward for row in page.rows]
    known = [value for value in values if value is not None]
    assert values[: len(known)] == known, "rows without a value come last"
    assert known == sorted(known)[::sign]
    assert forward[0].previous_url is None and forward[-1].next_url is None
    assert all("name=kept" in page.next_url for page in forward[:-1] if page.next_url)


@pytest.mark.parametrize("shape", ["objects", "tuples", "dicts"])
def test_it_takes_objects_tuples_and_dicts(tasks: "QuerySet[Any]", shape: str) -> None:
    queryset = {
        "objects": Task.objects.all(),
        "tuples": Task.objects.values_list("priority", "pk", "id"),
        "dicts": Task.objects.values("id", "priority"),
    }[shape]
    forward, _ = _walk(queryset, "/api/v1/tasks?ordering=priority&page_size=4")
    assert [len(page.rows) for page in forward] == [4, 4, 3]


def test_it_costs_one_query_and_no_offset(tasks: "QuerySet[Any]") -> None:
    second = _page(tasks, "/t?page_size=3&ordering=-priority").next_url
    assert second is not None
    with CaptureQueriesContext(
        connection,
    ) as queries:
        _page(tasks, second)
    assert len(queries) == 1 and "OFFSET" not in queries[0]["sql"]


def test_new_rows_do_not_shift_a_page(tasks: "QuerySet[Any]") -> None:
    first = _page(tasks, "/t?page_size=3")
    make_task()
    assert first.next_url is not None
    assert _page(tasks, first.next_url).rows[0]["id"] == first.rows[-1]["id"] - 1


def test_public_names_may_stand_for_columns(tasks: "QuerySet[Any]") -> None:
    rows = _page(tasks, "/t?ordering=-rank", allowed={"rank": "priority"}).rows
    assert rows[0]["priority"] == 2
    with pytest.raises(Invalid, match='"priority" must be one of rank, -rank'):
        _page(tasks, "/t?ordering=priority", allowed={"rank": "priority"})


@pytest.mark.parametrize(
    ("query", "field", "rule"),
    [
        ("ordering=owner", "ordering", "must be one of id, -id, priority, -priority"),
        ("ordering=--id", "ordering", "must be one of"),
        ("ordering=owner__password", "ordering", "must be one of"),
        ("page_size=0", "page_size", '"0" must be a whole number from 1 to 500'),
        ("page_size=501", "page_size", "from 1 to 500"),
        ("page_size=x", "page_size", "from 1 to 500"),
        ("cursor=x", "cursor", "one that a list answered"),
        ("cursor=e30", "cursor", "one that a list answered"),
        ("cursor=WyItaWQiLDAsMSwiYWJjIl0", "cursor", "one that a list answered"),  # ["-id",0,1,"abc"]
        ("cursor=WyItaWQiLDAsMSxbMV1d", "cursor", "one that a list answered"),  # ["-id",0,1,[1]]
        ("ordering=priority&cursor=WyJwcmlvcml0eSIsMCxudWxsLDFd", "cursor", "one that a list answered"),
        ("ordering=name&cursor=WyItaWQiLDAsMSwxXQ", "cursor", 'belongs to another ordering than "name"'),
        ("cursor=%C3%A9", "cursor", "one that a list answered"),
    ],
)
def test_returns_422_when_a_parameter_is_wrong(tasks: "QuerySet[Any]", query: str, field: str, rule: str) -> None:
    with pytest.raises(Invalid) as refused:
        _page(tasks, f"/t?{query}")
    assert rule in refused.value.errors[field][0]


@pytest.mark.database
def test_a_made_up_cursor_only_chooses_where_to_start(tasks: "QuerySet[Any]") -> None:
    for position in (b'["-id",0,1,1e30]', b'["-id",1,1,-99999999999999999999]', b'["-id",0,1,true]'):
        cursor = base64.urlsafe_b64encode(position).decode()
        assert len(_page(tasks, f"/t?cursor={cursor}").rows) in (0, 11)


def test_it_counts_only_when_asked(tasks: "QuerySet[Any]") -> None:
    for query, count in (("", None), ("?count=1", 11), ("?count=0", None)):
        request = RequestFactory().get(f"/t{query}")
        page = KeysetPage.paginate(request, tasks)
        assert KeysetPage.body(request, tasks, page).get("count") == count


def test_an_empty_list_has_no_neighbours() -> None:
    assert _page(Task.objects.values("id")) == Page([], None, None)
