"""Fill the database of MLSERVER_HOME with ended tasks, runs and their processes: `python -m bench.fill 10000`."""

import os
import sys
from datetime import timedelta

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mlserver.settings")
django.setup()

from django.utils import timezone  # noqa: E402

from mlserver.accounts.bootstrap import first_admin  # noqa: E402
from training.models import ExitClass, Run, RunProcess, RunStatus, Series, Task, TaskStatus  # noqa: E402
from training.models.run import new_run_id  # noqa: E402


def main(count: int) -> None:
    owner, now = first_admin(), timezone.now()
    tasks = Task.objects.bulk_create(
        [
            Task(
                owner=owner, name=f"train {n}", project="bench", command=["python", "train.py", "--lr", "0.1"],
                status=TaskStatus.COMPLETED, pending_runs=0, runs_completed=1, ended_at=now, started_at=now,
            )
            for n in range(count)
        ],
        batch_size=1000,
    )  # fmt: skip
    moments = [now - timedelta(seconds=count - n) for n in range(count)]
    runs = Run.objects.bulk_create(
        [
            Run(
                id=new_run_id(moment), task=task, owner=owner, project="bench", name=task.name, created_at=moment,
                started_at=moment, ended_at=now, status=RunStatus.FINISHED, exit_class=ExitClass.OK, exit_code=0,
            )
            for task, moment in zip(tasks, moments, strict=True)
        ],
        batch_size=1000,
    )  # fmt: skip
    RunProcess.objects.bulk_create(
        [
            RunProcess(run=run, pid=100_000 + n, started_at=run.started_at, ended_at=run.ended_at, exit_code=0)
            for n, run in enumerate(runs)
        ],
        batch_size=1000,
    )
    Series.objects.bulk_create(
        [Series(run=run, name=name, count=100, last=0.5) for run in runs[-50:] for name in ("loss", "accuracy")]
    )


if __name__ == "__main__":
    main(int(sys.argv[1]))
