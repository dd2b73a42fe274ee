"""Milliseconds of a pass over N waiting tasks: the first, and the median of twenty later ones."""

import os
import statistics
import sys
import time

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mlserver.settings")
django.setup()

from gpus.inventory import list_devices, register_gpus, register_node  # noqa: E402
from gpus.nvml import open_reader  # noqa: E402
from gpus.telemetry import look, note_alive, store  # noqa: E402
from mlserver.accounts.bootstrap import first_admin  # noqa: E402
from training.models import Task  # noqa: E402
from training.queue.scheduler import schedule  # noqa: E402


def main(count: int) -> None:
    node, owner, reader = register_node(), first_admin(), open_reader()
    register_gpus(node, list_devices(reader))
    # Twenty kinds of demand, none of which fits: two GPUs of 24 GiB are there.
    Task.objects.bulk_create(
        Task(owner=owner, command=["true"], gpus=2, gpu_memory_mib=30000 + n % 20, priority=n % 5) for n in range(count)
    )
    taken = []
    for _ in range(21):
        note_alive(node)
        store(node, look(reader), lambda pid: False)
        started = time.perf_counter()
        assert schedule() == []
        taken.append((time.perf_counter() - started) * 1000)
    print(f"{taken[0]:.2f} {statistics.median(taken[1:]):.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]))
