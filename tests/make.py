"""Plain makers of rows for tests; every argument has a default that passes the model's rules."""

from itertools import count
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from gpus.models import Gpu, Node
from mlserver.accounts.models import ApiKey
from training.models import Event, Lease, Run, RunProcess, RunStatus, Series, Task

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
