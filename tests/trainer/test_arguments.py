"""The command line."""

from pathlib import Path

import pytest

from training.trainer.arguments import read_arguments
from training.trainer.settings import Evaluation, Settings

NEEDED = {
    "--architecture": "mlp", "--dataset": "iris", "--data": "sets/iris.csv", "--session-dir": "s",
    "--learning-rate": "0.1", "--batch-size": "8", "--epochs": "2",
}  # fmt: skip


def words(**changes: str) -> list[str]:
    given = NEEDED | {f"--{name.replace('_', '-')}": value for name, value in changes.items()}
    return [word for pair in given.items() for word in pair]


def test_it_fills_in_what_was_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLSERVER_RUN_DIR", "/run/here")
    settings = read_arguments(words())
    assert isinstance(settings, Settings)
    assert (settings.optimizer, settings.loss_function, settings.seed) == ("adam", "cross_entropy", 0)
    assert (settings.file_name, settings.run_dir) == ("iris.csv", Path("/run/here"))


def test_it_writes_to_the_session_without_a_run_directory() -> None:
    settings = read_arguments(words(file_name="other.npz"))
    assert isinstance(settings, Settings)
    assert (settings.run_dir, settings.file_name) == (Path("s"), "other.npz")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"architecture": "resnet99"}, "invalid choice: 'resnet99'"),
        ({"learning_rate": "nan"}, "--learning-rate: invalid positive float value: 'nan'"),
        ({"learning_rate": "0"}, "--learning-rate: invalid positive float value: '0'"),
        ({"batch_size": "1.5"}, "--batch-size: invalid positive int value: '1.5'"),
        ({"epochs": "0"}, "--epochs: invalid positive int value: '0'"),
        ({"seed": "-1"}, "--seed: invalid whole number from 0 value: '-1'"),
        ({"optimizer": "lion"}, "invalid choice: 'lion'"),
    ],
)
def test_it_says_which_word_is_wrong(changes: dict[str, str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        read_arguments(words(**changes))
    assert raised.value.code == 2
    assert said in capsys.readouterr().err


def test_it_reads_an_evaluation() -> None:
    assert read_arguments(["evaluate", "m.pth", "--data", "d.csv"]) == Evaluation(
        model=Path("m.pth"), data=Path("d.csv"), file_name="d.csv", workers=2
    )
