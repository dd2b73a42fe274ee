"""Real data, a real network, as few epochs as it takes."""

import re
import signal
from pathlib import Path

import pytest

from tests.trainer.sessions import make_settings, read_until, start, write_digits


@pytest.mark.process
def test_it_reads_digits_within_five_epochs(tmp_path: Path) -> None:
    settings = make_settings(write_digits(tmp_path, 1797), architecture="resnet18", epochs=5)
    best = 0.0
    with start(settings) as process:
        for _ in range(settings.epochs):
            line = read_until(process, "INFO epoch ")
            found = re.search(r"val_accuracy ([\d.]+)", line)
            assert found is not None
            best = max(best, float(found[1]))
            if best >= 0.95:
                break
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    assert best >= 0.95
