"""The demonstration really trains, says so line by line, and stops when told."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
SCRIPT = REPOSITORY / "examples" / "train_digits.py"
CLIENT = REPOSITORY / "clients" / "python"

# It runs at the lowest priority: beside other tests it hardly gets a turn.
pytestmark = [pytest.mark.process, pytest.mark.alone]


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads of torch wait for each other busily: beside other tests that is many times slower."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def train(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, SCRIPT, *arguments], capture_output=True, text=True, timeout=100)


def test_it_trains_and_prints_its_progress_and_accuracy():
    ended = train("--epochs", "2", "--batch-size", "32", "--lr", "0.005", "--seed", "3")
    first, *epochs, last = ended.stdout.splitlines()

    assert ended.returncode == 0, ended.stderr
    assert first.startswith("training on 1437 images, validating on 360")
    assert [line.split(" loss ")[0] for line in epochs] == ["epoch 1/2", "epoch 2/2"]
    accuracy = re.match(r"final validation accuracy (0\.\d{4}) after 2 epochs", last)
    assert accuracy is not None and float(accuracy[1]) > 0.8


def test_in_a_task_it_logs_its_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MLSERVER_RUN_ID", "20260101_120000_a1b2c3")
    monkeypatch.setenv("MLSERVER_RUN_DIR", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(CLIENT))
    ended = train("--epochs", "2")
    assert ended.returncode == 0, ended.stderr
    rows = [json.loads(line)["data"] for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert [row["global_step"] for row in rows if "loss" in row] == [1, 2]
    accuracy = max(row["accuracy"] for row in rows if "loss" in row)
    assert json.loads((tmp_path / "summary.json").read_text())["best_metric_value"] == accuracy


def test_it_stops_with_a_word_and_143_when_terminated():
    arguments = [sys.executable, SCRIPT, "--epochs", "100000"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert process.stdout.readline().startswith("epoch 1/100000")
        process.send_signal(signal.SIGTERM)
        rest = process.stdout.read().splitlines()

    assert rest[-1] == "stopped by SIGTERM"
    assert process.returncode == 143


def test_it_refuses_a_bad_value_by_name():
    ended = train("--lr", "nan")

    assert ended.returncode == 2
    assert "argument --lr: invalid positive float value: 'nan'" in ended.stderr
