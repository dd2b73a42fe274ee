"""Training sessions in the Django admin."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from tests.make import make_epoch, make_run, make_session, make_task, make_user

pytestmark = pytest.mark.django_db
LIST = "/admin/training/trainingsession/"
AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def browser(client: Client) -> Client:
    client.force_login(make_user("root", is_admin=True))
    return client


def cells(page: str) -> list[dict[str, str]]:
    """Of each row, the text of each column by its name."""
    body = page[page.index("<tbody>") : page.index("</tbody>")]
    rows = re.findall(r"<tr>(.*?)</tr>", body, re.DOTALL)
    found = [re.findall(r'class="field-(\w+)[^"]*">(.*?)</t[hd]>', row, re.DOTALL) for row in rows]
    return [{name: re.sub(r"<[^>]*>", "", text) for name, text in row} for row in found]


def test_it_lists_what_one_asks_first(browser: Client) -> None:
    task = make_task(make_user("ada"), status="active", created_at=AT)
    session = make_session(task=task, epochs=7)
    make_epoch(session, 2, val_accuracy=0.98765)
    assert cells(browser.get(LIST).content.decode()) == [
        {
            "id": session.pk, "trained": session.model_name, "state": "running", "progress": "2 of 7",
            "validation": "0.9877", "owner": "ada", "created": "2026-01-02 03:04:05 UTC",
        }
    ]  # fmt: skip


def test_it_lists_r2_of_a_regression_and_nothing_before_the_first_epoch(browser: Client) -> None:
    make_epoch(make_session(loss_function="mse"), 1, val_accuracy=0.5)
    make_session()
    assert [row["validation"] for row in cells(browser.get(LIST).content.decode())] == ["", "R2 0.5000"]


def test_it_shortens_long_names_in_the_list_alone(browser: Client) -> None:
    session = make_session(dataset_name="d" * 100)
    (row,) = cells(browser.get(LIST).content.decode())
    assert len(row["trained"]) == 28 and row["trained"].endswith("…dddddddd")
    assert "d" * 100 in browser.get(f"{LIST}{session.pk}/change/").content.decode()


@pytest.mark.parametrize("column", range(1, 8))
def test_it_sorts_by_each_column(column: int, browser: Client) -> None:
    make_session()
    assert browser.get(LIST, {"o": column}).status_code == 200


def test_it_asks_no_query_per_session(browser: Client, django_assert_max_num_queries: Any) -> None:
    for _ in range(5):
        make_epoch(make_session(), 1)
    with django_assert_max_num_queries(8):
        assert len(cells(browser.get(LIST).content.decode())) == 5


@pytest.mark.parametrize("deleted_at", [None, AT])
def test_its_page_tells_state_times_and_error(deleted_at: datetime | None, browser: Client) -> None:
    task = make_task(status="failed", started_at=AT, ended_at=AT.replace(minute=5), deleted_at=deleted_at)
    make_run(task, status="failed", exit_reason="the loss is no number")
    url = reverse("admin:training_trainingsession_change", args=[make_session(task=task).pk])
    page = browser.get(url).content.decode()
    for said in ("failed", "2026-01-02 03:04:05 UTC", "2026-01-02 03:05:05 UTC", "the loss is no number"):
        assert f'<div class="readonly">{said}</div>' in page
