"""Fill the database of MLSERVER_HOME with runs of every status: `python -m bench.fill_runs 10000`.

Ten projects with twenty names each; every run has a process, a best metric unless it is one of seven, tags, and
one in ten has made an artifact.
"""

import os
import random
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mlserver.settings")
django.setup()

from django.contrib.auth.models import User  # noqa: E402
from django.utils import timezone  # noqa: E402

from mlserver.accounts.bootstrap import first_admin  # noqa: E402
from registry.models import Artifact, ArtifactVersion  # noqa: E402
from training.models import Run, RunArtifact, RunProcess, RunStatus, Usage  # noqa: E402
from training.models.run import new_run_id  # noqa: E402

STATUSES = (RunStatus.FINISHED, RunStatus.FINISHED, RunStatus.FAILED, RunStatus.STOPPED)
TAGS = ("baseline", "ablation", "nightly", "large")
BLOCK = 1000


def main(count: int) -> None:
    owner, now, chance = first_admin(), timezone.now(), random.Random(7)
    artifact, _ = Artifact.objects.get_or_create(type="model", name="filled")
    first = artifact.next_number
    for start in range(0, count, BLOCK):
        numbers = range(start, min(start + BLOCK, count))
        runs = list(made(numbers, owner, now - timedelta(seconds=30 * count), chance))
        Run.objects.bulk_create(runs)
        RunProcess.objects.bulk_create([RunProcess(run=run, pid=1000 + n) for n, run in enumerate(runs)])
        versions = [
            ArtifactVersion(artifact=artifact, number=first + n, size_bytes=1, num_files=1) for n in numbers[::10]
        ]
        ArtifactVersion.objects.bulk_create(versions)
        RunArtifact.objects.bulk_create(
            [
                RunArtifact(run=run, version=version, usage=Usage.PRODUCED)
                for run, version in zip(runs[::10], versions, strict=True)
            ]
        )
    Artifact.objects.filter(pk=artifact.pk).update(next_number=first + count)


def made(numbers: range, owner: User, since: datetime, chance: random.Random) -> Iterator[Run]:
    for n in numbers:
        moment = since + timedelta(seconds=30 * n)
        best = {} if n % 7 == 0 else {"best_metric_name": "accuracy", "best_metric_value": chance.random()}
        yield Run(
            id=new_run_id(moment), owner=owner, project=f"project {n % 10}", name=f"experiment {n // 10 % 20}",
            status=STATUSES[n % 4], created_at=moment, started_at=moment, ended_at=moment + timedelta(seconds=20),
            updated_at=moment + timedelta(seconds=20), tags=[TAGS[n % 4]], notes=f"run {n} of a filled database",
            summary={"accuracy": 0.5}, **best,
        )  # fmt: skip


if __name__ == "__main__":
    main(int(sys.argv[1]))
