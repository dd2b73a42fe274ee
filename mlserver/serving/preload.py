"""Load Django once, before the forks, so that all processes share the memory of its code."""

import gc
import importlib
import os

from django.urls import get_resolver

MODULES = (
    "mlserver.asgi",
    "mlserver.serving.web",
    "mlserver.serving.qcluster",
    "training.execution.agent",
    "training.queue.tasks",
)


def preload() -> None:
    """Opens no connection, starts no thread and touches no driver: forks must not share those."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy's library starts its threads as it is loaded
    for name in MODULES:
        importlib.import_module(name)
    _ = get_resolver().reverse_dict  # reads every URL map
    gc.collect()
    gc.freeze()  # the collector would otherwise write into shared pages
