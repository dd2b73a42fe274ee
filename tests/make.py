"""Plain makers of rows for tests; every argument has a default that passes the model's rules."""

from datetime import timedelta
from itertools import count
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from gpus.models import Gpu, Node, Pool
from mlserver.accounts.models import ApiKey
from registry.models import Artifact, ArtifactFile, ArtifactVersion, Blob, DatasetFacts
from training.models import (
    Event,
    Lease,
    Queue,
    Run,
    RunProcess,
    RunStatus,
    Series,
    SessionEpoch,
    Task,
    TaskSchedule,
    TrainingSession,
)

_numbers = count(1)


def make_user(username: str = "", *, is_admin: bool = False, **fields: Any) -> User:
    """A user; `is_admin` gives the admin scope and the Django admin."""
    username = username or f"user{next(_numbers)}"
    return get_user_model().objects.create_user(
        username, password="correct horse", is_staff=is_admin, is_superuser=is_admin, **fields
    )


def make_key(user: User | None = None, *, scope: str = "submit", **fields: Any) -> str:
    """A live key of `user` (a new one without; an administrator for scope admin)."""
    row, key = ApiKey.objects.issue(user or make_user(is_admin=scope == "admin"), "test", scope=scope)
    if fields:
        ApiKey.objects.filter(pk=row.pk).update(**fields)
    return key


def make_client(user: User | None = None, *, scope: str = "submit") -> Client:
    """An HTTP client that sends a fresh key of `user`."""
    return Client(headers={"Authorization": f"Bearer {make_key(user, scope=scope)}"})


def make_node(name: str = "", *, is_sampled: bool = True, **fields: Any) -> Node:
    """A machine; `is_sampled` makes the agent's last sample fresh, so GPUs of it are schedulable."""
    fields = {"cpu_slots": 4, "memory_mib": 16384, "boot_id": "boot-1", **fields}
    if is_sampled:
        fields.setdefault("agent_seen_at", timezone.now())
    return Node.objects.create(name=name or f"node{next(_numbers)}", **fields)


def make_gpu(node: Node | None = None, **fields: Any) -> Gpu:
    """The next device of `node`, 24 GiB, with a fresh sample of an idle GPU."""
    node = node or Node.objects.first() or make_node()
    fields = {
        "index": node.gpus.count(),
        "uuid": f"GPU-{next(_numbers):08x}",
        "name": "Test GPU",
        "memory_mib": 24576,
        "sampled_at": timezone.now(),
        "used_memory_mib": 0,
        **fields,
    }
    return Gpu.objects.create(node=node, **fields)


def make_pool(name: str, *members: Node | Gpu, **fields: Any) -> Pool:
    """A pool of nodes and single GPUs."""
    pool = Pool.objects.create(name=name, **fields)
    pool.nodes.set(member for member in members if isinstance(member, Node))
    pool.gpus.set(member for member in members if isinstance(member, Gpu))
    return pool


def make_queue(name: str, **fields: Any) -> Queue:
    return Queue.objects.create(name=name, **fields)


def make_schedule(owner: User | None = None, **fields: Any) -> TaskSchedule:
    """Due a second ago, every minute, for /bin/true."""
    defaults = {"name": "again", "cron": "* * * * *", "template": {"command": ["/bin/true"]}}
    due = timezone.now() - timedelta(seconds=1)
    return TaskSchedule.objects.create(owner=owner or make_user(), **{**defaults, "next_at": due, **fields})


def make_task(owner: User | None = None, **fields: Any) -> Task:
    """A waiting task that would run /bin/true once."""
    return Task.objects.create(owner=owner or make_user(), **{"command": ["/bin/true"], "name": "work", **fields})


def make_run(task: Task | None = None, *, status: str = RunStatus.RUNNING, **fields: Any) -> Run:
    """A run of `task` (a new active one without); ended statuses get their times and a matching exit class."""
    task = task or make_task(status="active", pending_runs=0, started_at=timezone.now())
    now = timezone.now()
    fields = {
        "owner": task.owner,
        "source": task.source,
        "project": task.project,
        "name": task.name,
        **fields,
    }
    if status != RunStatus.STARTING:
        fields.setdefault("started_at", now)
    if status in (RunStatus.FINISHED, RunStatus.FAILED, RunStatus.STOPPED):
        exit_class, code = {"finished": ("ok", 0), "failed": ("error", 1), "stopped": ("stopped", None)}[status]
        fields = {"ended_at": now, "exit_class": exit_class, "exit_code": code, **fields}
    return Run.objects.create(task=task, status=status, **fields)


def make_sdk_run(owner: User | None = None, **fields: Any) -> Run:
    """A run made outside the queue."""
    fields = {"status": RunStatus.RUNNING, "source": "sdk", "started_at": timezone.now(), **fields}
    return Run.objects.create(owner=owner or make_user(), **fields)


def make_process(run: Run | None = None, **fields: Any) -> RunProcess:
    fields = {
        "boot_id": "boot-1",
        "pid": 1000 + next(_numbers),
        "start_ticks": 5,
        "started_at": timezone.now(),
        **fields,
    }
    return RunProcess.objects.create(run=run or make_run(), **fields)


def make_lease(run: Run | None = None, gpu: Gpu | None = None, **fields: Any) -> Lease:
    """An exclusive lease of the whole device."""
    gpu, run = gpu or make_gpu(), run or make_run()
    run.gpus += 1
    run.save(update_fields=["gpus"])
    return Lease.objects.create(run=run, gpu=gpu, **{"memory_mib": gpu.memory_mib, **fields})


def make_event(task: Task | None = None, **fields: Any) -> Event:
    fields = {"reason": "Started", "message": "the command is running", **fields}
    return Event.objects.create(task=task, **fields)


def make_series(run: Run, name: str = "loss", **fields: Any) -> Series:
    fields = {"count": 3, "first": 2.0, "last": 0.5, "min": 0.5, "max": 2.0, "latest_step": 2, **fields}
    return Series.objects.create(run=run, name=name, **fields)


def make_version(name: str = "", *, type: str = "model", size_bytes: int = 10, **fields: Any) -> ArtifactVersion:
    """The next readable version of an artifact, with one file; its bytes are not on disk."""
    name = name or f"{type}{next(_numbers)}"
    artifact, _ = Artifact.objects.get_or_create(type=type, name=name, defaults={"owner": fields.get("owner")})
    number, artifact.next_number = artifact.next_number, artifact.next_number + 1
    artifact.save()
    fields = {"size_bytes": size_bytes, "num_files": 1, **fields}
    version = ArtifactVersion.objects.create(artifact=artifact, number=number, **fields)
    blob = Blob.objects.create(digest=f"{next(_numbers):064x}", size_bytes=size_bytes)
    ArtifactFile.objects.create(version=version, path=name, blob=blob, link_name=f"{name}_{number}")
    return version


def make_dataset(name: str = "", **facts: Any) -> ArtifactVersion:
    """A dataset of 8x8 grey images in ten classes, unless `facts` say otherwise."""
    version = make_version(name, type="dataset")
    facts = {
        "format": "numpy", "sample_count": 100, "dimensions": "100x8x8", "input_shape": [8, 8, 1],
        "target": "classes", "class_count": 10, **facts,
    }  # fmt: skip
    DatasetFacts.objects.create(version=version, **facts)
    return version


def make_session(owner: User | None = None, *, task: Task | None = None, **fields: Any) -> TrainingSession:
    """A session that waits; with `task` it is that one's."""
    version = fields.pop("dataset_version", None) or make_dataset()
    config = {
        "model_architecture": "mlp", "dataset_name": version.artifact.name, "learning_rate": 0.001, "batch_size": 32,
        "epochs": 3, "optimizer": "adam", "loss_function": "cross_entropy",
    }  # fmt: skip
    config |= {name: fields.pop(name) for name in list(fields) if name in config}
    name = f"{config['model_architecture']}_{config['dataset_name']}"
    task = task or make_task(
        owner, name=name, project="training", source="training", config=config, is_session=True, grace_s=30
    )
    return TrainingSession.objects.create(task=task, dataset_version=version, **config, **fields)


def make_epoch(session: TrainingSession, epoch: int, run: Run | None = None, **fields: Any) -> SessionEpoch:
    """One finished epoch of the session, by its newest run or a new one."""
    run = run or session.task.runs.first() or make_run(session.task)
    fields = {"loss": 1 / epoch, "accuracy": 0.5, "val_loss": 1.5 / epoch, "val_accuracy": 0.4, **fields}
    row = SessionEpoch.objects.create(session=session, run=run, epoch=epoch, **fields)
    TrainingSession.objects.filter(pk=session.pk).update(current_epoch=epoch)
    return row
