"""Milliseconds of a pass over N waiting tasks in Q queues: the first, and the median of twenty later ones."""

import os
import statistics
import sys
import time

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mlserver.settings")
django.setup()

from django.utils import timezone  # noqa: E402

from gpus.inventory import list_devices, register_gpus, register_node  # noqa: E402
from gpus.models import Gpu, Node  # noqa: E402
from gpus.nvml import open_reader  # noqa: E402
from gpus.telemetry import look, note_alive, store  # noqa: E402
from mlserver.accounts.bootstrap import first_admin  # noqa: E402
from training.models import Lease, Queue, Run, RunStatus, Task, TaskStatus  # noqa: E402
from training.models.run import new_run_id  # noqa: E402
from training.queue.scheduler import schedule  # noqa: E402

# Two GPUs of 24 GiB are there.
TOO_MUCH_MIB, FITS_MIB = 30000, 12000


def main(count: int, queues: int) -> None:
    node, reader = register_node(), open_reader()
    register_gpus(node, list_devices(reader))
    if queues == 1:
        line_up(count, ["default"], TOO_MUCH_MIB)
    else:
        line_up(count, make_queues(queues), FITS_MIB)
        occupy(node)
    taken = []
    for _ in range(21):
        note_alive(node)
        store(node, look(reader), lambda pid: False)
        started = time.perf_counter()
        assert schedule() == []
        taken.append((time.perf_counter() - started) * 1000)
    print(f"{taken[0]:.2f} {statistics.median(taken[1:]):.2f}")


def make_queues(count: int) -> list[str]:
    """Every other one has a limit that is reached."""
    names = [f"queue{number}" for number in range(1, count)]
    Queue.objects.bulk_create(Queue(name=name, max_gpus=1 if number % 2 else None) for number, name in enumerate(names))
    return ["default", *names]


def line_up(count: int, queues: list[str], memory_mib: int) -> None:
    """Twenty kinds of demand, two of three with a time limit of their own."""
    owner = first_admin()
    Task.objects.bulk_create(
        Task(
            owner=owner, command=["true"], gpus=2, gpu_memory_mib=memory_mib + n % 20, is_exclusive=False,
            priority=n % 5, queue=queues[n % len(queues)], time_limit_s=60 + n if n % 3 else None,
        )
        for n in range(count)
    )  # fmt: skip


def occupy(node: Node) -> None:
    """A run with a limit on all GPUs: the first in line is kept them."""
    task = Task.objects.create(
        owner=first_admin(), command=["true"], gpus=2, status=TaskStatus.ACTIVE, pending_runs=0, time_limit_s=3600
    )
    run = Run.objects.create(
        id=new_run_id(), task=task, owner=task.owner, node=node, gpus=2, status=RunStatus.RUNNING,
        started_at=timezone.now(),
    )  # fmt: skip
    for gpu in Gpu.objects.filter(node=node):
        Lease.objects.create(run=run, gpu=gpu, memory_mib=gpu.memory_mib)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1)
