"""Two processes that train one model on the CPU."""

import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
import torch

from tests.serving import free_port
from tests.trainer.forked import Forked, forked
from tests.trainer.sessions import failure, make_settings, metrics, model, read_until, start, train, write_digits
from training.trainer import checkpoint
from training.trainer.losses import Objective
from training.trainer.ranks import Ranks
from training.trainer.settings import Settings
from training.trainer.stopping import EXIT_CODE
from training.trainer.tally import Tally, stand_in


@contextmanager
def two_ranks(settings: Settings, *, are_at_odds: bool = False) -> Iterator[list[Forked]]:
    with ExitStack() as stack:
        ranks = []
        for rank, env in enumerate(environments()):
            change = partial(set_clock, is_due=rank == 0) if are_at_odds else None
            ranks.append(stack.enter_context(forked(settings, env=env, change=change)))
        yield ranks


def environments() -> list[dict[str, str]]:
    """What the supervisor tells each of two ranks."""
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    return [shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(2)]


def set_clock(*, is_due: bool) -> None:
    """After each epoch a checkpoint is due, or never."""
    checkpoint.EVERY_S, checkpoint.SHARE = 0 if is_due else 10**9, 0


@pytest.mark.process
def test_it_trains_on_its_share_of_each_batch(tmp_path: Path) -> None:
    """160 samples: one is left over for the last batch, and the second rank goes without."""
    fields = {"architecture": "lenet5", "optimizer": "sgd", "learning_rate": 0.05, "batch_size": 53, "epochs": 3}
    together = make_settings(write_digits(tmp_path), **fields)
    alone = make_settings(together.data, **fields, run_dir=tmp_path / "alone")
    with ExitStack() as stack:
        ranks = [stack.enter_context(start(together, env=env)) for env in environments()]
        assert [rank.wait(timeout=100) for rank in ranks] == [0, 0]
    assert train(alone) == 0
    assert [epoch["epoch"] for epoch in metrics(together)] == [1, 2, 3]
    for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
        figures = ([epoch[name] for epoch in metrics(settings)] for settings in (together, alone))
        assert next(figures) == pytest.approx(next(figures), rel=1e-4)
    weights, same = model(together)["state_dict"], model(alone)["state_dict"]
    assert all(torch.allclose(weights[name], same[name], atol=1e-5) for name in same)


@dataclass(frozen=True)
class Ended:
    """Two ranks that were stopped. `saved_epoch`: where a checkpoint stood before anybody asked for a stop."""

    settings: Settings
    saved_epoch: int
    exit_codes: list[int]
    last_words: list[str]


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """For the first a checkpoint is due after each epoch, for the other never. That one is asked to stop."""
    data = write_digits(tmp_path_factory.mktemp("ranks"))
    settings = make_settings(data, architecture="simple_cnn", epochs=100_000)
    with two_ranks(settings, are_at_odds=True) as ranks:
        read_until(ranks[0], " epoch 4/")
        saved = torch.load(settings.session_dir / "checkpoint.pt", weights_only=True)
        ranks[1].send_signal(signal.SIGTERM)
        last_words = [read_until(rank, "INFO stopped in epoch") for rank in ranks]
        exit_codes = [rank.wait(timeout=30) for rank in ranks]
    return Ended(settings, saved["epoch"], exit_codes, last_words)


@pytest.mark.process
def test_it_saves_a_checkpoint_when_the_first_rank_wants_to(stopped: Ended) -> None:
    """If the other, whose clock says no, did not take part, the two would wait for each other."""
    assert stopped.saved_epoch >= 3


@pytest.mark.process
def test_it_stops_all_ranks_after_the_same_batch(stopped: Ended) -> None:
    assert stopped.exit_codes == [EXIT_CODE, EXIT_CODE]
    assert stopped.last_words[0] == stopped.last_words[1]


@pytest.mark.process
def test_it_goes_on_and_ends_when_another_rank_dies(stopped: Ended) -> None:
    settings = stopped.settings
    done = metrics(settings)[-1]["epoch"]
    with two_ranks(settings) as ranks:
        read_until(ranks[0], "INFO going on from the checkpoint")
        read_until(ranks[0], f" epoch {done + 1}/")
        ranks[1].kill()
        read_until(ranks[0], "ERROR")
        assert ranks[0].wait(timeout=30) == 1
    epochs = [epoch["epoch"] for epoch in metrics(settings)]
    assert epochs == list(range(1, len(epochs) + 1))
    assert failure(settings)["kind"] == "error"


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
