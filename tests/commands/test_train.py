"""manage.py train."""

import threading
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from tests.datasets import stored_dataset
from tests.logs import WrittenLog
from tests.make import make_node
from training.models import Run, Task, TrainingSession

pytestmark = pytest.mark.django_db

NUMBERS = ("--epochs", "5", "--learning-rate", "0.01", "--batch-size", "16")


@pytest.fixture(autouse=True)
def stores(home: Path, settings: Any) -> None:
    settings.DATASETS_DIR = home / "datasets"


def train(*words: str) -> str:
    out = StringIO()
    call_command("train", *words, stdout=out)
    return out.getvalue()


def test_it_starts_a_session_as_the_first_administrator() -> None:
    stored_dataset("digits")
    make_node()
    out = train("resnet18", "digits", *NUMBERS)
    session = TrainingSession.objects.get()

    assert out == f"training session {session.pk}, task {session.task_id} active\n"
    assert (session.model_architecture, session.dataset_name, session.epochs) == ("resnet18", "digits", 5)
    assert (session.learning_rate, session.batch_size, session.optimizer) == (0.01, 16, "adam")
    assert (session.task.source, session.task.owner.is_superuser) == ("command_line", True)


def test_it_says_what_a_queued_session_waits_for() -> None:
    stored_dataset("digits")
    out = train("mlp", "digits", *NUMBERS, "--optimizer", "sgd")
    task = Task.objects.get()
    assert out.endswith(f"task {task.pk} waiting: {task.waiting_reason}\n")
    assert task.config["optimizer"] == "sgd"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("mlp", "digits", *NUMBERS, "--epochs", "0"), "epochs: 0 is not a whole number from 1 to 1000"),
        (("mlp", "digits", *NUMBERS, "--epochs", "many"), 'epochs: "many" is not'),
        (("mlp", "digits", *NUMBERS, "--learning-rate", "nan"), "learning_rate: NaN is not a number"),
        (("mlp", "digits", *NUMBERS, "--batch-size", "1.5"), "batch_size: 1.5 is not"),
        (("mlp", "digits", *NUMBERS, "--optimizer", "adagrad"), 'optimizer: "adagrad" is not one of'),
        (("mlp", "digits", *NUMBERS, "--loss-function", "mse"), "dataset digits cannot be trained on so: mse needs"),
        (("lenet", "digits", *NUMBERS), 'there is no architecture "lenet"; there are'),
        (("mlp", "digit", *NUMBERS), 'there is no dataset "digit"; there are digits'),
    ],
)
def test_it_refuses_in_one_line(words: tuple[str, ...], line: str) -> None:
    stored_dataset("digits")
    with pytest.raises(CommandError) as refusal:
        train(*words)
    assert str(refusal.value).startswith(line)
    assert "\n" not in str(refusal.value)
    assert not Task.objects.exists()


@pytest.mark.parametrize("missing", ["--epochs", "--learning-rate", "--batch-size"])
def test_it_asks_for_every_number(missing: str) -> None:
    at = NUMBERS.index(missing)
    with pytest.raises(CommandError, match=missing):
        train("mlp", "digits", *NUMBERS[:at], *NUMBERS[at + 2 :])


@pytest.mark.django_db(transaction=True)
def test_it_follows_the_training_it_started() -> None:
    stored_dataset("digits")
    make_node()
    pause = threading.Event()

    def work() -> None:
        while not (run := Run.objects.first()):
            pause.wait(0.01)
        WrittenLog(run).write("INFO epoch 1 of 5\n").end()
        run.finish("finished", "ok", "exit code 0")
        run.task.end("completed")  # type: ignore[union-attr]
        connection.close()

    worker = threading.Thread(target=work)
    worker.start()
    out = train("mlp", "digits", *NUMBERS, "--follow")
    worker.join()
    assert out.splitlines()[1:] == ["INFO epoch 1 of 5"]
