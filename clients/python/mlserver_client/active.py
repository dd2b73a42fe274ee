"""The active run of a process, and what acts on it by name of the module."""

import atexit
import os
import sys
from collections.abc import Mapping
from typing import Any

from mlserver_client.delivery.target import Target, configured_target
from mlserver_client.place import own_place, queued_place
from mlserver_client.run import Run
from mlserver_client.warn import warn_once

_active: Run | None = None
# Runs of this process that may still have something to deliver.
_runs: list[Run] = []
_is_registered = False


def init(
    project: str = "default",
    storage: str | os.PathLike[str] | None = None,
    run_id: str | None = None,
    name: str | None = None,
    capture_env: bool = True,
    *,
    server: str | None = None,
    api_key: str | None = None,
) -> Run:
    """Begin a run and make it the active one; inside a queued task, join the run that the server made for it.

    `server`, `api_key`: where a run outside the queue is delivered to (MLSERVER_URL, MLSERVER_API_KEY); without them
    it stays in its directory. Raises ValueError for a bad id, name or address, OSError when the directory cannot be
    made; nothing after this raises into the training.
    """
    global _active, _is_registered
    place = queued_place()
    target: Target | None = None
    if place is None:
        place = own_place(project, name, storage, run_id)
        target = configured_target(server, api_key)
    elif run_id not in (None, place.id):
        warn_once("queued id", f"run_id={run_id!r} is not used: this task is run {place.id}")
    if not _is_registered:
        atexit.register(_at_exit)
        _is_registered = True
    # A process that makes thousands of runs keeps neither their files open nor them in memory.
    _runs[:] = [run for run in _runs if not run.release()]
    _active = Run(place, capture_env=capture_env, target=target)
    _runs.append(_active)
    return _active


def get_active_run() -> Run | None:
    """The run of the last `init`, None before it and after its end."""
    return _active if _active is not None and _active.status == "running" else None


def _needed() -> Run:
    run = get_active_run()
    if run is None:
        raise RuntimeError("no run is active: call init() first")
    return run


def log(data: Mapping[str, Any] | None = None, *, step: int | None = None, stage: Any = None, **kwargs: Any) -> None:
    run = _active if _active is not None and _active.status == "running" else _needed()
    if kwargs:
        run.log(data, step=step, stage=stage, **kwargs)
    else:  # to pass no dictionary on is a tenth faster
        run.log(data, step=step, stage=stage)


def log_text(text: str) -> None:
    _needed().log_text(text)


def log_image(
    key: str, image: Any, step: int | None = None, caption: str | None = None, format: str = "png", quality: int = 90
) -> str | None:
    return _needed().log_image(key, image, step, caption, format, quality)


def summary(update: Mapping[str, Any]) -> None:
    _needed().summary(update)


def set_primary_metric(name: str, mode: str = "max") -> None:
    _needed().set_primary_metric(name, mode)


def finish(status: str = "finished") -> None:
    _needed().finish(status)


def _at_exit() -> None:
    """A script that never called `finish`: failed if an exception ended it, else finished."""
    error = None if hasattr(sys, "ps1") else getattr(sys, "last_value", None)
    status = "finished" if error is None else "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
    reason = None if error is None else f"{type(error).__name__}: {error}"[:500]
    for run in _runs:
        run.at_exit(status, reason)
