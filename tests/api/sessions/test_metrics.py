"""GET /api/v1/training/{session_id}/metrics and /history (T6, T7)."""

from datetime import UTC, datetime

import pytest
from django.test import Client

from tests.make import make_client, make_epoch, make_session

pytestmark = pytest.mark.django_db

AT = datetime(2026, 1, 2, 3, 4, 5, 600000, tzinfo=UTC)


@pytest.fixture
def client() -> Client:
    return make_client(scope="read")


def get(client: Client, session_id: str, row: str):
    return client.get(f"/api/v1/training/{session_id}/{row}")


def test_it_answers_null_and_an_empty_list_before_the_first_epoch(client):
    session = make_session()
    newest, all_of_them = (get(client, session.pk, row) for row in ("metrics", "history"))
    assert (newest.status_code, newest.content, newest["Content-Type"]) == (200, b"null", "application/json")
    assert (all_of_them.status_code, all_of_them.json()) == (200, [])


def test_it_gives_the_newest_epoch_and_all_in_their_order(client):
    session, other = make_session(), make_session()
    make_epoch(other, 7)
    for epoch in (2, 1, 3):
        make_epoch(session, epoch, loss=0.5, accuracy=0.75, val_loss=0.6, val_accuracy=0.25, at=AT)
    newest = get(client, session.pk, "metrics").json()
    assert newest == {
        "session_id": session.pk, "epoch": 3, "loss": 0.5, "accuracy": 0.75, "val_loss": 0.6, "val_accuracy": 0.25,
        "timestamp": "2026-01-02T03:04:05.600000Z",
    }  # fmt: skip
    history = get(client, session.pk, "history").json()
    assert [row["epoch"] for row in history] == [1, 2, 3]
    assert history[-1] == newest


def test_it_sends_what_is_not_finite_as_null(client):
    session = make_session()
    make_epoch(session, 1, loss=None, val_loss=None, val_accuracy=None)
    said = get(client, session.pk, "metrics").json()
    assert (said["loss"], said["val_loss"], said["val_accuracy"], said["accuracy"]) == (None, None, None, 0.5)
    assert get(client, session.pk, "history").json() == [said]


def test_it_asks_the_database_for_the_session_and_its_epochs(client, django_assert_num_queries):
    session = make_session()
    for epoch in range(1, 6):
        make_epoch(session, epoch)
    get(client, session.pk, "history")
    for row in ("metrics", "history"):
        with django_assert_num_queries(3):  # key, session, epochs
            get(client, session.pk, row)
