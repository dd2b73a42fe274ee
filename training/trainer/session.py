"""One run of a session, from the file of samples to model.pth."""

import os
import shutil
import traceback

import torch

from training.trainer.catalog import UNTOLD_EXIT_CODE
from training.trainer.export import save_model
from training.trainer.failures import Failure, explain
from training.trainer.prepare import prepare
from training.trainer.ranks import Ranks
from training.trainer.report import Report, say, say_warnings
from training.trainer.settings import Settings
from training.trainer.stopping import EXIT_CODE, Stop, Stopped


def run(settings: Settings, stop: Stop) -> int:
    """Exit code: 0 done, 1 failed, 74 failed and could not write down why, 143 stopped. Says why it failed."""
    say_warnings()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1))
    ranks = Ranks()
    say("DEBUG", f"torch {torch.__version__}, {torch.get_num_threads()} CPU threads, {ranks.device}")
    report = Report(settings.run_dir, rank=ranks.rank, ranks=ranks.count)
    try:
        train(settings, stop, ranks, report)
    except Stopped:
        return EXIT_CODE
    except Exception as error:  # noqa: BLE001  the supervision point: whatever it was, the session says it
        failure = explain(error)
        code = 1 if report.fail(failure) else UNTOLD_EXIT_CODE
        if failure.kind == "error" and not isinstance(error, Failure):
            traceback.print_exception(error)
        if not ranks.is_alone:
            os._exit(code)  # leaving in peace would wait for the others, who wait for this one
        return code
    return 0


def train(settings: Settings, stop: Stop, ranks: Ranks, report: Report) -> None:
    """Raises Failure, Stopped, or what torch raises."""
    settings.session_dir.mkdir(parents=True, exist_ok=True)
    scratch = settings.session_dir / "samples"  # shared by the ranks, and kept for a later run that goes on
    scratch.mkdir(exist_ok=True)
    if not ranks.is_alone:
        stop.insist()
    ranks.join()
    loop = prepare(settings, stop, ranks, report, scratch)
    try:
        metrics = loop.run()
    except Stopped:
        ranks.leave()
        raise
    if ranks.rank == 0:
        path = settings.run_dir / "model.pth"
        save_model(path, loop.work.network, settings=settings, metrics=metrics)
        say("INFO", f"saved the weights of epoch {settings.epochs}, {path.stat().st_size / 1024**2:.1f} MiB")
        loop.work.checkpoints.remove()
        shutil.rmtree(scratch, ignore_errors=True)
    ranks.leave()
