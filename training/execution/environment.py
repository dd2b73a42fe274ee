"""The environment of a job: an allow-listed part of the server's, then the task's, then what the server promises."""

import os
from collections.abc import Mapping
from pathlib import Path

from django.conf import settings

from training import paths
from training.execution.account import JobAccount
from training.models import Run, Task


def job_environment(
    run: Run, task: Task, directory: Path, account: JobAccount | None = None, *, rank: Mapping[str, str] | None = None
) -> dict[str, str]:
    """None of the server's own settings or secrets is passed on. `rank`: what `rank_environment` says of a process."""
    inherited = {name: os.environ[name] for name in settings.JOB_ENV_ALLOW if name in os.environ}
    gpus = leased_gpus(run)
    promised = {
        "PYTHONUNBUFFERED": "1",
        "MLSERVER_RUN_ID": run.pk,
        "MLSERVER_TASK_ID": str(task.pk),
        **array_environment(task),
        "MLSERVER_RUN_DIR": str(directory),
        # Of this run alone: what the original tracking library writes there can be nobody else's.
        "RUNICORN_DIR": str(directory / paths.runicorn_name(int((rank or {}).get("RANK", 0)))),
        "MLSERVER_GPU_INDICES": ",".join(str(index) for index, _ in gpus),
        "CUDA_VISIBLE_DEVICES": ",".join(uuid for _, uuid in gpus),
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
    }
    its_own = account.environment() if account else {}
    env = {"PATH": os.defpath, **inherited, **its_own, **task.env, **promised, **(rank or {})}
    # Behind what the task has of its own: the client must shadow nothing of the user's.
    env |= own_devices(int(env.get("RANK", 0)), task.ranks, gpus)
    return env | {"PYTHONPATH": os.pathsep.join(filter(None, [env.get("PYTHONPATH"), str(paths.sdk_root())]))}


def array_environment(task: Task) -> dict[str, str]:
    """Which of the tasks of its array this is; nothing outside arrays."""
    if task.array_index is None:
        return {}
    return {
        "MLSERVER_ARRAY_ID": task.array_id,
        "MLSERVER_ARRAY_INDEX": str(task.array_index),
        "MLSERVER_ARRAY_SIZE": str(task.array_size),
    }


def rank_environment(rank: int, ranks: int, port: int) -> dict[str, str]:
    """How the processes of a run find one another, under the names that torchrun gives; nothing for a single one.

    https://docs.pytorch.org/docs/stable/elastic/run.html#environment-variables
    """
    if ranks == 1:
        return {}
    number, count = str(rank), str(ranks)
    return {
        "RANK": number, "LOCAL_RANK": number, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count,
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
    }  # fmt: skip


def own_devices(rank: int, ranks: int, gpus: list[tuple[int, str]]) -> dict[str, str]:
    """Of several devices for each process it sees its own; of one each all see all, and LOCAL_RANK chooses."""
    each, left = divmod(len(gpus), ranks)
    if ranks == 1 or each < 2 or left:
        return {}
    mine = gpus[rank * each : (rank + 1) * each]
    return {
        "MLSERVER_GPU_INDICES": ",".join(str(index) for index, _ in mine),
        "CUDA_VISIBLE_DEVICES": ",".join(uuid for _, uuid in mine),
    }


def leased_gpus(run: Run) -> list[tuple[int, str]]:
    """Index and uuid of leased devices by index; a run without leases sees none, so it cannot disturb others."""
    if not run.gpus:
        return []
    return list(run.leases.held().order_by("gpu__index").values_list("gpu__index", "gpu__uuid"))
