"""Runs in the recycle bin, and what writes to it."""

from typing import Any

from django.test import Client
from django.utils import timezone

from tests.make import make_run
from training.models import Run

DELETE, RESTORE, EMPTY = "/api/runs/soft-delete", "/api/recycle-bin/restore", "/api/recycle-bin/empty"
UNKNOWN = "20260307_091502_4fe0b7"


def post(client: Client, path: str, body: Any) -> Any:
    return client.post(path, body, content_type="application/json")


def make_deleted(**fields: Any) -> Run:
    fields = {"status": "finished", "deleted_at": timezone.now(), "delete_reason": "user_deleted", **fields}
    return make_run(**fields)


def make_files(run: Run) -> Run:
    run.directory.mkdir(parents=True)
    (run.directory / "logs.txt").write_text("a line\n")
    return run
