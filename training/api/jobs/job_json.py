"""Jobs as the Jobs API shows them."""

import math
from collections.abc import Sequence

from django.db.models import OuterRef, QuerySet, Subquery

from mlserver.api.jobs_view import instant
from mlserver.api.reading import Row
from mlserver.prepared import Prepared
from training.api.jobs.statuses import job_status, pod_phase
from training.api.native.task_json import Viewer
from training.jobs import PRIORITIES
from training.models import Lease, Run, RunProcess, Task

COLUMNS = (
    "job_id", "name", "status", "created_at", "started_at", "ended_at", "pool", "queue", "owner__username", "labels",
    "description", "job", "newest_run_status",
)  # fmt: skip

# How the two forms of the client call what is mounted.
MOUNTS = ("volumes", "datasources")
NEWEST_RUN = Prepared(
    lambda task_id: Run.objects.visible().filter(task=task_id).select_related("node").newest_first()[:1]
)


def with_run_status(tasks: "QuerySet[Task]") -> "QuerySet[Task]":
    """Adds `newest_run_status`."""
    runs = Run.objects.visible().filter(task=OuterRef("pk")).order_by("-created_at", "-pk")
    return tasks.annotate(newest_run_status=Subquery(runs.values("status")[:1]))


def newest_run(task_id: int) -> Run | None:
    """With its node."""
    return NEWEST_RUN.first(task_id)


def job_item(row: Row) -> Row:
    """J1 item, of COLUMNS."""
    return {
        "jobId": row["job_id"],
        "jobName": row["name"],
        "status": job_status(row["status"], row["newest_run_status"]),
        "createdAt": instant(row["created_at"]),
        "id": row["job_id"],
        "name": row["name"],
        "startedAt": instant(row["started_at"]),
        "finishedAt": instant(row["ended_at"]),
        "resourcePoolId": row["pool"],
        "queue": row["queue"],
        "queueID": row["queue"],
        "userId": row["owner__username"],
        "owner": row["owner__username"],
        "ownerName": row["owner__username"],
        "labels": row["labels"],
        "jobType": row["job"].get("jobType", ""),
        "description": row["description"],
    }


def job_detail(task: Task, viewer: Viewer) -> Row:
    """J2 data. Values of the environment are the owner's and administrators' to see."""
    run = newest_run(task.pk)
    row = {name: getattr(task, name) for name in COLUMNS if "__" not in name and name != "newest_run_status"}
    row |= {"owner__username": task.owner.get_username(), "newest_run_status": run.status if run else None}
    return {
        **job_item(row),
        "config": config_of(task, may_see_env=viewer.may_see_env(task.owner_id)),
        "pods": pods_of(task, run),
        "message": message_of(task, run),
    }


def config_of(task: Task, *, may_see_env: bool) -> Row:
    """The creation request with its defaults; of a task of another door what it would have been."""
    shown = "high" if task.priority > 0 else "low" if task.priority < 0 else "normal"
    exact = next((word for word, points in PRIORITIES.items() if points == task.priority), shown)
    return {
        "jobName": task.name,
        "command": task.command,
        "image": task.image,
        "resourcePoolId": task.pool,
        "queue": task.queue,
        "envs": [{"name": name, "value": value if may_see_env else None} for name, value in task.env.items()],
        "replicas": task.ranks,
        "gpuCount": task.gpus // task.ranks,
        "priority": exact,
        "maxRetries": task.max_retries,
        "timeout": task.time_limit_s and math.ceil(task.time_limit_s),
        "workingDir": task.cwd,
        "labels": task.labels,
        "description": task.description,
        "jobType": task.job.get("jobType", ""),
        **{name: value for name, value in task.job.get("mounts", {}).items() if name in MOUNTS},
    }


def pod_name(job_id: str, rank: int) -> str:
    return f"{job_id}-master-0" if rank == 0 else f"{job_id}-worker-{rank - 1}"


def rank_of(job_id: str, name: str) -> int | None:
    """None for a name that no pod of the job can have."""
    role, _, number = name.removeprefix(f"{job_id}-").partition("-")
    if not name.startswith(f"{job_id}-") or not number.isascii() or not number.isdigit() or len(number) > 4:
        return None
    if role == "master":
        return 0 if number == "0" else None
    return int(number) + 1 if role == "worker" and str(int(number)) == number else None


def pods_of(task: Task, run: Run | None) -> list[Row]:
    """One for each process of the newest run; of a job that has none yet, those that it will have."""
    processes = {it.rank: it for it in run.processes.all()} if run else {}
    gpus = gpus_of_ranks(run, task.ranks) if run else {}
    node = run.node.name if run and run.node else ""
    pods = []
    for rank in sorted(processes) or range(task.ranks):
        code = exit_code_of(processes[rank]) if rank in processes else None
        phase = pod_phase(run.status if run else None, code)
        name = pod_name(task.job_id, rank)
        pods.append(
            {
                "name": name, "podName": name, "status": phase, "phase": phase, "nodeName": node,
                "gpuIds": gpus.get(rank, []), "exitCode": code,
            }
        )  # fmt: skip
    return pods


def exit_code_of(process: RunProcess) -> int | None:
    """As a shell says it: 128 and the signal for a process that one ended."""
    return 128 + process.exit_signal if process.exit_signal else process.exit_code


def gpus_of_ranks(run: Run, ranks: int) -> dict[int, list[int]]:
    """Rank -> indices of its share of the run's devices, in their order."""
    if not run.gpus:
        return {}
    leases: Sequence[int] = list(
        Lease.objects.filter(run=run).order_by("gpu__index").values_list("gpu__index", flat=True)
    )
    each = max(len(leases) // max(ranks, 1), 1)
    return {rank: list(leases[rank * each : (rank + 1) * each]) for rank in range(ranks)}


def message_of(task: Task, run: Run | None) -> str:
    """Why it is as it is."""
    return task.waiting_reason or (run.exit_reason if run else "")
