"""Entry of the trainer. Importing torch takes seconds: before that it says what starts, and obeys a stop at once."""

from training.trainer.stopping import Stop

stop = Stop()  # before every other import

import sys  # noqa: E402

from training.trainer.arguments import read_arguments  # noqa: E402
from training.trainer.report import say  # noqa: E402
from training.trainer.settings import Evaluation, Settings  # noqa: E402


def main(words: list[str]) -> int:
    """Exit code: 0 done, 1 failed (failure.json says why), 2 wrong arguments, 143 stopped by SIGTERM."""
    asked = read_arguments(words)
    if isinstance(asked, Evaluation):
        from training.trainer.evaluate import evaluate

        return evaluate(asked)
    say("INFO", f"starting {asked.architecture} on {asked.dataset}: {describe(asked)}")
    from training.trainer.session import run

    return run(asked, stop)


def describe(settings: Settings) -> str:
    parts = [
        f"{settings.epochs} epochs",
        f"batch size {settings.batch_size}",
        f"{settings.optimizer} at learning rate {settings.learning_rate:g}",
        settings.loss_function,
        f"seed {settings.seed}",
    ]
    return ", ".join(parts)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
