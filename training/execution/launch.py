"""Launch a placed run: claim it, check its GPUs once more, start its supervisors, or hand it back with a reason."""

import contextlib
import errno
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from django.conf import settings

from gpus.availability import why_not_schedulable
from gpus.models import Gpu
from mlserver.enqueue import enqueue
from mlserver.prepared import Prepared
from training import paths
from training.execution import supervisor
from training.execution.account import JobAccount, job_account, make_way
from training.execution.control import Control
from training.execution.environment import job_environment, rank_environment
from training.execution.identity import ProcessIdentity
from training.execution.images import command_in, environment_of, find_image, image_problem
from training.execution.stop import deliver_stop
from training.models import Run, RunProcess, RunStatus, Task

DISK_DELAY_S = 15.0
# Most scripts have begun by then, and those that use the SDK have written their environment themselves.
CAPTURE_AFTER_S = 1.0
# Until an administrator has mapped it again, or installed what it needs.
IMAGE_DELAY_S = 60.0

TO_LAUNCH = Prepared(lambda pk: Run.objects.select_related("task__owner").filter(pk=pk)[:1])
PROCESSES = Prepared(lambda run_id: RunProcess.objects.filter(run_id=run_id).order_by("rank"))
STATUS = Prepared(lambda pk: Run.objects.filter(pk=pk).values_list("status"))


def launch(run_id: str) -> str:
    """Start the run unless somebody else has or it is no longer `starting`; safe to call any number of times.

    Even two launches of one run at once start the command once: the second supervisor finds the run claimed.
    """
    run = TO_LAUNCH.first(run_id)
    if run is None or run.task is None:
        return f"{run_id}: no such queued run"
    if not run.claim_launch():
        return f"{run_id}: not to be launched, it is {run.status}"
    processes = PROCESSES.all(run_id)
    if not was_prepared(processes):
        if problem := leased_gpu_problem(run):
            return hand_back(run, problem)
        if problem := image_problem(run.task.image):
            return hand_back(run, problem, delay_s=IMAGE_DELAY_S)
    port = meeting_port(run.pk) if len(processes) > 1 else 0
    for process in processes:
        rank = rank_environment(process.rank, len(processes), port)
        try:
            start_supervisor(run, run.task, process, rank)
        except OSError as error:
            return give_up(run, processes, process, error)
    if STATUS.rows(run_id) == [(RunStatus.ENDING,)]:
        deliver_stop(run)
    return f"{run_id}: launched"


def was_prepared(processes: list[RunProcess]) -> bool:
    """An earlier launch came far enough that a supervisor may live: such a run is never handed back."""
    return any(Control(process.run_id, process.rank).read("spec") or has_supervisor(process) for process in processes)


def has_supervisor(process: RunProcess) -> bool:
    """One exists or existed; it may not have come to write its own record yet."""
    return Control(process.run_id, process.rank).supervisor() is not None or process.supervisor_pid is not None


def ask_for_launch(run_id: str) -> None:
    enqueue("training.queue.tasks.launch", run_id)


def leased_gpu_problem(run: Run) -> str:
    """Did an outsider take a leased device since the pass, or was it switched off?"""
    if not run.gpus:
        return ""
    leased = Gpu.objects.filter(leases__run=run, leases__released_at=None).select_related("node")
    for gpu in leased.order_by("index"):
        if problem := why_not_schedulable(gpu):
            return f"GPU {gpu.index}: {problem}"
    return ""


def give_up(run: Run, processes: list[RunProcess], failed: RunProcess, error: OSError) -> str:
    """The server itself could not prepare the run (a full disk, say): it waits and is tried again."""
    problem = f"the server could not start it: {error.strerror}" + (f" ({error.filename})" if error.filename else "")
    Control(run.pk, failed.rank).forget("spec")
    if was_prepared(processes):
        return f"{run.pk}: {problem}; ranks that were started wait for the next try"
    return hand_back(run, problem, delay_s=DISK_DELAY_S)


def hand_back(run: Run, problem: str, *, delay_s: float = 1) -> str:
    """The task waits again; a run that was told to stop meanwhile ends here, for nobody else will start it."""
    directory = run.directory
    if run.hand_back(problem, delay_s=delay_s):
        Control(run.pk).remove()
        with contextlib.suppress(OSError):  # not made yet, or not empty and so somebody's
            directory.rmdir()
        return f"{run.pk}: handed back, {problem}"
    Run.objects.filter(pk=run.pk, status=RunStatus.ENDING).update(launch_claimed_at=None)
    return deliver_stop(run)


def meeting_port(run_id: str) -> int:
    """Where the ranks of a run meet: what an earlier launch told rank 0, else a port that is free now."""
    told = (Control(run_id).read("spec") or {}).get("env", {}).get("MASTER_PORT")
    if told:
        return int(told)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def start_supervisor(run: Run, task: Task, process: RunProcess, rank: dict[str, str]) -> None:
    """Raises OSError when directories or the supervisor's process cannot be made."""
    control = Control(run.pk, process.rank)
    if has_supervisor(process):
        return  # an earlier launch came this far before it was lost
    control.create()
    account = account_of_jobs()
    directory = make_run_dir(run, account)
    image = find_image(task.image)
    env = environment_of(image, job_environment(run, task, directory, account, rank=rank))
    spec = supervisor_spec(run, task, process.rank, directory, env, account)
    control.write("spec", spec | {"argv": command_in(image, run, process.rank, spec)})
    who = spawn(control.directory)
    if who is None:
        return
    RunProcess.objects.filter(pk=process.pk).update(
        boot_id=who.boot_id, supervisor_pid=who.pid, supervisor_start_ticks=who.start_ticks
    )


def spawn(control: Path) -> ProcessIdentity | None:
    """A detached supervisor: own session, nothing inherited but its standard error file."""
    with open(os.open(control / "supervisor.err", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)) as err:
        # Blocked until its handlers stand: a stop that comes early waits instead of killing it.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        try:
            child = subprocess.Popen(
                [python(), "-I", "-S", supervisor.__file__, str(control)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=err,
                env={},
                start_new_session=True,
                close_fds=True,
            )
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    # The child outlives us on purpose; subprocess reaps it should it end first, but not before `child` is dropped.
    return ProcessIdentity.of(child.pid)


def python() -> str:
    """The interpreter behind a virtual environment's link: without site-packages nothing else is needed."""
    return os.path.realpath(sys.executable)


def make_run_dir(run: Run, account: JobAccount | None) -> Path:
    """The job's own directory, and that of its training session."""
    make_job_dir(paths.runs_root(), run.directory, account)
    if run.task is not None and run.task.is_session:
        make_job_dir(paths.sessions_root(), paths.session_dir(run.task.session.pk), account)
    return run.directory


def make_job_dir(root: Path, directory: Path, account: JobAccount | None) -> None:
    """A directory below `root`; it belongs to the job's account when there is one."""
    if account is None:
        directory.mkdir(mode=0o750, parents=True, exist_ok=True)
    else:
        make_way(root, directory)
        os.chown(directory, account.uid, account.gid)


def account_of_jobs() -> JobAccount | None:
    """Raises OSError when the account is gone, so that the task waits until somebody mends it."""
    try:
        return job_account()
    except LookupError as error:
        raise OSError(errno.ENOENT, "no such user", settings.JOB_USER) from error


def supervisor_spec(
    run: Run, task: Task, rank: int, directory: Path, env: dict[str, str], account: JobAccount | None
) -> dict[str, Any]:
    argv = task.command if isinstance(task.command, list) else ["/bin/sh", "-c", task.command]
    return {
        "run_id": run.pk,
        "rank": rank,
        "argv": argv,
        "cwd": task.cwd or str(directory),
        "env": env,
        "log_path": str(directory / paths.log_name(rank)),
        "text_root": env["RUNICORN_DIR"],
        "log_limit_bytes": settings.LOG_LIMIT_BYTES,
        "log_rotate_bytes": settings.LOG_ROTATE_BYTES,
        "log_kept": settings.LOG_KEPT,
        "memory_mib": task.memory_mib,
        "time_limit_s": task.time_limit_s,
        "grace_s": task.grace_s,
        "fifo": str(paths.agent_fifo()),
        "user": account.spec() if account else None,
        "umask": 0o027,
        "environment": environment_capture(directory) if rank == 0 else None,
    }


def environment_capture(directory: Path) -> dict[str, Any] | None:
    """Where the supervisor has the job's environment written; the script may do it itself before."""
    if not settings.CAPTURE_ENVIRONMENT:
        return None
    path = str(directory / paths.ENVIRONMENT_NAME)
    return {"path": path, "client": str(paths.sdk_root()), "after_s": CAPTURE_AFTER_S}
