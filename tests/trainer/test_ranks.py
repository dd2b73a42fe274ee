"""Two processes that train one model on the CPU."""

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from tests.serving import REPOSITORY, free_port
from tests.trainer.sessions import make_settings, metrics, model, read_until, start, train, write_digits
from training.trainer.losses import Objective
from training.trainer.ranks import Ranks
from training.trainer.settings import Settings
from training.trainer.stopping import EXIT_CODE
from training.trainer.tally import Tally, stand_in


@contextmanager
def two_ranks(settings: Settings, *, env: dict[str, str] | None = None) -> Iterator[list[subprocess.Popen[str]]]:
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())} | (env or {})
    ranks = [start(settings, env=shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)}) for rank in range(2)]
    try:
        yield ranks
    finally:
        for rank in ranks:
            rank.kill()
            rank.communicate(timeout=30)


@pytest.mark.process
def test_it_trains_on_its_share_of_each_batch(tmp_path: Path) -> None:
    """160 samples: one is left over for the last batch, and the second rank goes without."""
    fields = {"architecture": "lenet5", "optimizer": "sgd", "learning_rate": 0.05, "batch_size": 53, "epochs": 3}
    together = make_settings(write_digits(tmp_path), **fields)
    alone = make_settings(together.data, **fields, run_dir=tmp_path / "alone")
    with two_ranks(together) as ranks:
        assert [rank.wait(timeout=100) for rank in ranks] == [0, 0]
    assert train(alone) == 0
    assert [epoch["epoch"] for epoch in metrics(together)] == [1, 2, 3]
    for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
        figures = ([epoch[name] for epoch in metrics(settings)] for settings in (together, alone))
        assert next(figures) == pytest.approx(next(figures), rel=1e-4)
    weights, same = model(together)["state_dict"], model(alone)["state_dict"]
    assert all(torch.allclose(weights[name], same[name], atol=1e-5) for name in same)


@pytest.mark.process
def test_it_stops_all_ranks_after_the_same_batch_and_goes_on(tmp_path: Path) -> None:
    settings = make_settings(write_digits(tmp_path), architecture="simple_cnn", epochs=100_000)
    with two_ranks(settings) as ranks:
        read_until(ranks[0], " epoch 2/")
        ranks[1].send_signal(signal.SIGTERM)
        stopped = [read_until(rank, "INFO stopped in epoch") for rank in ranks]
        assert [rank.wait(timeout=30) for rank in ranks] == [EXIT_CODE, EXIT_CODE]
    assert stopped[0] == stopped[1]
    done = metrics(settings)[-1]["epoch"]
    rest = make_settings(settings.data, architecture="simple_cnn", epochs=done + 1)
    with two_ranks(rest) as ranks:
        read_until(ranks[0], "INFO going on from the checkpoint")
        assert [rank.wait(timeout=100) for rank in ranks] == [0, 0]
    assert [epoch["epoch"] for epoch in metrics(settings)] == list(range(1, done + 2))


@pytest.mark.process
def test_it_saves_a_checkpoint_when_the_first_rank_wants_to(tmp_path: Path) -> None:
    """The other rank's clock says no; if it did not take part, the two would wait for each other."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os\nfrom training.trainer import checkpoint\n"
        "checkpoint.EVERY_S, checkpoint.SHARE = (10**9, 0)[os.environ['RANK'] == '0'], 0\n"
    )
    settings = make_settings(write_digits(tmp_path), epochs=100_000)
    with two_ranks(settings, env={"PYTHONPATH": f"{tmp_path}:{REPOSITORY}"}) as ranks:
        read_until(ranks[0], " epoch 5/")
        assert torch.load(settings.session_dir / "checkpoint.pt", weights_only=True)["epoch"] >= 3
        ranks[0].send_signal(signal.SIGTERM)
        assert [rank.wait(timeout=30) for rank in ranks] == [EXIT_CODE, EXIT_CODE]


@pytest.mark.process
def test_it_ends_when_another_rank_dies(tmp_path: Path) -> None:
    settings = make_settings(write_digits(tmp_path), epochs=100_000)
    with two_ranks(settings) as ranks:
        read_until(ranks[0], " epoch 1/")
        ranks[1].kill()
        read_until(ranks[0], "ERROR")
        assert ranks[0].wait(timeout=30) == 1
    assert json.loads((settings.run_dir / "failure.json").read_text())["kind"] == "error"


@pytest.mark.parametrize(("count", "shares"), [(7, [[0, 2], [4, 6]]), (5, [[0, 2], [4]])])
def test_it_takes_every_second_sample_of_a_batch(
    count: int, shares: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    assert [share.tolist() for share in Ranks().shares(torch.arange(count), 4)] == shares


def test_it_counts_no_sample_twice_when_batches_are_smaller_than_the_ranks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    ranks, rows = Ranks(), torch.arange(3)
    shares = stand_in(ranks.shares(rows, 1), rows, 1)
    assert [share.tolist() for share in shares] == [[0], [1], [2]]
    tally = Tally(Objective("cross_entropy"), 3, 1, ranks=ranks, device=torch.device("cpu"))
    for _ in shares:
        tally.add(torch.tensor(5.0), torch.ones(1, 2), torch.zeros(1, dtype=torch.int64))
    assert tally.fold()
    assert tally.weights == [0, 0, 0]
    assert tally.losses.tolist() == tally.marks.tolist() == [0, 0, 0]


def test_it_stands_in_with_a_sample_where_nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    rows = torch.arange(5)
    shares = Ranks().shares(rows, 4)
    assert [share.tolist() for share in shares] == [[1, 3], []]
    assert [share.tolist() for share in stand_in(shares, rows, 4)] == [[1, 3], [4]]
