"""The agent's loop: what it does while the driver does not answer, and in which order it begins."""

import json
import logging
import os
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from django_q.models import OrmQ

from gpus.driver import Driver
from gpus.models import Gpu, Node
from gpus.readings import AbsentReader, Reader
from mlserver.wakeup import notify
from tests.execution.placed import placed, recorded
from tests.gpus.hanging import answer_fifo
from tests.make import make_gpu, make_node, make_task
from tests.waiting import until
from training import paths
from training.execution import requests
from training.execution.agent import Agent
from training.execution.control import Control
from training.execution.identity import ProcessIdentity
from training.models import Task
from training.queue.scheduler import schedule

pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture(autouse=True)
def nothing_was_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "_asked_at", {})
    monkeypatch.setattr(requests, "_seen", {})


class RunningAgent:
    """The agent in a thread of the test."""

    def __init__(self) -> None:
        self.agent = Agent()
        self.thread = threading.Thread(target=self.agent.run)
        self.thread.start()

    def end(self) -> None:
        self.agent.end()
        self.thread.join(10)
        assert not self.thread.is_alive()


@pytest.fixture
def silent_driver(simulated_gpus: Path) -> Iterator[Path]:
    os.mkfifo(simulated_gpus)
    yield simulated_gpus
    if simulated_gpus.is_fifo():
        answer_fifo(simulated_gpus)


@pytest.fixture
def running(transactional_db: None, silent_driver: Path) -> Iterator[RunningAgent]:
    running = RunningAgent()
    yield running
    running.end()


def asked() -> list[tuple[Any, ...]]:
    """(function, ids...) of all that was asked of the qcluster."""
    tasks = [row.task for row in OrmQ.objects.order_by("pk")]
    return [(task["func"].removeprefix("training.queue.tasks."), *task["args"]) for task in tasks]


def test_it_handles_wake_up_lines_while_the_driver_is_silent(running: RunningAgent) -> None:
    until(lambda: running.agent.sampling.driver.silent_s > 0.1, what="the driver hangs")
    run = placed(status="running")
    recorded(run)
    notify(paths.agent_fifo(), run.pk)
    assert until(lambda: ("finish", run.pk) in asked(), within_s=2, what="sooner than it would ask again by itself")


def test_its_node_reports_while_the_driver_is_silent_and_is_sampled_after(
    running: RunningAgent, silent_driver: Path
) -> None:
    until(lambda: running.agent.sampling.driver.silent_s > 1, what="the driver hangs")
    assert Node.objects.get().is_reporting and not Gpu.objects.exists()
    answer_fifo(silent_driver)
    until(lambda: [gpu.is_sampled for gpu in Gpu.objects.all()] == [True, True], what="both are sampled")


@pytest.mark.django_db(transaction=True)
def test_it_knows_its_own_processes_before_its_first_look(simulated_gpus: Path) -> None:
    simulated_gpus.write_text(json.dumps({"0": {"processes": [{"pid": os.getpid(), "used_memory_mib": 900}]}}))
    supervisor = ProcessIdentity.of(os.getpid())
    assert supervisor is not None
    agent = Agent()
    agent.register()
    control = Control(placed(status="running").pk)
    control.write(
        "supervisor", {"pid": supervisor.pid, "start_ticks": supervisor.start_ticks, "boot_id": supervisor.boot_id}
    )
    agent.ask_driver()
    assert agent.sampling.may_ask()
    agent.ask_again()
    agent.ask_driver()
    until(agent.sampling.has_answer, what="the driver answers")
    agent.hear_driver()
    gpu = Gpu.objects.get(index=0)
    assert (gpu.used_memory_mib, gpu.foreign_memory_mib, gpu.foreign_process_count) == (900, 0, 0)
    agent.watch.detach(control)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("silent_s", "expected"), [(None, [("schedule",)]), (11, [("schedule",)]), (2, [])])
def test_it_asks_for_a_pass_when_its_node_is_heard_of_again(silent_s: float | None, expected: list[Any]) -> None:
    agent = Agent()
    agent.node = make_node(agent_seen_at=silent_s and timezone.now() - timedelta(seconds=silent_s))
    agent.note_alive()
    agent.note_alive()
    assert asked() == expected


@pytest.mark.django_db(transaction=True)
def test_it_asks_for_a_pass_when_memory_without_a_lease_is_given_back(simulated_gpus: Path) -> None:
    make_task(gpus=1)
    agent = Agent()
    agent.register()
    agent.has_attached = True

    def look(**played: Any) -> list[Any]:
        simulated_gpus.write_text(json.dumps({"0": played}))
        OrmQ.objects.all().delete()
        agent.ask_driver()
        until(agent.sampling.has_answer, what="the driver answers")
        agent.hear_driver()
        return asked()

    mine = [{"pid": os.getpid(), "used_memory_mib": 900}]
    agent.watch.is_ours = lambda pid: pid == os.getpid()  # type: ignore[method-assign]
    assert look() == [("schedule",)]  # the first look
    assert look() == []
    assert look(processes=mine) == [("schedule",)]
    assert look(processes=mine) == []
    assert look() == [("schedule",)]


@pytest.mark.django_db(transaction=True)
def test_it_ends_a_clean_quarantine_and_asks_for_a_pass(simulated_gpus: Path) -> None:
    agent = Agent()
    agent.register()
    agent.has_attached = True
    gpu = make_gpu(agent.node, uuid="GPU-simulated-0", quarantined_at=timezone.now() - timedelta(seconds=31))
    agent.ask_driver()
    until(agent.sampling.has_answer, what="the driver answers")
    agent.hear_driver()
    gpu.refresh_from_db()
    assert gpu.quarantined_at is None
    assert asked() == [("schedule",)]


@pytest.mark.django_db(transaction=True)
def test_it_asks_again_after_a_look_that_failed(caplog: pytest.LogCaptureFixture) -> None:
    class BrokenReader(AbsentReader):
        def devices(self) -> list[Any]:
            raise ZeroDivisionError

    def broken() -> Reader:
        return BrokenReader("test")

    agent = Agent(Driver(broken))
    agent.register()
    agent.has_attached = True
    agent.ask_driver()
    until(agent.sampling.has_answer, what="the driver answers")
    with caplog.at_level(logging.ERROR):
        agent.guard(agent.hear_driver)
    assert "the agent goes on after this" in caplog.text
    assert agent.sampling.may_ask()


@pytest.mark.django_db
def test_an_agent_that_ends_says_so_and_nothing_more_is_placed_on_its_node(home: Path) -> None:
    agent = Agent()
    agent.node = make_node("box")
    assert agent.node.is_reporting
    agent.leave()
    agent.node.refresh_from_db()
    assert not agent.node.is_reporting
    make_task()
    assert schedule() == []
    assert "its agent is not running" in Task.objects.get().waiting_reason
