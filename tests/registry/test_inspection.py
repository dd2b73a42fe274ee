"""Uploads are read by a child that is bounded in everything; here it is one that misbehaves."""

import os
import time
from pathlib import Path

import pytest

from mlserver.errors import BadRequest
from registry import inspection
from registry.datasets.describe import describe
from registry.datasets.facts import Facts
from registry.inspection import facts_of, inspect, last_object
from tests.registry.misbehaving import FACTS
from tests.waiting import until

pytestmark = pytest.mark.process


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(inspection, "MODULE", "tests.registry.misbehaving")
    path = tmp_path / "data"
    path.write_bytes(b"1,2\n")
    return path


def refusal(data: Path, deed: str) -> str:
    with pytest.raises(BadRequest) as refused:
        inspect(data, deed)
    return refused.value.message


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_it_gives_the_facts_and_none_of_the_servers_environment(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEYS", "secret")
    facts = inspect(data, "around")
    assert (facts.sample_count, facts.input_shape, facts.dimensions) == (3, (1,), "2")
    assert "API_KEYS" not in facts.untrainable_reason
    assert "MLSERVER_HOME" not in facts.untrainable_reason


def test_it_reads_real_data(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_text("a,b,target\n1,2,red\n3,4,blue\n5,6,red\n")
    facts = inspect(path, "colours.csv")
    assert facts == describe(path, "colours.csv")
    assert (facts.sample_count, facts.class_count) == (3, 2)
    path.write_bytes(b"\x93NUMPY\x01\x00 no array")
    with pytest.raises(BadRequest, match="array|npy|NumPy"):
        inspect(path, "colours.npy")


def test_it_gives_the_reason_on_one_line(data: Path) -> None:
    assert refusal(data, "refuse") == "row 3 has 2 columns"


def test_it_lets_nothing_be_written(data: Path) -> None:
    assert refusal(data, "write") == "File too large"


def test_it_ends_all_processes_at_the_deadline(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection, "DEADLINE_S", 1)
    os.mkfifo(data.with_suffix(".pids"))
    pipe = os.open(data.with_suffix(".pids"), os.O_RDWR)
    assert refusal(data, "sleep") == "sleep: reading it takes more than 1 s"
    pids = [int(pid) for pid in os.read(pipe, 100).split()]
    os.close(pipe)
    assert len(pids) == 2
    until(lambda: not any(map(is_alive, pids)), what="child and grandchild ended")


def test_it_ends_one_that_uses_the_processor_too_long(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection, "DEADLINE_S", 1)
    started = time.monotonic()
    assert "reading it takes more than 1 s" in refusal(data, "spin")
    assert time.monotonic() - started < 5


def test_it_bounds_memory(data: Path) -> None:
    assert refusal(data, "eat") == "eat: reading it takes more than 2048 MiB of memory"


def test_it_bounds_what_is_said(data: Path) -> None:
    assert refusal(data, "talk") == "talk: it cannot be read: too much is wrong with it"


@pytest.mark.parametrize("deed", ["die", "raise", "nothing", "status"])
def test_it_refuses_when_the_child_fails(data: Path, deed: str, caplog: pytest.LogCaptureFixture) -> None:
    assert refusal(data, deed) == f"{deed}: it cannot be read as images, CSV or NumPy arrays"
    assert f"inspecting '{deed}' ended with status" in caplog.text


@pytest.mark.parametrize(
    "change",
    [
        {"format": "parquet"},
        {"format": ["csv"]},
        {"sample_count": -1},
        {"sample_count": 2**70},
        {"sample_count": 1.5},
        {"class_count": True},
        {"dimensions": "x" * 300},
        {"untrainable_reason": "\x00"},
        {"untrainable_reason": None},
        {"input_shape": [1, 2, 3, 4]},
        {"input_shape": [0]},
        {"input_shape": "8"},
        {"target": 7},
    ],
    ids=str,
)
def test_it_refuses_bad_facts(change: dict[str, object]) -> None:
    assert facts_of(FACTS) == Facts(
        format="csv", sample_count=3, dimensions="2", input_shape=(1,), target="numbers", class_count=None
    )
    assert facts_of(FACTS | change) is None


def test_it_finds_the_answer_among_other_lines() -> None:
    assert last_object('warning\n{"a": 1}\n[1]\n{broken') == {"a": 1}
    assert last_object("[" * 100_000) == {}
    assert last_object("") == {}
