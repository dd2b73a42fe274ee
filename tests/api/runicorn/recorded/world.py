"""What the recorded calls find: one run with all that belongs to a run, and who asks."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from tests.make import make_client, make_event, make_process, make_run, make_series, make_task, make_user, make_version
from training.models import Run, RunArtifact, RunEnvironment, RunStatus, Usage


@dataclass
class World:
    """`run` has ended and has everything; `deleted` is in the recycle bin. `client` may do all."""

    owner: User
    client: Client
    run: Run
    deleted: Run

    def send(self, method: str, path: str, body: dict[str, Any]) -> Any:
        return self.client.generic(method, path, orjson.dumps(body), content_type="application/json")


Call = Callable[[World], Any]


def new_world() -> World:
    owner = make_user(is_admin=True)
    task = make_task(owner, status="completed", pending_runs=0, project="vision", name="resnet")
    run = make_run(
        task, status=RunStatus.FINISHED, tags=["baseline"], notes="the first", summary={"accuracy": 0.9},
        best_metric_name="accuracy", best_metric_value=0.9, best_metric_step=3, best_metric_mode="max",
    )  # fmt: skip
    make_process(run)
    make_event(task, run=run)
    make_series(run)
    RunArtifact.objects.create(run=run, version=make_version(), usage=Usage.PRODUCED)
    RunEnvironment.objects.create(run=run, facts={"python": "3.11"})
    run.directory.mkdir(parents=True)
    (run.directory / "logs.txt").write_text("a line\n")
    deleted = make_run(task, status=RunStatus.FAILED, deleted_at=timezone.now(), delete_reason="user_deleted")
    return World(owner, make_client(owner, scope="admin"), run, deleted)
