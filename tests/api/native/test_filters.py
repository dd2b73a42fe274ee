"""Refused filters of the lists are named with value and rule."""

import pytest

from tests.make import make_client

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("runs?task=x", '"x" must be a whole number'),
        ("runs?task=1.5", '"1.5" must be a whole number'),
        ("runs?task=9223372036854775808", '"9223372036854775808" must be a whole number of 64 bits'),
        ("tasks?schedule=-9223372036854775809", '"-9223372036854775809" must be a whole number of 64 bits'),
        ("tasks?created_after=zz", '"zz" must be an instant of ISO 8601, as 2026-01-31T12:00:00Z'),
        (
            "tasks?status=held&status=zz",
            '"zz" must be one of held, waiting, active, completed, failed, stopped',
        ),
        ("events?type=x", '"x" must be one of Normal, Warning'),
        ("leases?active=maybe", '"maybe" must be one of true, false, 1, 0'),
        ("gpus?enabled=2", '"2" must be one of true, false, 1, 0'),
        ("tasks?page_size=0", '"0" must be a whole number from 1 to 500'),
        ("tasks?ordering=x", '"x" must be one of id, -id'),
        ("api-keys?scope=x", '"x" must be one of read, submit, admin'),
    ],
)
def test_returns_422_with_field_value_and_rule(query: str, said: str) -> None:
    answer = make_client(scope="admin").get(f"/api/v1/{query}")
    field = query.partition("?")[2].partition("=")[0]
    assert answer.status_code == 422
    assert list(answer.json()["errors"]) == [field]
    assert answer.json()["errors"][field][0].startswith(said)


def test_it_names_every_refused_filter_at_once() -> None:
    errors = make_client().get("/api/v1/tasks?status=x&created_after=y").json()["errors"]
    assert set(errors) == {"status", "created_after"}
