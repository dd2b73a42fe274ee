"""Points in the database of MLSERVER_HOME, for bench.tracking, without a server in between.

`python -m bench.points fill ROWS` makes a run and prints its id; `python -m bench.points read RUN TIMES` prints what
reading and sampling it takes, in ms by name, as JSON.
"""

import json
import os
import statistics
import sys
import time
from collections.abc import Callable

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mlserver.settings")
django.setup()

import numpy as np  # noqa: E402
from django.db import transaction  # noqa: E402

from mlserver.accounts.bootstrap import first_admin  # noqa: E402
from training.models import Run  # noqa: E402
from training.tracking import metrics  # noqa: E402

NAMES = ("loss", "accuracy", "learning_rate")
POINTS, AT_ONCE = 2000, 10_000


def fill(rows: int) -> str:
    """A run with `rows` rows of three names, appended in pieces as a sender would."""
    run = Run.objects.create(owner=first_admin(), source="sdk", project="bench", status="running")
    dice = np.random.default_rng(1)
    for begin in range(0, rows, AT_ONCE):
        steps = np.arange(begin, min(rows, begin + AT_ONCE))
        numbers = {name: dice.standard_normal(len(steps)) / (steps + 1) for name in NAMES}
        with transaction.atomic():
            metrics.append(run.pk, [metrics.Batch(steps, 1.7e9 + steps / 7, numbers)])
    return run.pk


def read(run_id: str, times: int) -> dict[str, float]:
    run = Run.objects.get(pk=run_id)

    def sampled() -> None:
        table = metrics.read_table(run)
        table.taken(metrics.sample(table.steps, list(table.numeric().values()), POINTS))

    return {
        "whole, cold": median(lambda: metrics.read_table(run), times, before=metrics.cache.clear),
        "whole, warm": median(lambda: metrics.read_table(run), times),
        f"{POINTS} points, cold": median(sampled, times, before=metrics.cache.clear),
        f"{POINTS} points, warm": median(sampled, times),
    }


def median(call: Callable[[], object], times: int, *, before: Callable[[], object] = lambda: None) -> float:
    """ms; the first is not counted."""
    taken = []
    for _ in range(times + 1):
        before()
        started = time.perf_counter()
        call()
        taken.append((time.perf_counter() - started) * 1000)
    return statistics.median(taken[1:])


if __name__ == "__main__":
    print(fill(int(sys.argv[2])) if sys.argv[1] == "fill" else json.dumps(read(sys.argv[2], int(sys.argv[3]))))
