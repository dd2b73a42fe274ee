"""Real data, a real network, as few epochs as it takes."""

from pathlib import Path

from tests.trainer.sessions import StopWhen, make_settings, metrics, write_digits
from training.trainer.session import run
from training.trainer.stopping import EXIT_CODE


def test_it_reads_digits_within_five_epochs(tmp_path: Path) -> None:
    settings = make_settings(write_digits(tmp_path, 1797), architecture="resnet18", epochs=5)

    def best() -> float:
        return max((epoch["val_accuracy"] for epoch in metrics(settings)), default=0)

    assert run(settings, StopWhen(lambda: best() >= 0.95)) in (EXIT_CODE, 0)
    assert best() >= 0.95
