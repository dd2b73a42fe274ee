"""What every row that names one run refuses in the same way."""

from typing import Any

from django.test import Client
from django.utils import timezone

from tests.make import make_sdk_run

UNKNOWN = "20260307_091502_4fe0b7"
MALFORMED = ("20260307_091502_4FE0B7", "20260307_091502_4fe0b", "20260307_091502_4fe0b7%0A", "x")


def assert_refuses_other_runs(client: Client, path: str, method: str = "get", **options: Any) -> None:
    """`path` has `{}` for the run id. No key, unknown, deleted and malformed ids."""
    deleted = make_sdk_run(deleted_at=timezone.now()).pk
    for run_id in (UNKNOWN, deleted):
        answer = getattr(client, method)(path.format(run_id), **options)
        assert (answer.status_code, answer.json()) == (404, {"detail": f"Run not found: {run_id}"})
    for run_id in MALFORMED:
        answer = getattr(client, method)(path.format(run_id), **options)
        assert answer.status_code == 400, run_id
        assert answer.json()["detail"].startswith("Invalid run_id format: ")
    answer = getattr(Client(), method)(path.format(UNKNOWN), **options)
    assert (answer.status_code, list(answer.json())) == (401, ["detail"])
