"""What the qcluster runs: ids in, one service call, a short string out. Each is short and safe to repeat."""

from mlserver.enqueue import enqueue
from training import erased_files
from training.execution import finish as finishing
from training.execution import launch as launching
from training.execution import tidy as tidying
from training.execution.stop import deliver_stop
from training.models import Run
from training.queue import schedules
from training.queue.scheduler import schedule as place_waiting

# Placements of one pass that are launched right here; the others become messages of their own.
LAUNCH_HERE = 8
FREE_S = 20


def launch(run_id: str) -> str:
    return launching.launch(run_id)


def finish(run_id: str) -> str:
    """End the run, then use what it freed: pass and launch in the same worker save two hops through the queue."""
    said = finishing.finish(run_id)
    return f"{said}; {schedule()}"


def schedule() -> str:
    placed = place_waiting()
    for run_id in placed[:LAUNCH_HERE]:
        launching.launch(run_id)
    for run_id in placed[LAUNCH_HERE:]:
        launching.ask_for_launch(run_id)
    return f"placed {len(placed)}"


def stop(run_id: str) -> str:
    run = Run.objects.select_related("task").filter(pk=run_id).first()
    if run is None or run.has_ended:
        return f"{run_id}: nothing to stop"
    return deliver_stop(run)


def fire_schedules() -> str:
    return f"fired {len(schedules.fire_due())}"


def tidy() -> str:
    erased_files.sweep(within_s=FREE_S)
    return f"freed {tidying.tidy()} directories of sessions"


def free_erased() -> str:
    if erased_files.sweep(within_s=FREE_S):
        return "freed the files of erased runs"
    enqueue("training.queue.tasks.free_erased")
    return "more files of erased runs are left"
