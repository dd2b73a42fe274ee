"""Sampling by question and answer: one at a time, and what of an answer is news."""

import json
import logging
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from gpus import sampling as module
from gpus.driver import Driver
from gpus.models import Gpu, Node
from gpus.readings import AbsentReader
from gpus.sampling import Sampling
from gpus.simulated import SimulatedReader
from tests.make import make_node
from tests.waiting import until

pytestmark = pytest.mark.django_db

Look = Callable[..., bool]


@pytest.fixture
def node() -> Node:
    return make_node()


@pytest.fixture
def sampling(tmp_path: Path) -> Sampling:
    reader = SimulatedReader(1, 24576, tmp_path / "simulated_gpus.json")
    return Sampling(Driver(lambda: reader), lambda: None)


@pytest.fixture
def look(tmp_path: Path, node: Node, sampling: Sampling) -> Look:
    """`look(**played)` puts a question, takes in its answer and says whether there was news."""

    def look(reserved_mib: int = 0, **played: Any) -> bool:
        (tmp_path / "simulated_gpus.json").write_text(json.dumps({"0": played}))
        sampling.ask({"GPU-simulated-0": reserved_mib})
        until(sampling.has_answer, what="an answer")
        return sampling.take_in(node, lambda pid: pid == 1)

    return look


def test_it_lists_and_samples_at_the_first_answer(look: Look) -> None:
    assert look(used_memory_mib=10) is True
    gpu = Gpu.objects.get()
    assert gpu.is_sampled and gpu.used_memory_mib == 10


def test_it_lists_again_only_when_told_to(look: Look, sampling: Sampling) -> None:
    look()
    Gpu.objects.update(name="another")
    look()
    assert Gpu.objects.get().name == "another"
    sampling.list_again()
    look()
    assert Gpu.objects.get().name == "Simulated GPU"


@pytest.mark.parametrize(
    "played",
    [
        {"missing": True},
        {"processes": [{"pid": 2, "used_memory_mib": 300}]},
        {"used_memory_mib": 5000},
        {"processes": [{"pid": 1, "used_memory_mib": 300}]},
    ],
)
def test_news_is_what_a_pass_would_decide_by(look: Look, played: dict[str, Any]) -> None:
    look()
    assert [look(), look(**played), look(**played), look()] == [False, True, False, True]


def test_load_and_memory_of_our_own_runs_are_no_news(look: Look) -> None:
    look()
    assert look(4000, utilization_percent=90, processes=[{"pid": 1, "used_memory_mib": 3000}]) is False


def test_the_end_of_a_silence_is_news(look: Look, sampling: Sampling) -> None:
    look()
    sampling._looked_at = timezone.now() - timedelta(seconds=5)
    assert look() is True


def test_no_devices_are_no_news(node: Node) -> None:
    sampling = Sampling(Driver(lambda: AbsentReader("no driver")), lambda: None)
    sampling.ask({})
    until(sampling.has_answer, what="an answer")
    assert sampling.take_in(node, lambda pid: False) is False


def test_it_puts_one_question_at_a_time_and_warns_of_a_long_silence(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, sampling: Sampling, node: Node
) -> None:
    assert sampling.may_ask()
    sampling.ask({})
    assert not sampling.may_ask()
    monkeypatch.setattr(module, "WARN_AFTER_S", -1.0)
    with caplog.at_level(logging.WARNING):
        assert [sampling.may_ask(), sampling.may_ask()] == [False, False]
    assert len(caplog.records) == 1
    until(sampling.has_answer, what="an answer")
    sampling.take_in(node, lambda pid: False)
    assert sampling.may_ask()
